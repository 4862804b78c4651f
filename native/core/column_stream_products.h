// Pass 1 of a column stream on vector backends: float32 products of all pairs of rows, added up over blocks.
// About 2 * rows^2 bytes.
//
// Each block has a centre of its own: the bound of kernels/tile_kernels.h asks only that all rows of a column
// share it. The scale is common to all blocks; a block of much larger values makes what was added up so far
// smaller, by a power of two.
#ifndef SIEVE_CORE_COLUMN_STREAM_PRODUCTS_H
#define SIEVE_CORE_COLUMN_STREAM_PRODUCTS_H

#include <cstddef>
#include <cstdint>
#include <vector>

#include "core/aligned_buffer.h"
#include "core/column_stream_rows.h"
#include "core/conditioning.h"
#include "core/run_context.h"
#include "kernels/tile_kernels.h"

namespace sieve {

class StreamProducts {
 public:
  // threads: for which tiles are made small enough.
  StreamProducts(size_t rows, const TileKernels& kernels, int threads);

  // Adds a block and gives the hashes of its usable points. O(rows^2 * columns / 2).
  std::vector<uint64_t> add(const StreamBlock& block, RunContext& run);

  const TileKernels& kernels() const { return kernels_; }
  size_t rows() const { return rows_; }

  // Bounds of all pairs of rows, in units of the scale; exact: they are the distances themselves.
  PointBounds bounds() const;
  bool exact() const { return exact_; }
  int scale_exponent() const { return scale_exponent_; }
  // Norms of the conditioned rows.
  const std::vector<double>& square_norms() const { return square_norms_; }
  // Rows that float32 products could not hold: none of their pairs is worth anything.
  bool oversized(size_t row) const { return oversized_[row] != 0; }

  // Tiles: rows a*edge() .. against rows b*edge() ..
  size_t edge() const { return edge_; }
  size_t tile_count() const { return tile_count_; }
  size_t rows_of(size_t tile) const;
  size_t stride() const { return stride_; }
  // Where a transposed tile fits.
  size_t buffer_floats() const { return buffer_floats_; }
  // Products of the rows of tile row a with those of b, `stride` floats a row, 64-byte aligned; of a row with
  // itself undefined. In `scratch` where they are not stored like that.
  const float* tile(size_t a, size_t b, float* scratch) const;

 private:
  struct Conditioned {
    Conditioning conditioning;
    PointSums sums;
  };
  Conditioned condition_block(const Points& usable, RunContext& run);
  bool add_exactly(const Points& usable, Conditioning& conditioning, RunContext& run);
  void rescale(int exponent, const RunContext& run);
  void add_products(const Points& all, const Conditioning& conditioning, RunContext& run);
  size_t index_of(size_t a, size_t b) const { return a * tile_count_ - a * (a + 1) / 2 + b; }  // a <= b

  size_t rows_;
  const TileKernels& kernels_;
  size_t edge_;
  size_t tile_count_;
  size_t stride_;
  size_t buffer_floats_;
  std::vector<AlignedBuffer<float>> tiles_;
  bool started_ = false;  // the tiles hold products

  size_t columns_ = 0;
  size_t longest_panel_ = 0;
  size_t panels_ = 0;
  bool has_scale_ = false;
  int scale_exponent_ = 0;
  bool exact_ = true;
  std::vector<double> square_norms_;
  std::vector<uint8_t> oversized_;
};

}  // namespace sieve

#endif  // SIEVE_CORE_COLUMN_STREAM_PRODUCTS_H
