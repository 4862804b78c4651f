#include "core/column_stream_centers.h"

#include <algorithm>
#include <limits>

#include "core/parallel.h"

namespace sieve {
namespace {

constexpr size_t kColumnsAtOnce = 512;  // of all classes' means in memory
constexpr size_t kColumnGrain = 64;
constexpr size_t kGroupGrain = 8;  // of kCenterRows rows

}  // namespace

StreamCenters::StreamCenters(const StreamRows& rows, int32_t class_count, CenterDistances kernel)
    : kernel_(kernel), slot_of_class_(static_cast<size_t>(class_count), 0) {
  std::vector<size_t> counts(static_cast<size_t>(class_count), 0);
  for (size_t row = 0; row < rows.size(); ++row) {
    if (rows.usable[row] == 0) continue;
    labels_.push_back(rows.labels[row]);
    ++counts[static_cast<size_t>(rows.labels[row])];
  }
  for (size_t label = 0; label < counts.size(); ++label) {
    if (counts[label] == 0) continue;
    slot_of_class_[label] = classes_.size();
    classes_.push_back(static_cast<int32_t>(label));
    counts_.push_back(counts[label]);
  }
  groups_ = (classes_.size() + kCenterLanes - 1) / kCenterLanes;
  const size_t row_groups = (labels_.size() + kCenterRows - 1) / kCenterRows;
  sums_.assign(row_groups * groups_ * kCenterRows * kCenterLanes, 0.0);
}

void StreamCenters::add(const Points& usable, RunContext& run) {
  const size_t row_groups = (labels_.size() + kCenterRows - 1) / kCenterRows;
  const size_t pieces = (usable.columns + kColumnsAtOnce - 1) / kColumnsAtOnce;
  run.begin_phase(0.0, 1.0, pieces * row_groups);
  for (size_t piece = 0; piece < pieces; ++piece) {
    const size_t begin_column = piece * kColumnsAtOnce;
    const size_t count = std::min(kColumnsAtOnce, usable.columns - begin_column);
    find_means(usable, begin_column, count, run);
    parallel_ranges(run, row_groups, kGroupGrain, [&](size_t begin, size_t end, int) {
      float scratch[kCenterRows][kColumnsAtOnce];
      const float* rows[kCenterRows];
      for (size_t r = begin; r < end; ++r) {
        run.throw_if_cancelled();
        for (size_t i = 0; i < kCenterRows; ++i) {
          const size_t point = std::min(r * kCenterRows + i, usable.size() - 1);
          rows[i] = usable.values(point, begin_column, count, scratch[i]);
        }
        double* sums = sums_.data() + r * groups_ * kCenterRows * kCenterLanes;
        for (size_t group = 0; group < groups_; ++group) {
          kernel_(rows, 0, count, means_.data() + group * count * kCenterLanes,
                  sums + group * kCenterRows * kCenterLanes);
        }
      }
      run.advance(end - begin);
    });
  }
}

// Each class's rows are summed in their order, as in core/center_search.cc.
void StreamCenters::find_means(const Points& usable, size_t begin_column, size_t count,
                               const RunContext& run) {
  means_.assign(groups_ * count * kCenterLanes, 0.0);
  parallel_ranges(run, count, kColumnGrain, [&](size_t begin, size_t end, int) {
    float scratch[kColumnGrain];
    const auto means_of = [&](size_t slot) {
      return means_.data() + slot / kCenterLanes * count * kCenterLanes + slot % kCenterLanes;
    };
    for (size_t point = 0; point < usable.size(); ++point) {
      double* sums = means_of(slot_of_class_[static_cast<size_t>(labels_[point])]);
      const float* values = usable.values(point, begin_column + begin, end - begin, scratch);
      for (size_t k = begin; k < end; ++k) sums[k * kCenterLanes] += values[k - begin];
    }
    for (size_t slot = 0; slot < classes_.size(); ++slot) {
      double* sums = means_of(slot);
      for (size_t k = begin; k < end; ++k) sums[k * kCenterLanes] /= static_cast<double>(counts_[slot]);
    }
  });
}

std::vector<int32_t> StreamCenters::nearest_classes() const {
  std::vector<int32_t> nearest(labels_.size(), -1);
  for (size_t point = 0; point < labels_.size(); ++point) {
    const double* sums = sums_.data() + point / kCenterRows * groups_ * kCenterRows * kCenterLanes +
                         point % kCenterRows * kCenterLanes;
    double least = std::numeric_limits<double>::infinity();
    for (size_t slot = 0; slot < classes_.size(); ++slot) {
      const double distance = sums[slot / kCenterLanes * kCenterRows * kCenterLanes + slot % kCenterLanes];
      if (distance < least) {
        least = distance;
        nearest[point] = classes_[slot];
      }
    }
  }
  return nearest;
}

}  // namespace sieve
