// Nearest class centre over sets of columns, in float64 as the definition has it.
#ifndef SIEVE_CORE_CENTER_SEARCH_H
#define SIEVE_CORE_CENTER_SEARCH_H

#include <cstddef>
#include <cstdint>
#include <vector>

#include "core/points.h"
#include "core/run_context.h"
#include "kernels/center_kernels.h"
#include "sieve/sieve.h"

namespace sieve {

class CenterSearch {
 public:
  // Means of the classes over all columns, each summed in the order of the points. The points outlive this.
  // O(points * columns). Fails where the backend is missing.
  CenterSearch(const Points& points, int32_t class_count, RunContext& run);

  // Class of the nearest centre of each point, ties to the lowest class id; classes without points are
  // nobody's. O(points * classes * columns).
  std::vector<int32_t> nearest_centers(const Columns& columns, RunContext& run) const;

  // The same of the points first .. last-1 alone: [last - first].
  std::vector<int32_t> nearest_centers(const Columns& columns, size_t first, size_t last,
                                       RunContext& run) const;

  // For each filter f (columns f*dims ..): how many points have their own class's centre nearest, by the
  // columns of f and of all filters in `base` (ascending). Filters of base get the count of base alone.
  // O(points * classes * columns).
  std::vector<uint64_t> count_with_each(size_t dims, const std::vector<uint32_t>& base,
                                        RunContext& run) const;

  // [class_count * columns], NaN for a class without points.
  void write_centers(double* centers) const;

 private:
  void add_distances(const float* const* rows, ColumnRange range, double* sums) const;
  int32_t nearest_of(const double* sums, size_t row) const;
  bool own_is_nearest(size_t point, const Columns& columns) const;

  const Points& points_;
  CenterDistances center_distances_;
  std::vector<int32_t> classes_;  // those that have points, ascending
  std::vector<size_t> slot_of_class_;
  size_t class_count_;
  size_t groups_;                // of 8 classes
  std::vector<double> centers_;  // [groups, columns, 8]
};

}  // namespace sieve

#endif  // SIEVE_CORE_CENTER_SEARCH_H
