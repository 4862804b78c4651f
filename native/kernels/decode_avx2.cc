#include "kernels/decode_kernels.h"

#if defined(__AVX2__)

#include <immintrin.h>

#include <cstring>

namespace sieve {
namespace {

void decode_float16(const uint16_t* from, size_t count, float* to) {
  size_t i = 0;
  for (; i + 8 <= count; i += 8) {
    _mm256_storeu_ps(to + i, _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(from + i))));
  }
  uint16_t last[8] = {};
  std::memcpy(last, from + i, (count - i) * sizeof(*from));
  float values[8];
  _mm256_storeu_ps(values, _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(last))));
  std::memcpy(to + i, values, (count - i) * sizeof(*to));
}

#include "kernels/decode_body.h"

}  // namespace

const DecodeKernels* decode_kernels_avx2() { return &kDecode; }

}  // namespace sieve

#else

namespace sieve {
const DecodeKernels* decode_kernels_avx2() { return nullptr; }
}  // namespace sieve

#endif
