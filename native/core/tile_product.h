// Products of a block of points with another, for one worker: packs panels of columns on the fly, so that no
// second copy of the data exists.
#ifndef SIEVE_CORE_TILE_PRODUCT_H
#define SIEVE_CORE_TILE_PRODUCT_H

#include <cstddef>
#include <cstdint>
#include <vector>

#include "core/aligned_floats.h"
#include "core/conditioning.h"
#include "core/points.h"
#include "kernels/tile_kernels.h"

namespace sieve {

// One side of a tile: some points of one matrix.
struct TileRows {
  const Points* points = nullptr;
  std::vector<uint32_t> members;

  size_t size() const { return members.size(); }
};

class TileProduct {
 public:
  // For tiles of at most `edge` x `edge` points.
  TileProduct(const TileKernels& kernels, const Conditioning& conditioning, size_t edge);

  // Floats from one row of products to the next, and of a whole buffer of them.
  size_t stride() const { return stride_; }
  size_t buffer_floats() const { return buffer_floats_; }

  // out = base + left * right^T over the columns. base: a buffer or NULL for 0. diagonal: left and right are
  // the same rows, and only products with a later row are needed.
  void compute(const TileRows& left, const TileRows& right, const Columns& columns, bool diagonal,
               const float* base, float* out);

  static size_t bytes_per_worker(size_t edge);

 private:
  using Pack = decltype(TileKernels::pack_left);
  void pack(Pack pack, const TileRows& rows, size_t column, size_t count, size_t offset, size_t depth,
            float* packed);

  const TileKernels& kernels_;
  const Conditioning& conditioning_;
  size_t stride_;
  size_t buffer_floats_;
  AlignedFloats packed_left_;
  AlignedFloats packed_right_;
  std::vector<const float*> row_values_;
  std::vector<float> decoded_;  // [edge, kPanelDepth]; empty until a matrix of 16-bit elements comes
  std::vector<uint32_t> first_right_panel_;
};

// Rounded operations an element of such a product goes through, for the error bound.
size_t product_chain(size_t column_count);

}  // namespace sieve

#endif  // SIEVE_CORE_TILE_PRODUCT_H
