#include <arm_neon.h>

#include "kernels/gram.h"

// Every sum has the order and the roundings of gram_serial.cc, so the results are the same bits.

namespace sieve {
namespace {

constexpr std::size_t kLanes = 2;
constexpr std::size_t kColumns = 2;  // of the tile at a time: with more, GCC 12 runs out of registers

// The eight partial sums of a product are taken two at a time, so that four rows share every load.
void dot_tile(const double* a, std::size_t a_stride, const double* b, std::size_t b_stride, std::size_t depth,
              double* sums) {
  double partial[kGramTileRows][kGramTileRows][kGramDepthUnit];
  for (std::size_t lane = 0; lane < kGramDepthUnit; lane += kLanes) {
    for (std::size_t column = 0; column < kGramTileRows; column += kColumns) {
      float64x2_t sum[kGramTileRows][kColumns];
#pragma GCC unroll 4
      for (std::size_t i = 0; i < kGramTileRows; ++i) {
#pragma GCC unroll 4
        for (std::size_t j = 0; j < kColumns; ++j) sum[i][j] = vdupq_n_f64(0);
      }
      for (std::size_t k = lane; k < depth; k += kGramDepthUnit) {
        float64x2_t right[kColumns];
#pragma GCC unroll 4
        for (std::size_t j = 0; j < kColumns; ++j) right[j] = vld1q_f64(b + (column + j) * b_stride + k);
#pragma GCC unroll 4
        for (std::size_t i = 0; i < kGramTileRows; ++i) {
          const float64x2_t left = vld1q_f64(a + i * a_stride + k);
#pragma GCC unroll 4
          for (std::size_t j = 0; j < kColumns; ++j) {
            sum[i][j] = vaddq_f64(sum[i][j], vmulq_f64(left, right[j]));
          }
        }
      }
#pragma GCC unroll 4
      for (std::size_t i = 0; i < kGramTileRows; ++i) {
#pragma GCC unroll 4
        for (std::size_t j = 0; j < kColumns; ++j) vst1q_f64(partial[i][column + j] + lane, sum[i][j]);
      }
    }
  }
  for (std::size_t i = 0; i < kGramTileRows; ++i) {
    for (std::size_t j = 0; j < kGramTileRows; ++j) {
      double sum = 0;
      for (const double value : partial[i][j]) sum += value;
      sums[kGramTileRows * i + j] = sum;
    }
  }
}

void subtract_rows(const double* source, std::size_t source_stride, const double* coefficients,
                   std::size_t rows, double* target, std::size_t length) {
  constexpr std::size_t kTargets = 4;  // vectors of the target that stay in registers over all rows
  std::size_t k = 0;
  for (; k + 2 * kTargets <= length; k += 2 * kTargets) {
    float64x2_t value[kTargets];
#pragma GCC unroll 4
    for (std::size_t v = 0; v < kTargets; ++v) value[v] = vld1q_f64(target + k + 2 * v);
    for (std::size_t i = 0; i < rows; ++i) {
      const double* row = source + i * source_stride + k;
      const float64x2_t coefficient = vdupq_n_f64(coefficients[i]);
#pragma GCC unroll 4
      for (std::size_t v = 0; v < kTargets; ++v) {
        value[v] = vsubq_f64(value[v], vmulq_f64(coefficient, vld1q_f64(row + 2 * v)));
      }
    }
#pragma GCC unroll 4
    for (std::size_t v = 0; v < kTargets; ++v) vst1q_f64(target + k + 2 * v, value[v]);
  }
  for (; k < length; ++k) {
    double value = target[k];
    for (std::size_t i = 0; i < rows; ++i) value -= coefficients[i] * source[i * source_stride + k];
    target[k] = value;
  }
}

}  // namespace

const GramKernels kGramNeon = {dot_tile, subtract_rows};

}  // namespace sieve
