#include <cstring>

#include "kernels/decode_kernels.h"

namespace sieve {
namespace {

void decode_float16(const uint16_t* from, size_t count, float* to) {
  for (size_t i = 0; i < count; ++i) {
    const uint32_t sign = static_cast<uint32_t>(from[i] & 0x8000u) << 16;
    const uint32_t magnitude = from[i] & 0x7fffu;
    if (magnitude < 0x0400u) {  // zero or subnormal: a whole number of 2^-24
      const float value = static_cast<float>(magnitude) * 0x1p-24f;
      to[i] = sign != 0 ? -value : value;
      continue;
    }
    const uint32_t exponent_shift = magnitude < 0x7c00u ? 127 - 15 : 255 - 31;  // the latter: infinity, NaN
    const uint32_t bits = sign | ((magnitude << 13) + (exponent_shift << 23));
    std::memcpy(to + i, &bits, sizeof(bits));
  }
}

#include "kernels/decode_body.h"

}  // namespace

const DecodeKernels* decode_kernels_serial() { return &kDecode; }

}  // namespace sieve
