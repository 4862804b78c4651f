// CSI of a column stream: the means of a block's columns are known when the block is, so the float64
// distances to them add up in one pass, in the order of the columns. rows * classes * 8 bytes.
#ifndef SIEVE_CORE_COLUMN_STREAM_CENTERS_H
#define SIEVE_CORE_COLUMN_STREAM_CENTERS_H

#include <cstddef>
#include <cstdint>
#include <vector>

#include "core/column_stream_rows.h"
#include "core/points.h"
#include "core/run_context.h"
#include "kernels/center_kernels.h"

namespace sieve {

class StreamCenters {
 public:
  StreamCenters(const StreamRows& rows, int32_t class_count, CenterDistances kernel);

  // The usable points of a block, the same rows in every block. O(rows * classes * columns).
  void add(const Points& usable, RunContext& run);

  // The class of the nearest mean of each usable row, ascending; ties to the lowest class.
  std::vector<int32_t> nearest_classes() const;

  // The usable rows and their labels, in order.
  const std::vector<int32_t>& labels() const { return labels_; }

 private:
  void find_means(const Points& usable, size_t begin_column, size_t count, const RunContext& run);

  CenterDistances kernel_;
  std::vector<int32_t> labels_;
  std::vector<int32_t> classes_;  // those that have rows, ascending
  std::vector<size_t> slot_of_class_;
  std::vector<size_t> counts_;  // of each slot
  size_t groups_;               // of kCenterLanes classes
  std::vector<double> means_;   // [groups, columns, kCenterLanes]
  std::vector<double> sums_;    // [row groups, groups, kCenterRows, kCenterLanes]
};

}  // namespace sieve

#endif  // SIEVE_CORE_COLUMN_STREAM_CENTERS_H
