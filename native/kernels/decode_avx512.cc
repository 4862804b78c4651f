#include "kernels/decode_kernels.h"

#if defined(__AVX512F__)

#include <cstring>

#include "kernels/avx512_intrinsics.h"

namespace sieve {
namespace {

void decode_float16(const uint16_t* from, size_t count, float* to) {
  size_t i = 0;
  for (; i + 16 <= count; i += 16) {
    _mm512_storeu_ps(to + i, _mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(from + i))));
  }
  uint16_t last[16] = {};
  std::memcpy(last, from + i, (count - i) * sizeof(*from));
  float values[16];
  _mm512_storeu_ps(values, _mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(last))));
  std::memcpy(to + i, values, (count - i) * sizeof(*to));
}

#include "kernels/decode_body.h"

}  // namespace

const DecodeKernels* decode_kernels_avx512() { return &kDecode; }

}  // namespace sieve

#else

namespace sieve {
const DecodeKernels* decode_kernels_avx512() { return nullptr; }
}  // namespace sieve

#endif
