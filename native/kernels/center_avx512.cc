#include "kernels/center_kernels.h"

#if defined(__AVX512F__)

#include <cstdint>

#include "kernels/avx512_intrinsics.h"

namespace sieve {
namespace {

#include "kernels/center_body.h"
#include "kernels/center_prefetch_body.h"
#include "kernels/center_sums_body.h"

struct Lanes {
  using Register = __m512;
  static constexpr size_t kWidth = 16;
  static Register zero() { return _mm512_setzero_ps(); }
  static Register load(const float* at) { return _mm512_loadu_ps(at); }
  static Register subtract(Register a, Register b) { return _mm512_sub_ps(a, b); }
  static Register multiply_add(Register a, Register b, Register c) { return _mm512_fmadd_ps(a, b, c); }
  static void sum_of_each(Register a, Register b, Register c, Register d, float* out) {
    const Register ab = _mm512_add_ps(_mm512_unpacklo_ps(a, b), _mm512_unpackhi_ps(a, b));
    const Register cd = _mm512_add_ps(_mm512_unpacklo_ps(c, d), _mm512_unpackhi_ps(c, d));
    const Register quarters = _mm512_add_ps(_mm512_shuffle_ps(ab, cd, 0x44), _mm512_shuffle_ps(ab, cd, 0xEE));
    const __m256 halves =
        _mm256_add_ps(_mm512_castps512_ps256(quarters),
                      _mm512_castps512_ps256(_mm512_shuffle_f32x4(quarters, quarters, 0x0E)));
    _mm_storeu_ps(out, _mm_add_ps(_mm256_castps256_ps128(halves), _mm256_extractf128_ps(halves, 1)));
  }
};

constexpr size_t kRowsAtOnce = 4;

#include "kernels/center_products_body.h"

}  // namespace

const CenterKernels* center_kernels_avx512() { return &kTable; }

}  // namespace sieve

#else

namespace sieve {
const CenterKernels* center_kernels_avx512() { return nullptr; }
}  // namespace sieve

#endif
