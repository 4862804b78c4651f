#include "kernels/nearest_serial.h"

#include <algorithm>

namespace sieve {
namespace {

// Rows side by side: each sum is one chain of dependent additions, several chains hide their latency.
constexpr size_t kChains = 8;

template <size_t kCount>
void distances_of(const float* query, const float* const* others, const Columns& columns, double* distances) {
  double sums[kCount] = {};
  for (const ColumnRange& range : columns) {
    for (size_t k = range.begin; k < range.begin + range.count; ++k) {
      const double value = query[k];
      for (size_t i = 0; i < kCount; ++i) {
        const double difference = value - static_cast<double>(others[i][k]);
        const double square = difference * difference;
        sums[i] += square;
      }
    }
  }
  std::copy(sums, sums + kCount, distances);
}

}  // namespace

void NearestList::offer(const Neighbour& candidate) {
  if (neighbours_.size() == capacity_) {
    if (capacity_ == 0 || !nearer(candidate, neighbours_.back())) return;
    neighbours_.pop_back();
  }
  neighbours_.insert(std::upper_bound(neighbours_.begin(), neighbours_.end(), candidate, nearer), candidate);
}

void reference_distances(const float* query, const float* const* others, size_t count, const Columns& columns,
                         double* distances) {
  size_t i = 0;
  for (; i + kChains <= count; i += kChains) distances_of<kChains>(query, others + i, columns, distances + i);
  for (; i + 2 <= count; i += 2) distances_of<2>(query, others + i, columns, distances + i);
  if (i < count) distances_of<1>(query, others + i, columns, distances + i);
}

void nearest_serial(const float* query, const Points& points, size_t excluded, const Columns& columns,
                    NearestList& nearest) {
  const float* rows[kChains];
  double distances[kChains];
  for (size_t first = 0; first < points.size(); first += kChains) {
    const size_t count = std::min(kChains, points.size() - first);
    for (size_t i = 0; i < count; ++i) rows[i] = points.row(first + i);
    reference_distances(query, rows, count, columns, distances);
    for (size_t i = 0; i < count; ++i) {
      if (first + i != excluded) nearest.offer({distances[i], static_cast<uint32_t>(first + i)});
    }
  }
}

}  // namespace sieve
