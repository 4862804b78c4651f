#include "kernels/decode_kernels.h"

#if defined(__aarch64__) || defined(_M_ARM64)

#include <arm_neon.h>

#include <cstring>

namespace sieve {
namespace {

void decode_float16(const uint16_t* from, size_t count, float* to) {
  size_t i = 0;
  for (; i + 4 <= count; i += 4) {
    vst1q_f32(to + i, vcvt_f32_f16(vreinterpret_f16_u16(vld1_u16(from + i))));
  }
  uint16_t last[4] = {};
  std::memcpy(last, from + i, (count - i) * sizeof(*from));
  float values[4];
  vst1q_f32(values, vcvt_f32_f16(vreinterpret_f16_u16(vld1_u16(last))));
  std::memcpy(to + i, values, (count - i) * sizeof(*to));
}

#include "kernels/decode_body.h"

}  // namespace

const DecodeKernels* decode_kernels_neon() { return &kDecode; }

}  // namespace sieve

#else

namespace sieve {
const DecodeKernels* decode_kernels_neon() { return nullptr; }
}  // namespace sieve

#endif
