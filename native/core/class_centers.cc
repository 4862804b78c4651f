#include "core/class_centers.h"

#include <algorithm>
#include <limits>

#include "core/parallel.h"

namespace sieve {
namespace {

// The sums that a thread works on stay in the second-level cache.
constexpr size_t kSumsBytes = size_t{256} << 10;
// Reading fewer columns of a row at a time would waste what memory delivers with them.
constexpr size_t kLeastColumns = 256;
constexpr size_t kDecodedColumns = 512;
constexpr size_t kPointsBetweenChecks = 256;

size_t rounded_up(size_t value, size_t step) { return (value + step - 1) / step * step; }

// Cuts the slots into `parts` runs of about as many points.
std::vector<size_t> cut_slots(const std::vector<uint64_t>& counts, size_t points, size_t parts) {
  std::vector<size_t> firsts{0};
  uint64_t seen = 0;
  for (size_t slot = 0; slot < counts.size(); ++slot) {
    if (slot > firsts.back() && seen * parts >= points * firsts.size()) firsts.push_back(slot);
    seen += counts[slot];
  }
  firsts.push_back(counts.size());
  return firsts;
}

// Rows of each class that wait until there are kSummedRows of them.
class WaitingRows {
 public:
  WaitingRows(const Points& points, const CenterKernels& kernels, size_t slots)
      : points_(points),
        kernels_(kernels),
        waiting_(slots * kSummedRows),
        counts_(slots, 0),
        decoded_(points.decode != nullptr ? kSummedRows * kDecodedColumns : 0) {}

  void add(uint32_t point, size_t slot, size_t begin, size_t columns, double* sums) {
    waiting_[slot * kSummedRows + counts_[slot]++] = point;
    if (counts_[slot] == kSummedRows) sum(slot, begin, columns, sums);
  }

  void sum(size_t slot, size_t begin, size_t columns, double* sums) {
    const uint32_t* waiting = waiting_.data() + slot * kSummedRows;
    const size_t step = decoded_.empty() ? columns : kDecodedColumns;
    const float* rows[kSummedRows];
    for (size_t k = 0; k < columns; k += step) {
      const size_t some = std::min(step, columns - k);
      for (size_t i = 0; i < counts_[slot]; ++i) {
        float* scratch = decoded_.empty() ? nullptr : decoded_.data() + i * kDecodedColumns;
        rows[i] = points_.values(waiting[i], begin + k, some, scratch);
      }
      kernels_.accumulate(rows, counts_[slot], some, sums + k);
    }
    counts_[slot] = 0;
  }

 private:
  const Points& points_;
  const CenterKernels& kernels_;
  std::vector<uint32_t> waiting_;  // [slots, kSummedRows]
  std::vector<size_t> counts_;
  std::vector<float> decoded_;
};

}  // namespace

bool ClassCenters::finite() const {
  // A product with zero is NaN exactly for NaN and infinities.
  double zeros[kCenterLanes] = {};
  for (size_t i = 0; i < values.size(); i += kCenterLanes) {
    for (size_t lane = 0; lane < kCenterLanes; ++lane) zeros[lane] += values[i + lane] * 0.0;
  }
  return std::all_of(zeros, zeros + kCenterLanes, [](double zero) { return zero == 0.0; });
}

void ClassCenters::write(double* out) const {
  std::fill_n(out, slot_of_class.size() * columns, std::numeric_limits<double>::quiet_NaN());
  for (size_t slot = 0; slot < size(); ++slot) {
    const double* from = of_slot(slot);
    double* to = out + static_cast<size_t>(classes[slot]) * columns;
    for (size_t k = 0; k < columns; ++k) to[k] = from[k * kCenterLanes];
  }
}

ClassCenters class_centers(const Points& points, int32_t class_count, const CenterKernels& kernels,
                           const RunContext& run) {
  ClassCenters centers;
  centers.columns = points.columns;
  centers.slot_of_class.assign(static_cast<size_t>(class_count), 0);
  std::vector<uint64_t> class_counts(static_cast<size_t>(class_count), 0), counts;
  for (const int32_t label : points.labels) ++class_counts[static_cast<size_t>(label)];
  for (size_t label = 0; label < class_counts.size(); ++label) {
    if (class_counts[label] == 0) continue;
    centers.slot_of_class[label] = centers.classes.size();
    centers.classes.push_back(static_cast<int32_t>(label));
    counts.push_back(class_counts[label]);
  }
  centers.values.assign(centers.groups() * points.columns * kCenterLanes, 0.0);

  // A piece of work is a stripe of columns of the points of a run of classes.
  const size_t threads = static_cast<size_t>(run.threads());
  const size_t fitting = std::max(kSumsBytes / sizeof(double) / counts.size(), kLeastColumns);
  const size_t shared = (points.columns + threads - 1) / threads;
  const size_t most = std::min(fitting, std::max(shared, kLeastColumns));
  const size_t width = rounded_up(points.columns / ((points.columns + most - 1) / most), 16);
  const size_t stripes = (points.columns + width - 1) / width;
  const std::vector<size_t> firsts =
      cut_slots(counts, points.size(), std::max<size_t>(1, std::min(counts.size(), threads / stripes)));
  const size_t parts = firsts.size() - 1;
  std::vector<std::vector<uint32_t>> members(parts);
  for (size_t point = 0; point < points.size(); ++point) {
    const size_t slot = centers.slot_of_class[static_cast<size_t>(points.labels[point])];
    const size_t part =
        static_cast<size_t>(std::upper_bound(firsts.begin(), firsts.end(), slot) - firsts.begin()) - 1;
    members[part].push_back(static_cast<uint32_t>(point));
  }

  parallel_for(run, stripes * parts, [&](size_t piece, int) {
    const size_t begin = piece / parts * width;
    const size_t count = std::min(width, points.columns - begin);
    const size_t first_slot = firsts[piece % parts], last_slot = firsts[piece % parts + 1];
    const std::vector<uint32_t>& taken = members[piece % parts];
    std::vector<double> sums((last_slot - first_slot) * width, 0.0);
    WaitingRows waiting(points, kernels, last_slot - first_slot);
    for (size_t i = 0; i < taken.size(); ++i) {
      if (i % kPointsBetweenChecks == 0) run.throw_if_cancelled();
      const size_t slot = centers.slot_of_class[static_cast<size_t>(points.labels[taken[i]])] - first_slot;
      waiting.add(taken[i], slot, begin, count, sums.data() + slot * width);
    }
    for (size_t slot = 0; slot < last_slot - first_slot; ++slot) {
      waiting.sum(slot, begin, count, sums.data() + slot * width);
    }
    for (size_t slot = first_slot; slot < last_slot; ++slot) {
      double* mean = centers.values.data() + (centers.of_slot(slot) - centers.values.data());
      const double* sum = sums.data() + (slot - first_slot) * width;
      for (size_t k = 0; k < count; ++k) {
        mean[(begin + k) * kCenterLanes] = sum[k] / static_cast<double>(counts[slot]);
      }
    }
  });
  return centers;
}

}  // namespace sieve
