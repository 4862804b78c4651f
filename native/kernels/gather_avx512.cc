#include "kernels/gather_kernels.h"

#if defined(__AVX512F__) && defined(__AVX512DQ__)

#include "kernels/avx512_intrinsics.h"

namespace sieve {
namespace {

struct Lanes {
  __m512 all;
  static Lanes zero() { return {_mm512_setzero_ps()}; }
  static Lanes load(const float* at) { return {_mm512_loadu_ps(at)}; }
  static Lanes subtract(const Lanes& a, const Lanes& b) { return {_mm512_sub_ps(a.all, b.all)}; }
  static Lanes square_add(const Lanes& a, const Lanes& sum) {
    return {_mm512_fmadd_ps(a.all, a.all, sum.all)};
  }
  static float total(const Lanes& sum) {
    const __m256 eight = _mm256_add_ps(_mm512_castps512_ps256(sum.all), _mm512_extractf32x8_ps(sum.all, 1));
    __m128 four = _mm_add_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
    four = _mm_add_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_add_ss(four, _mm_movehdup_ps(four)));
  }
  static void prefetch(const float* at) { _mm_prefetch(reinterpret_cast<const char*>(at), _MM_HINT_T0); }
};

#include "kernels/gather_body.h"

}  // namespace

GatherDistances gather_distances_avx512() { return gather_distances; }

}  // namespace sieve

#else

namespace sieve {
GatherDistances gather_distances_avx512() { return nullptr; }
}  // namespace sieve

#endif
