#include "kernels/nearest_serial.h"

#include <algorithm>

namespace sieve {
namespace {

// Rows side by side: each sum is one chain of dependent additions, several chains hide their latency.
constexpr size_t kChains = 8;

template <size_t kCount>
void add_to_sums(const float* query, const float* const* others, const Columns& columns, double* sums) {
  double total[kCount];
  std::copy(sums, sums + kCount, total);
  for (const ColumnRange& range : columns) {
    for (size_t k = range.begin; k < range.begin + range.count; ++k) {
      const double value = query[k];
      for (size_t i = 0; i < kCount; ++i) {
        const double difference = value - static_cast<double>(others[i][k]);
        const double square = difference * difference;
        total[i] += square;
      }
    }
  }
  std::copy(total, total + kCount, sums);
}

}  // namespace

void NearestList::offer(const Neighbour& candidate) {
  if (neighbours_.size() == capacity_) {
    if (capacity_ == 0 || !nearer(candidate, neighbours_.back())) return;
    neighbours_.pop_back();
  }
  neighbours_.insert(std::upper_bound(neighbours_.begin(), neighbours_.end(), candidate, nearer), candidate);
}

void add_distances(const float* query, const float* const* others, size_t count, const Columns& columns,
                   double* sums) {
  size_t i = 0;
  for (; i + kChains <= count; i += kChains) add_to_sums<kChains>(query, others + i, columns, sums + i);
  for (; i + 2 <= count; i += 2) add_to_sums<2>(query, others + i, columns, sums + i);
  if (i < count) add_to_sums<1>(query, others + i, columns, sums + i);
}

void distances_to(const float* query, const Points& points, const uint32_t* others, size_t count,
                  const Columns& columns, double* distances) {
  std::fill_n(distances, count, 0.0);
  RowReader reader(points, kChains);
  const float* rows[kChains];
  for (size_t first = 0; first < count; first += kChains) {
    const size_t some = std::min(kChains, count - first);
    for (size_t i = 0; i < some; ++i) rows[i] = reader.read(i, others[first + i], columns);
    add_distances(query, rows, some, columns, distances + first);
  }
}

void distances_to_all(const float* query, const Points& points, const Columns& columns, double* distances) {
  std::fill_n(distances, points.size(), 0.0);
  RowReader reader(points, kChains);
  const float* rows[kChains];
  for (size_t first = 0; first < points.size(); first += kChains) {
    const size_t some = std::min(kChains, points.size() - first);
    for (size_t i = 0; i < some; ++i) rows[i] = reader.read(i, first + i, columns);
    add_distances(query, rows, some, columns, distances + first);
  }
}

void nearest_serial(const float* query, const Points& points, size_t excluded, const Columns& columns,
                    NearestList& nearest) {
  std::vector<double> distances(points.size());
  distances_to_all(query, points, columns, distances.data());
  for (size_t point = 0; point < points.size(); ++point) {
    if (point != excluded) nearest.offer({distances[point], static_cast<uint32_t>(point)});
  }
}

}  // namespace sieve
