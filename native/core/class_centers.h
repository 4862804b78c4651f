// Means of the classes, in float64.
#ifndef SIEVE_CORE_CLASS_CENTERS_H
#define SIEVE_CORE_CLASS_CENTERS_H

#include <cstddef>
#include <cstdint>
#include <vector>

#include "core/points.h"
#include "core/run_context.h"
#include "kernels/center_kernels.h"

namespace sieve {

struct ClassCenters {
  std::vector<int32_t> classes;       // those that have points, ascending; a centre's slot is its place here
  std::vector<size_t> slot_of_class;  // [class_count], 0 where the class has no points
  size_t columns = 0;
  std::vector<double> values;  // [groups, columns, kCenterLanes], zeros behind the last slot

  size_t size() const { return classes.size(); }
  size_t groups() const { return (classes.size() + kCenterLanes - 1) / kCenterLanes; }
  // Element k of the centre is [k * kCenterLanes].
  const double* of_slot(size_t slot) const {
    return values.data() + slot / kCenterLanes * columns * kCenterLanes + slot % kCenterLanes;
  }
  // Exactly where all values of all points are: sums of floats do not overflow float64, and NaN and
  // infinities persist.
  bool finite() const;
  // [class_count * columns], NaN for a class without points.
  void write(double* out) const;
};

// Each class's rows are summed in their order, whatever the number of threads. O(points * columns), one pass
// over the data.
ClassCenters class_centers(const Points& points, int32_t class_count, const CenterKernels& kernels,
                           const RunContext& run);

}  // namespace sieve

#endif  // SIEVE_CORE_CLASS_CENTERS_H
