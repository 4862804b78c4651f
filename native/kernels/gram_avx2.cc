#include <immintrin.h>

#include "kernels/gram.h"

namespace sieve {
namespace {

constexpr std::size_t kLanes = 4;

double sum_of_lanes(__m256d value) {
  const __m128d pair = _mm_add_pd(_mm256_castpd256_pd128(value), _mm256_extractf128_pd(value, 1));
  return _mm_cvtsd_f64(_mm_add_sd(pair, _mm_unpackhi_pd(pair, pair)));
}

// 16 registers hold eight sums and their operands, so the tile takes two passes of two columns.
void dot_tile(const double* a, std::size_t a_stride, const double* b, std::size_t b_stride, std::size_t depth,
              double* sums) {
  for (std::size_t column = 0; column < kGramTileRows; column += 2) {
    const double* b0 = b + column * b_stride;
    const double* b1 = b0 + b_stride;
    __m256d sum[kGramTileRows][2];
    for (auto& row : sum) row[0] = row[1] = _mm256_setzero_pd();
    for (std::size_t k = 0; k < depth; k += kLanes) {
      const __m256d right0 = _mm256_loadu_pd(b0 + k);
      const __m256d right1 = _mm256_loadu_pd(b1 + k);
      for (std::size_t i = 0; i < kGramTileRows; ++i) {
        const __m256d left = _mm256_loadu_pd(a + i * a_stride + k);
        sum[i][0] = _mm256_fmadd_pd(left, right0, sum[i][0]);
        sum[i][1] = _mm256_fmadd_pd(left, right1, sum[i][1]);
      }
    }
    for (std::size_t i = 0; i < kGramTileRows; ++i) {
      sums[kGramTileRows * i + column] = sum_of_lanes(sum[i][0]);
      sums[kGramTileRows * i + column + 1] = sum_of_lanes(sum[i][1]);
    }
  }
}

void subtract_rows(const double* source, std::size_t source_stride, const double* coefficients,
                   std::size_t rows, double* target, std::size_t length) {
  std::size_t k = 0;
  for (; k + 2 * kLanes <= length; k += 2 * kLanes) {
    __m256d low = _mm256_loadu_pd(target + k);
    __m256d high = _mm256_loadu_pd(target + k + kLanes);
    for (std::size_t i = 0; i < rows; ++i) {
      const double* row = source + i * source_stride + k;
      const __m256d coefficient = _mm256_set1_pd(coefficients[i]);
      low = _mm256_fnmadd_pd(coefficient, _mm256_loadu_pd(row), low);
      high = _mm256_fnmadd_pd(coefficient, _mm256_loadu_pd(row + kLanes), high);
    }
    _mm256_storeu_pd(target + k, low);
    _mm256_storeu_pd(target + k + kLanes, high);
  }
  for (; k < length; ++k) {
    double value = target[k];
    for (std::size_t i = 0; i < rows; ++i) value -= coefficients[i] * source[i * source_stride + k];
    target[k] = value;
  }
}

}  // namespace

const GramKernels kGramAvx2 = {dot_tile, subtract_rows};

}  // namespace sieve
