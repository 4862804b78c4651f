#include <immintrin.h>

#include "kernels/gram.h"

namespace sieve {
namespace {

constexpr std::size_t kLanes = 8;

// Masked extraction of both halves, because the plain forms read the undefined value that gcc 12 warns of.
__m256d halves_added(__m512d value) {
  return _mm256_add_pd(_mm512_maskz_extractf64x4_pd(0xff, value, 0),
                       _mm512_maskz_extractf64x4_pd(0xff, value, 1));
}

// The lane sums of four vectors, in order.
__m256d sums_of_lanes(const __m512d* values) {
  const __m256d first = _mm256_hadd_pd(halves_added(values[0]), halves_added(values[1]));
  const __m256d second = _mm256_hadd_pd(halves_added(values[2]), halves_added(values[3]));
  return _mm256_add_pd(_mm256_permute2f128_pd(first, second, 0x20),
                       _mm256_permute2f128_pd(first, second, 0x31));
}

void dot_tile(const double* a, std::size_t a_stride, const double* b, std::size_t b_stride, std::size_t depth,
              double* sums) {
  __m512d sum[kGramTileRows][kGramTileRows];
  for (auto& row : sum) {
    for (auto& value : row) value = _mm512_setzero_pd();
  }
  for (std::size_t k = 0; k < depth; k += kLanes) {
    __m512d right[kGramTileRows];
    for (std::size_t j = 0; j < kGramTileRows; ++j) right[j] = _mm512_loadu_pd(b + j * b_stride + k);
    for (std::size_t i = 0; i < kGramTileRows; ++i) {
      const __m512d left = _mm512_loadu_pd(a + i * a_stride + k);
      for (std::size_t j = 0; j < kGramTileRows; ++j) sum[i][j] = _mm512_fmadd_pd(left, right[j], sum[i][j]);
    }
  }
  for (std::size_t i = 0; i < kGramTileRows; ++i) {
    _mm256_storeu_pd(sums + kGramTileRows * i, sums_of_lanes(sum[i]));
  }
}

void subtract_rows(const double* source, std::size_t source_stride, const double* coefficients,
                   std::size_t rows, double* target, std::size_t length) {
  for (std::size_t k = 0; k < length; k += 2 * kLanes) {
    const std::size_t left = length - k;
    const __mmask8 low_mask = left >= kLanes ? 0xff : static_cast<__mmask8>((1u << left) - 1);
    const std::size_t beyond = left > kLanes ? left - kLanes : 0;
    const __mmask8 high_mask = beyond >= kLanes ? 0xff : static_cast<__mmask8>((1u << beyond) - 1);
    __m512d low = _mm512_maskz_loadu_pd(low_mask, target + k);
    __m512d high = _mm512_maskz_loadu_pd(high_mask, target + k + kLanes);
    for (std::size_t i = 0; i < rows; ++i) {
      const double* row = source + i * source_stride + k;
      const __m512d coefficient = _mm512_set1_pd(coefficients[i]);
      low = _mm512_fnmadd_pd(coefficient, _mm512_maskz_loadu_pd(low_mask, row), low);
      high = _mm512_fnmadd_pd(coefficient, _mm512_maskz_loadu_pd(high_mask, row + kLanes), high);
    }
    _mm512_mask_storeu_pd(target + k, low_mask, low);
    _mm512_mask_storeu_pd(target + k + kLanes, high_mask, high);
  }
}

}  // namespace

const GramKernels kGramAvx512 = {dot_tile, subtract_rows};

}  // namespace sieve
