// Distances of samples to class centres in float64.
#ifndef SIEVE_KERNELS_CENTER_KERNELS_H
#define SIEVE_KERNELS_CENTER_KERNELS_H

#include <cstddef>

namespace sieve {

constexpr size_t kCenterRows = 4;   // samples at a time
constexpr size_t kCenterLanes = 8;  // centres at a time

// sums[r*8 + c] += sum over k < count, in order, of (rows[r][column + k] - centers[k*8 + c])^2, for 4 rows
// and 8 centres. Same result from every one of them.
using CenterDistances = void (*)(const float* const* rows, size_t column, size_t count, const double* centers,
                                 double* sums);

CenterDistances center_distances_serial();
// NULL where this build does not have them.
CenterDistances center_distances_avx2();
CenterDistances center_distances_avx512();
CenterDistances center_distances_neon();

}  // namespace sieve

#endif  // SIEVE_KERNELS_CENTER_KERNELS_H
