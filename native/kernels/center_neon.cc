// center_body.h in intrinsics: NEON is part of every aarch64 build, so flags can not make the difference, and
// GCC 12 turns those loops into scalars. Multiplication and addition stay apart, as in every other version.
#include "kernels/center_kernels.h"

#if defined(__aarch64__) || defined(_M_ARM64)

#include <arm_neon.h>

namespace sieve {
namespace {

constexpr size_t kVectors = kCenterLanes / 2;
constexpr size_t kRows = 2;  // at a time: with four, GCC 12 runs out of registers

void center_distances(const float* const* rows, size_t column, size_t count, const double* centers,
                      double* sums) {
  for (size_t first = 0; first < kCenterRows; first += kRows) {
    double* row_sums = sums + first * kCenterLanes;
    float64x2_t total[kRows][kVectors];
#pragma GCC unroll 4
    for (size_t r = 0; r < kRows; ++r) {
#pragma GCC unroll 4
      for (size_t v = 0; v < kVectors; ++v) total[r][v] = vld1q_f64(row_sums + r * kCenterLanes + 2 * v);
    }
    for (size_t k = 0; k < count; ++k) {
      float64x2_t center[kVectors];
#pragma GCC unroll 4
      for (size_t v = 0; v < kVectors; ++v) center[v] = vld1q_f64(centers + k * kCenterLanes + 2 * v);
#pragma GCC unroll 4
      for (size_t r = 0; r < kRows; ++r) {
        const float64x2_t value = vcvt_f64_f32(vld1_dup_f32(rows[first + r] + column + k));
#pragma GCC unroll 4
        for (size_t v = 0; v < kVectors; ++v) {
          const float64x2_t difference = vsubq_f64(value, center[v]);
          total[r][v] = vaddq_f64(total[r][v], vmulq_f64(difference, difference));
        }
      }
    }
#pragma GCC unroll 4
    for (size_t r = 0; r < kRows; ++r) {
#pragma GCC unroll 4
      for (size_t v = 0; v < kVectors; ++v) vst1q_f64(row_sums + r * kCenterLanes + 2 * v, total[r][v]);
    }
  }
}

}  // namespace

CenterDistances center_distances_neon() { return center_distances; }

}  // namespace sieve

#else

namespace sieve {
CenterDistances center_distances_neon() { return nullptr; }
}  // namespace sieve

#endif
