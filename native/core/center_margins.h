// Which points have their own class's centre nearest, for many sets of filters: distances add over filters,
// so what each filter says about a point is worked out once and added up for every set.
#ifndef SIEVE_CORE_CENTER_MARGINS_H
#define SIEVE_CORE_CENTER_MARGINS_H

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "core/aligned_floats.h"
#include "core/center_products.h"
#include "core/center_search.h"
#include "core/class_centers.h"
#include "core/points.h"
#include "core/run_context.h"

namespace sieve {

// Numerics. The margin of a point in a centre is the distance to it less the distance to the own class's. Of
// each filter f the float32 margins m_fc are kept, with one number e_f >= |m_fc - what exact arithmetic
// gives|
// + the most that float64 summation of the reference can add, for all c (proof in kernels/center_kernels.h;
// from float64 distances: their own error alone). A set's margin is the sum of its filters'; the sum of all
// but the last is float64, rounded to float32, and one float32 addition follows: with B and M the largest
// |sum| and |m_fc|, 4u (B + M), u = 2^-24, covers these roundings. A set's least margin beyond +- the sum of
// the bounds says what the reference would; anything else (NaN, too) is left to the reference.
class CenterMargins {
 public:
  // Filter f owns columns f*dims ..; the points outlive this. O(points * classes * columns).
  CenterMargins(const Points& points, int32_t class_count, size_t dims, RunContext& run);

  // How many points have their own class's centre nearest by the filters of `base` and each of `candidates`,
  // none of which is in base. Advances the run by the points.
  std::vector<uint64_t> hits_with_each(const std::vector<uint32_t>& base,
                                       const std::vector<uint32_t>& candidates, RunContext& run) const;

  // The same for sets, each ascending.
  std::vector<uint64_t> hits_of_sets(const std::vector<std::vector<uint32_t>>& sets, RunContext& run) const;

 private:
  struct Worker;

  void measure(size_t block, size_t filter, Worker& worker, float* margins, float* bounds) const;
  const float* of_filter(size_t block, size_t filter, Worker& worker) const;
  void sum_up(size_t block, const std::vector<uint32_t>& filters, Worker& worker) const;
  size_t count_hits(size_t block, const float* added, Worker& worker,
                    const std::function<Columns()>& columns) const;
  std::vector<uint64_t> over_blocks(
      size_t results, RunContext& run,
      const std::function<void(size_t block, Worker& worker, uint64_t* hits)>& body) const;

  const Points& points_;
  size_t dims_;
  size_t filters_;
  const CenterKernels& kernels_;
  ClassCenters centers_;
  std::unique_ptr<CenterProducts> products_;  // NULL: margins come from the reference's distances
  size_t filter_floats_;                      // of one block of points: the margins, then the bounds
  std::vector<AlignedFloats> stored_;         // of each block; empty where they would take too much memory
};

}  // namespace sieve

#endif  // SIEVE_CORE_CENTER_MARGINS_H
