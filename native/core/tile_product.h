// Products of a block of points with another, for one worker.
#ifndef SIEVE_CORE_TILE_PRODUCT_H
#define SIEVE_CORE_TILE_PRODUCT_H

#include <cstddef>
#include <cstdint>
#include <vector>

#include "core/aligned_floats.h"
#include "core/conditioning.h"
#include "core/points.h"
#include "core/rounded_copy.h"
#include "kernels/tile_kernels.h"

namespace sieve {

// One side of a tile: some points of one matrix.
struct TileRows {
  static constexpr size_t kNoSlot = static_cast<size_t>(-1);

  const Points* points = nullptr;
  std::vector<uint32_t> members;
  size_t first_slot = kNoSlot;  // the members are consecutive from here on in the side's rounded copy

  size_t size() const { return members.size(); }
};

// A set of columns, and where they lie in a rounded copy (empty without one).
struct TileColumns {
  Columns columns;
  std::vector<RoundedLayout::BlockRuns> runs;
};

class TileProduct {
 public:
  // For tiles of at most `edge` x `edge` points.
  explicit TileProduct(size_t edge);
  virtual ~TileProduct() = default;

  // Floats from one row of products to the next, and of a whole buffer of them.
  size_t stride() const { return stride_; }
  size_t buffer_floats() const { return buffer_floats_; }

  // out = base + left * right^T over the columns. base: a buffer or NULL for 0. diagonal: left and right are
  // the same rows, and only products with a later row are needed.
  virtual void compute(const TileRows& left, const TileRows& right, const TileColumns& columns, bool diagonal,
                       const float* base, float* out) = 0;

 private:
  size_t stride_;
  size_t buffer_floats_;
};

// In float32: packs panels of columns on the fly, so that no second copy of the data exists.
class PackingProduct final : public TileProduct {
 public:
  PackingProduct(const TileKernels& kernels, const Conditioning& conditioning, size_t edge);
  void compute(const TileRows& left, const TileRows& right, const TileColumns& columns, bool diagonal,
               const float* base, float* out) override;

 private:
  using Pack = decltype(TileKernels::pack_left);
  void pack(Pack pack, const TileRows& rows, size_t column, size_t count, size_t offset, size_t depth,
            float* packed);

  const TileKernels& kernels_;
  const Conditioning& conditioning_;
  AlignedFloats packed_left_;
  AlignedFloats packed_right_;
  std::vector<const float*> row_values_;
  std::vector<float> decoded_;  // [edge, kPanelDepth]; empty until a matrix of 16-bit elements comes
  std::vector<uint32_t> first_right_panel_;
};

// What both sides of a rounded search share.
struct RoundedSides {
  RoundedPacking packing;
  const RoundedLayout* layout;
  const RoundedCopy* left;
  const RoundedCopy* right;
};

// Of points rounded to 16 bits. The right side must lie in its copy, from a multiple of 96 slots on; a left
// side that does not is packed here.
class RoundedProduct final : public TileProduct {
 public:
  RoundedProduct(const RoundedSides& sides, size_t edge);
  void compute(const TileRows& left, const TileRows& right, const TileColumns& columns, bool diagonal,
               const float* base, float* out) override;

 private:
  RoundedPanels left_panels(const TileRows& left, size_t count, const RoundedLayout::BlockRuns& runs);

  const RoundedSides& sides_;
  AlignedBuffer<uint32_t> packed_;
  AlignedBuffer<uint32_t> arranged_;
  std::vector<uint32_t> first_right_panel_;
};

// Bytes that a product and two buffers of it take.
size_t product_bytes_per_worker(size_t edge);

// Rounded operations an element of such a product goes through, for the error bound.
size_t product_chain(const TileColumns& columns);

}  // namespace sieve

#endif  // SIEVE_CORE_TILE_PRODUCT_H
