// Lower bounds of all pairs' distances over the columns selected so far, 16 bits each, so that new balls
// (core/selection_balls.h) cost a look at every pair instead of a product over all those columns.
//
// Entries count in `unit`, a power of two, so that e * unit is exact. With distances in the conditioned scale
// and lower(i,j) <= d(i,j) <= lower(i,j) + s_i + s_j over the columns of one `add` (kernels/tile_kernels.h),
//     e(i,j) += floor(max(0, lower(i,j)) / unit)
// is off by less than unit, so that after k calls, with S_i the sum of s_i over the calls,
//     e unit  <=  D(i,j)  <=  e unit + k unit + S_i + S_j,
// the reference's own rounding aside (SelectionError). An entry that reached kPairLimit stays there and keeps
// its lower bound only. Therefore members of a ball of radius r are the entries e < r / unit <= kPairLimit.
//
// Points * points bytes, half of the square.
#ifndef SIEVE_CORE_SELECTION_TABLE_H
#define SIEVE_CORE_SELECTION_TABLE_H

#include <cstddef>
#include <cstdint>
#include <vector>

#include "core/aligned_buffer.h"
#include "core/aligned_floats.h"
#include "core/conditioning.h"
#include "core/points.h"
#include "core/run_context.h"
#include "core/selection_balls.h"
#include "kernels/pair_kernels.h"
#include "kernels/tile_kernels.h"

namespace sieve {

class PairTable {
 public:
  // Bytes of the table and of the work on it.
  static size_t bytes(size_t points, int threads);

  // All entries 0. largest: the largest distance that has to be told from larger ones, positive.
  PairTable(const Points& points, const Conditioning& conditioning, const TileKernels& tile_kernels,
            const PairKernels& pair_kernels, double largest);

  // Adds columns that were not added before. O(points^2 * columns).
  void add(const Columns& columns, RunContext& run);

  // What entries are short of distances, the points' own slack aside.
  float gap() const { return static_cast<float>(additions_) * unit_; }

  // No radius may be larger.
  float largest_radius() const;

  // Radii that give each of `queries` about `wanted` members, from a sample of the points.
  std::vector<float> sampled_radii(const std::vector<uint32_t>& queries, size_t wanted,
                                   const RunContext& run) const;

  // As fill_balls() of core/selection_balls.h, over the columns added. O(points^2) however few the queries.
  void fill_balls(const std::vector<uint32_t>& queries, const std::vector<float>& radii, size_t capacity,
                  std::vector<Ball>& balls, const RunContext& run) const;

 private:
  size_t block_size(size_t block) const;
  uint16_t* tile(size_t a, size_t b) const;
  uint16_t entry(size_t i, size_t j) const;
  void add_panel(const Columns& columns, RunContext& run);

  const Points& points_;
  const Conditioning& conditioning_;
  const TileKernels& tile_kernels_;
  const PairKernels& pair_kernels_;
  size_t blocks_;
  float unit_;
  size_t additions_ = 0;
  std::vector<double> slacks_;  // S of each point
  AlignedBuffer<uint16_t> entries_;
};

}  // namespace sieve

#endif  // SIEVE_CORE_SELECTION_TABLE_H
