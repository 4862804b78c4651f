#include "kernels/row_kernels.h"

#if defined(__AVX2__) && defined(__FMA__)

#include <immintrin.h>

namespace sieve {
namespace {

struct Lanes {
  using Register = __m256d;
  static constexpr size_t kWidth = 4;
  static Register zero() { return _mm256_setzero_pd(); }
  static Register load(const float* at) { return _mm256_cvtps_pd(_mm_loadu_ps(at)); }
  static Register add(Register a, Register b) { return _mm256_add_pd(a, b); }
  static Register subtract(Register a, Register b) { return _mm256_sub_pd(a, b); }
  static Register multiply_add(Register a, Register b, Register c) { return _mm256_fmadd_pd(a, b, c); }
  static double sum(Register a) {
    const __m128d half = _mm_add_pd(_mm256_castpd256_pd128(a), _mm256_extractf128_pd(a, 1));
    return _mm_cvtsd_f64(_mm_add_sd(half, _mm_unpackhi_pd(half, half)));
  }
};

#include "kernels/row_body.h"

}  // namespace

const RowKernels* row_kernels_avx2() { return &kRows; }

}  // namespace sieve

#else

namespace sieve {
const RowKernels* row_kernels_avx2() { return nullptr; }
}  // namespace sieve

#endif
