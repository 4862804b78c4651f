// Nearest class centres as the float64 definition has them: distances summed in the order of the columns,
// ties to the lowest class id.
#ifndef SIEVE_CORE_CENTER_SEARCH_H
#define SIEVE_CORE_CENTER_SEARCH_H

#include <cstddef>
#include <cstdint>
#include <vector>

#include "core/class_centers.h"
#include "core/points.h"
#include "core/run_context.h"
#include "kernels/center_kernels.h"

namespace sieve {

// The definition itself, for a few points at a time. One per thread.
class CenterReference {
 public:
  CenterReference(const Points& points, const ClassCenters& centers, const CenterKernels& kernels);

  // Classes of the nearest centres of up to kCenterRows points. groups: those groups of kCenterLanes slots
  // that can hold them, ascending.
  void nearest(const uint32_t* which, size_t count, const Columns& columns,
               const std::vector<uint32_t>& groups, int32_t* classes);

  // The distances themselves, to the centres of all groups: [groups, kCenterRows, kCenterLanes]. Valid until
  // the next call.
  const double* distances(const uint32_t* which, size_t count, const Columns& columns);

  const std::vector<uint32_t>& all_groups() const { return all_groups_; }

 private:
  void measure(const uint32_t* which, size_t count, const Columns& columns,
               const std::vector<uint32_t>& groups);

  const ClassCenters& centers_;
  const CenterKernels& kernels_;
  RowReader reader_;
  std::vector<uint32_t> all_groups_;
  std::vector<double> sums_;  // [groups, kCenterRows, kCenterLanes]
};

// Classes of the nearest centres of the points first .. last-1, over all columns: [last - first]. Float32
// products decide where their bound lets them, the reference the rest. O(points * classes * columns).
// Advances the run by the points.
std::vector<int32_t> nearest_centers(const Points& points, const ClassCenters& centers,
                                     const CenterKernels& kernels, size_t first, size_t last,
                                     RunContext& run);

}  // namespace sieve

#endif  // SIEVE_CORE_CENTER_SEARCH_H
