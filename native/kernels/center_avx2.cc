#include "kernels/center_kernels.h"

#if defined(__AVX2__)

#include <immintrin.h>

#include <cstdint>

namespace sieve {
namespace {

#include "kernels/center_body.h"
#include "kernels/center_prefetch_body.h"
#include "kernels/center_sums_body.h"

struct Lanes {
  using Register = __m256;
  static constexpr size_t kWidth = 8;
  static Register zero() { return _mm256_setzero_ps(); }
  static Register load(const float* at) { return _mm256_loadu_ps(at); }
  static Register subtract(Register a, Register b) { return _mm256_sub_ps(a, b); }
  static Register multiply_add(Register a, Register b, Register c) { return _mm256_fmadd_ps(a, b, c); }
  static void sum_of_each(Register a, Register b, Register c, Register d, float* out) {
    const Register halves = _mm256_hadd_ps(_mm256_hadd_ps(a, b), _mm256_hadd_ps(c, d));
    _mm_storeu_ps(out, _mm_add_ps(_mm256_castps256_ps128(halves), _mm256_extractf128_ps(halves, 1)));
  }
};

constexpr size_t kRowsAtOnce = 2;

#include "kernels/center_products_body.h"

}  // namespace

const CenterKernels* center_kernels_avx2() { return &kTable; }

}  // namespace sieve

#else

namespace sieve {
const CenterKernels* center_kernels_avx2() { return nullptr; }
}  // namespace sieve

#endif
