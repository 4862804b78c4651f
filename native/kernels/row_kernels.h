// Sums over one or two rows in float64, in whatever order is fast: within (count + 3) 2^-53 of the exact
// value, relative, since all terms are positive. Where the last bit decides, nearest_serial.h does.
#ifndef SIEVE_KERNELS_ROW_KERNELS_H
#define SIEVE_KERNELS_ROW_KERNELS_H

#include <cstddef>

namespace sieve {

struct RowKernels {
  // Sum of squares. Finite exactly where all values are: squares of floats do not overflow float64, and NaN
  // and infinity persist.
  double (*square_norm)(const float* row, size_t count);
  // Squared Euclidean distance.
  double (*square_distance)(const float* a, const float* b, size_t count);
};

const RowKernels* row_kernels_serial();
// NULL where this build does not have them.
const RowKernels* row_kernels_avx2();
const RowKernels* row_kernels_avx512();
const RowKernels* row_kernels_neon();

}  // namespace sieve

#endif  // SIEVE_KERNELS_ROW_KERNELS_H
