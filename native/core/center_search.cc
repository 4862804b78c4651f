#include "core/center_search.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "core/backend.h"
#include "core/parallel.h"

namespace sieve {
namespace {

constexpr size_t kColumnGrain = 256;
constexpr size_t kPointGrain = 32;  // a multiple of kCenterRows

// Up to kCenterRows points from `first` on; the last is repeated.
void read_rows(RowReader& reader, size_t first, size_t end, const Columns& columns, const float** rows) {
  for (size_t r = 0; r < kCenterRows; ++r) {
    rows[r] = reader.read(r, std::min(first + r, end - 1), columns);
  }
}

}  // namespace

CenterSearch::CenterSearch(const Points& points, int32_t class_count, RunContext& run)
    : points_(points),
      center_distances_(center_distances(resolve_backend(run.requested_backend()))),
      slot_of_class_(static_cast<size_t>(class_count), 0),
      class_count_(static_cast<size_t>(class_count)) {
  std::vector<uint64_t> counts(class_count_, 0);
  for (const int32_t label : points.labels) ++counts[static_cast<size_t>(label)];
  for (size_t label = 0; label < class_count_; ++label) {
    if (counts[label] == 0) continue;
    slot_of_class_[label] = classes_.size();
    classes_.push_back(static_cast<int32_t>(label));
  }
  groups_ = (classes_.size() + kCenterLanes - 1) / kCenterLanes;
  centers_.assign(groups_ * points.columns * kCenterLanes, 0.0);

  parallel_ranges(run, points.columns, kColumnGrain, [&](size_t begin, size_t end, int) {
    std::vector<float> scratch(points_.decode != nullptr ? end - begin : 0);
    for (size_t point = 0; point < points_.size(); ++point) {
      const size_t slot = slot_of_class_[static_cast<size_t>(points_.labels[point])];
      double* sums =
          centers_.data() + slot / kCenterLanes * points_.columns * kCenterLanes + slot % kCenterLanes;
      const float* values = points_.values(point, begin, end - begin, scratch.data());
      for (size_t k = begin; k < end; ++k) sums[k * kCenterLanes] += values[k - begin];
    }
    for (size_t slot = 0; slot < classes_.size(); ++slot) {
      double* sums =
          centers_.data() + slot / kCenterLanes * points_.columns * kCenterLanes + slot % kCenterLanes;
      const double count = static_cast<double>(counts[static_cast<size_t>(classes_[slot])]);
      for (size_t k = begin; k < end; ++k) sums[k * kCenterLanes] /= count;
    }
  });
}

void CenterSearch::add_distances(const float* const* rows, ColumnRange range, double* sums) const {
  for (size_t group = 0; group < groups_; ++group) {
    center_distances_(rows, range.begin, range.count,
                      centers_.data() + (group * points_.columns + range.begin) * kCenterLanes,
                      sums + group * kCenterRows * kCenterLanes);
  }
}

int32_t CenterSearch::nearest_of(const double* sums, size_t row) const {
  double least = std::numeric_limits<double>::infinity();
  int32_t nearest = -1;
  for (size_t slot = 0; slot < classes_.size(); ++slot) {
    const double distance =
        sums[(slot / kCenterLanes * kCenterRows + row) * kCenterLanes + slot % kCenterLanes];
    if (distance < least) {
      least = distance;
      nearest = classes_[slot];
    }
  }
  return nearest;
}

std::vector<int32_t> CenterSearch::nearest_centers(const Columns& columns, RunContext& run) const {
  return nearest_centers(columns, 0, points_.size(), run);
}

std::vector<int32_t> CenterSearch::nearest_centers(const Columns& columns, size_t first, size_t last,
                                                   RunContext& run) const {
  std::vector<int32_t> nearest(last - first);
  parallel_ranges(run, nearest.size(), kPointGrain, [&](size_t begin, size_t end, int) {
    std::vector<double> sums(groups_ * kCenterRows * kCenterLanes);
    RowReader reader(points_, kCenterRows);
    const float* rows[kCenterRows];
    for (size_t at = begin; at < end; at += kCenterRows) {
      run.throw_if_cancelled();
      read_rows(reader, first + at, first + end, columns, rows);
      std::fill(sums.begin(), sums.end(), 0.0);
      for (const ColumnRange& range : columns) add_distances(rows, range, sums.data());
      for (size_t r = 0; r < kCenterRows && at + r < end; ++r) nearest[at + r] = nearest_of(sums.data(), r);
    }
    run.advance(end - begin);
  });
  return nearest;
}

bool CenterSearch::own_is_nearest(size_t point, const Columns& columns) const {
  RowReader reader(points_, 1);
  const float* rows[kCenterRows];
  read_rows(reader, point, point + 1, columns, rows);
  std::vector<double> sums(groups_ * kCenterRows * kCenterLanes, 0.0);
  for (const ColumnRange& range : columns) add_distances(rows, range, sums.data());
  return nearest_of(sums.data(), 0) == points_.labels[point];
}

std::vector<uint64_t> CenterSearch::count_with_each(size_t dims, const std::vector<uint32_t>& base,
                                                    RunContext& run) const {
  const size_t filters = points_.columns / dims;
  const size_t sums_size = groups_ * kCenterRows * kCenterLanes;
  const size_t blocks = (points_.size() + kPointGrain - 1) / kPointGrain;
  // Two orders of summation of these terms differ by less than this share of the sum.
  const double tolerance = 4.0 * (static_cast<double>(points_.columns) + 4.0) * 0x1p-53;
  std::vector<uint8_t> in_base(filters, 0);
  for (const uint32_t filter : base) in_base[filter] = 1;

  std::vector<std::vector<uint64_t>> counts(static_cast<size_t>(worker_count(run, blocks)));
  parallel_ranges(run, points_.size(), kPointGrain, [&](size_t begin, size_t end, int worker) {
    std::vector<uint64_t>& count = counts[static_cast<size_t>(worker)];
    count.resize(filters, 0);
    std::vector<double> base_sums(sums_size), joint(sums_size);
    RowReader reader(points_, kCenterRows);
    const Columns all{{0, points_.columns}};
    const float* rows[kCenterRows];
    for (size_t first = begin; first < end; first += kCenterRows) {
      run.throw_if_cancelled();
      read_rows(reader, first, end, all, rows);
      std::fill(base_sums.begin(), base_sums.end(), 0.0);
      for (const uint32_t filter : base) add_distances(rows, {filter * dims, dims}, base_sums.data());
      for (size_t filter = 0; filter < filters; ++filter) {
        joint = base_sums;
        if (in_base[filter] == 0) add_distances(rows, {filter * dims, dims}, joint.data());
        for (size_t r = 0; r < kCenterRows && first + r < end; ++r) {
          const int32_t own = points_.labels[first + r];
          double own_distance = 0.0, other_distance = std::numeric_limits<double>::infinity();
          for (size_t slot = 0; slot < classes_.size(); ++slot) {
            const double distance =
                joint[(slot / kCenterLanes * kCenterRows + r) * kCenterLanes + slot % kCenterLanes];
            if (classes_[slot] == own) {
              own_distance = distance;
            } else {
              other_distance = std::min(other_distance, distance);
            }
          }
          // Not true for an infinity: then the own class is the only one.
          const bool close =
              std::abs(own_distance - other_distance) <= tolerance * (own_distance + other_distance) &&
              std::isfinite(other_distance);
          if (close ? own_is_nearest(first + r, joint_columns(base, static_cast<uint32_t>(filter), dims))
                    : own_distance < other_distance) {
            ++count[filter];
          }
        }
      }
    }
    run.advance(end - begin);
  });
  std::vector<uint64_t> total(filters, 0);
  for (const std::vector<uint64_t>& count : counts) {
    for (size_t filter = 0; filter < count.size(); ++filter) total[filter] += count[filter];
  }
  return total;
}

void CenterSearch::write_centers(double* centers) const {
  std::fill_n(centers, class_count_ * points_.columns, std::numeric_limits<double>::quiet_NaN());
  for (size_t slot = 0; slot < classes_.size(); ++slot) {
    const double* from =
        centers_.data() + slot / kCenterLanes * points_.columns * kCenterLanes + slot % kCenterLanes;
    double* to = centers + static_cast<size_t>(classes_[slot]) * points_.columns;
    for (size_t k = 0; k < points_.columns; ++k) to[k] = from[k * kCenterLanes];
  }
}

}  // namespace sieve
