#include "kernels/row_kernels.h"

#if defined(__aarch64__) || defined(_M_ARM64)

#include <arm_neon.h>

namespace sieve {
namespace {

struct Lanes {
  using Register = float64x2_t;
  static constexpr size_t kWidth = 2;
  static Register zero() { return vdupq_n_f64(0.0); }
  static Register load(const float* at) { return vcvt_f64_f32(vld1_f32(at)); }
  static Register add(Register a, Register b) { return vaddq_f64(a, b); }
  static Register subtract(Register a, Register b) { return vsubq_f64(a, b); }
  static Register multiply_add(Register a, Register b, Register c) { return vfmaq_f64(c, a, b); }
  static double sum(Register a) { return vaddvq_f64(a); }
};

#include "kernels/row_body.h"

}  // namespace

const RowKernels* row_kernels_neon() { return &kRows; }

}  // namespace sieve

#else

namespace sieve {
const RowKernels* row_kernels_neon() { return nullptr; }
}  // namespace sieve

#endif
