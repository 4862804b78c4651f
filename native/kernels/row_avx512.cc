#include "kernels/row_kernels.h"

#if defined(__AVX512F__)

#include "kernels/avx512_intrinsics.h"

namespace sieve {
namespace {

struct Lanes {
  using Register = __m512d;
  static constexpr size_t kWidth = 8;
  static Register zero() { return _mm512_setzero_pd(); }
  static Register load(const float* at) { return _mm512_cvtps_pd(_mm256_loadu_ps(at)); }
  static Register add(Register a, Register b) { return _mm512_add_pd(a, b); }
  static Register subtract(Register a, Register b) { return _mm512_sub_pd(a, b); }
  static Register multiply_add(Register a, Register b, Register c) { return _mm512_fmadd_pd(a, b, c); }
  static double sum(Register a) { return _mm512_reduce_add_pd(a); }
};

#include "kernels/row_body.h"

}  // namespace

const RowKernels* row_kernels_avx512() { return &kRows; }

}  // namespace sieve

#else

namespace sieve {
const RowKernels* row_kernels_avx512() { return nullptr; }
}  // namespace sieve

#endif
