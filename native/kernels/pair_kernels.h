// A row of 16-bit lower bounds of squared distances (core/selection_table.h): adding to it and searching it.
#ifndef SIEVE_KERNELS_PAIR_KERNELS_H
#define SIEVE_KERNELS_PAIR_KERNELS_H

#include <cstddef>
#include <cstdint>

namespace sieve {

constexpr uint16_t kPairLimit = 0xffff;  // an entry that is that much or more

struct PairKernels {
  // row[j] += floor(lower * per_unit) for j < count, at most kPairLimit, where lower = max(0, row_norm +
  // column_norms[j] - 2*products[j]). per_unit: a power of two.
  void (*add)(const float* products, const float* column_norms, float row_norm, float per_unit, size_t count,
              uint16_t* row);

  // The columns j in [begin, end) with row[j] < max(row_limit, column_limits[j]), ascending. Returns how
  // many; found has room for end - begin and one more.
  size_t (*below)(const uint16_t* row, const uint16_t* column_limits, uint16_t row_limit, size_t begin,
                  size_t end, uint32_t* found);
};

const PairKernels* pair_kernels_serial();
// NULL where this build does not have them.
const PairKernels* pair_kernels_avx2();
const PairKernels* pair_kernels_avx512();

}  // namespace sieve

#endif  // SIEVE_KERNELS_PAIR_KERNELS_H
