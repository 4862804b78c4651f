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
// that one outlier neither moves it nor sets the scale: a typical centred value is about 1. may_be_exact:
// data that float32 holds without rounding keep their values, with a centre of 0.
Conditioning condition(const std::vector<const Points*>& sets, RunContext& run, bool may_be_exact = true);

// Points whose conditioned norm may be above `largest_norm`, ascending. They are left to the float64
// reference.
std::vector<uint32_t> oversized_points(const Points& points, const Conditioning& conditioning,
                                       double largest_norm);

// Norms up to this keep float32 products finite.
constexpr double kLargestFloat32Norm = 0x1p40;

// Of each point, over a set of columns of the conditioned values. Sums of disjoint column sets add.
struct PointSums {
  std::vector<double> square_norms;
  std::vector<uint64_t> hashes;          // equal rows (0 = -0) have equal hashes
  std::vector<double> square_residuals;  // what rounding to 16 bits took away; empty where nothing is rounded

  void add(const PointSums& other);
};

PointSums point_sums(const Points& points, const Columns& columns, const Conditioning& conditioning,
                     const RunContext& run);

// The numbers of a point's bound: lower(i,j) = lower_norm[i] + lower_norm[j] - 2 g(i,j), and upper =
// growth * (lower + slack[i] + slack[j]), on the squared distance times 1 / (1 - quotient).
struct PointBounds {
  std::vector<float> lower_norms;
  std::vector<float> slacks;
  float growth = 1.0f;
  double unit = 1.0;  // what a squared distance of 1 in the data is in these bounds, rounded up
};

// `dims` columns, added up in at most `chain` rounded float32 operations an element. quotient: q of
// kernels/rounded_kernels.h, 0 where nothing was rounded off on either side.
PointBounds point_bounds(const PointSums& sums, size_t dims, size_t chain, const Conditioning& conditioning,
                         double quotient);

}  // namespace sieve

#endif  // SIEVE_CORE_CONDITIONING_H
