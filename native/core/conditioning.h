// Centre and scale that bring the data into float32's comfortable range, and the bound that holds there
// (derived in kernels/tile_kernels.h). Also the per-point sums that the search needs of a set of columns.
#ifndef SIEVE_CORE_CONDITIONING_H
#define SIEVE_CORE_CONDITIONING_H

#include <cstddef>
#include <cstdint>
#include <vector>

#include "core/points.h"

namespace sieve {

struct Conditioning {
  float scale = 1.0f;         // a power of two
  std::vector<float> center;  // [columns], already scaled: a value becomes x*scale - center
  // All values are integers times 1/scale, and so small that float32 rounds nowhere: bounds are then zero.
  bool exact = false;
};

// Looks at all sets together. The centre is the mean of the rows whose norm is not far above the median, so
// that one outlier neither moves it nor sets the scale: a typical centred row has norm 1.
Conditioning condition(const std::vector<const Points*>& sets, RunContext& run);

// Points so far out that their float32 norm could overflow (2^40 times a typical row), ascending. They are
// left to the float64 reference.
std::vector<uint32_t> oversized_points(const Points& points, const Conditioning& conditioning);

// Of each point, over a set of columns of the conditioned float32 values. Sums of disjoint column sets add.
struct PointSums {
  std::vector<double> square_norms;
  std::vector<uint64_t> hashes;  // equal rows (0 = -0) have equal hashes

  void add(const PointSums& other);
};

PointSums point_sums(const Points& points, const Columns& columns, const Conditioning& conditioning,
                     const RunContext& run);

// The two numbers of a point's bound: lower(i,j) = lower_norm[i] + lower_norm[j] - 2 g(i,j), and upper =
// lower + slack[i] + slack[j].
struct PointBounds {
  std::vector<float> lower_norms;
  std::vector<float> slacks;
};

// `dims` columns, added up in at most `chain` rounded float32 operations an element.
PointBounds point_bounds(const PointSums& sums, size_t dims, size_t chain, const Conditioning& conditioning);

}  // namespace sieve

#endif  // SIEVE_CORE_CONDITIONING_H
