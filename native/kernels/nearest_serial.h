// The reference: float64, in the order of the columns, ties to the lowest point. It defines the answer of
// every other kernel, and settles what float32 can not.
#ifndef SIEVE_KERNELS_NEAREST_SERIAL_H
#define SIEVE_KERNELS_NEAREST_SERIAL_H

#include <cstddef>
#include <cstdint>
#include <vector>

#include "core/points.h"

namespace sieve {

struct Neighbour {
  double distance;  // squared
  uint32_t point;
};

inline bool nearer(const Neighbour& a, const Neighbour& b) {
  return a.distance < b.distance || (a.distance == b.distance && a.point < b.point);
}

// The `capacity` nearest of all that were offered, in order.
class NearestList {
 public:
  explicit NearestList(size_t capacity) : capacity_(capacity) { neighbours_.reserve(capacity); }
  void offer(const Neighbour& candidate);
  const std::vector<Neighbour>& neighbours() const { return neighbours_; }
  void clear() { neighbours_.clear(); }

 private:
  size_t capacity_;
  std::vector<Neighbour> neighbours_;
};

// sums[i] += ((double)query[k] - (double)others[i][k])^2 for every one of the columns, in order, each
// operation rounded once to float64: sums that start at 0 become distances, whether the columns come at once
// or in parts. sums: [count].
void add_distances(const float* query, const float* const* others, size_t count, const Columns& columns,
                   double* sums);

// The distances to every one of the points: distances [points.size()].
void distances_to_all(const float* query, const Points& points, const Columns& columns, double* distances);

// The same to some of the points: distances [count].
void distances_to(const float* query, const Points& points, const uint32_t* others, size_t count,
                  const Columns& columns, double* distances);

constexpr size_t kNoPoint = static_cast<size_t>(-1);

// Offers every point but `excluded` (kNoPoint: none) to `nearest`. O(points * columns).
void nearest_serial(const float* query, const Points& points, size_t excluded, const Columns& columns,
                    NearestList& nearest);

}  // namespace sieve

#endif  // SIEVE_KERNELS_NEAREST_SERIAL_H
