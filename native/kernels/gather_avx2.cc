#include "kernels/gather_kernels.h"

#if defined(__AVX2__) && (defined(__FMA__) || defined(_MSC_VER))

#include <immintrin.h>

namespace sieve {
namespace {

struct Lanes {
  __m256 low, high;
  static Lanes zero() { return {_mm256_setzero_ps(), _mm256_setzero_ps()}; }
  static Lanes load(const float* at) { return {_mm256_loadu_ps(at), _mm256_loadu_ps(at + 8)}; }
  static Lanes subtract(const Lanes& a, const Lanes& b) {
    return {_mm256_sub_ps(a.low, b.low), _mm256_sub_ps(a.high, b.high)};
  }
  static Lanes square_add(const Lanes& a, const Lanes& sum) {
    return {_mm256_fmadd_ps(a.low, a.low, sum.low), _mm256_fmadd_ps(a.high, a.high, sum.high)};
  }
  static float total(const Lanes& sum) {
    const __m256 eight = _mm256_add_ps(sum.low, sum.high);
    __m128 four = _mm_add_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
    four = _mm_add_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_add_ss(four, _mm_movehdup_ps(four)));
  }
  static void prefetch(const float* at) { _mm_prefetch(reinterpret_cast<const char*>(at), _MM_HINT_T0); }
};

#include "kernels/gather_body.h"

}  // namespace

GatherDistances gather_distances_avx2() { return gather_distances; }

}  // namespace sieve

#else

namespace sieve {
GatherDistances gather_distances_avx2() { return nullptr; }
}  // namespace sieve

#endif
