// The distances of center_body.h in intrinsics: NEON is part of every aarch64 build, so flags can not make
// the difference, and GCC 12 turns those loops into scalars. Multiplication and addition stay apart, as in
// every other version.
#include "kernels/center_kernels.h"

#if defined(__aarch64__) || defined(_M_ARM64)

#include <arm_neon.h>

#include <cstdint>

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

inline void prefetch(const float* row, size_t column) {
#if defined(__GNUC__)
  const uintptr_t at =
      reinterpret_cast<uintptr_t>(row) + column * sizeof(float);  // may lie outside the input
  __builtin_prefetch(reinterpret_cast<const void*>(at), 0, 2);
#else
  static_cast<void>(row);
  static_cast<void>(column);
#endif
}

#include "kernels/center_sums_body.h"

struct Lanes {
  using Register = float32x4_t;
  static constexpr size_t kWidth = 4;
  static Register zero() { return vdupq_n_f32(0.0f); }
  static Register load(const float* at) { return vld1q_f32(at); }
  static Register subtract(Register a, Register b) { return vsubq_f32(a, b); }
  static Register multiply_add(Register a, Register b, Register c) { return vfmaq_f32(c, a, b); }
  static void sum_of_each(Register a, Register b, Register c, Register d, float* out) {
    vst1q_f32(out, vpaddq_f32(vpaddq_f32(a, b), vpaddq_f32(c, d)));
  }
};

constexpr size_t kRowsAtOnce = 4;

#include "kernels/center_products_body.h"

}  // namespace

const CenterKernels* center_kernels_neon() { return &kTable; }

}  // namespace sieve

#else

namespace sieve {
const CenterKernels* center_kernels_neon() { return nullptr; }
}  // namespace sieve

#endif
