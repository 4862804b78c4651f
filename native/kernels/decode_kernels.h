// 16-bit elements to float32. Both conversions are exact; a NaN stays one.
#ifndef SIEVE_KERNELS_DECODE_KERNELS_H
#define SIEVE_KERNELS_DECODE_KERNELS_H

#include <cstddef>
#include <cstdint>

namespace sieve {

// to[i] = the value of the bits from[i], i < count. Any alignment.
using DecodeHalf = void (*)(const uint16_t* from, size_t count, float* to);

struct DecodeKernels {
  DecodeHalf float16;   // IEEE 754 binary16
  DecodeHalf bfloat16;  // the upper half of a float32
};

const DecodeKernels* decode_kernels_serial();
// NULL where this build does not have them.
const DecodeKernels* decode_kernels_avx2();  // needs F16C as well
const DecodeKernels* decode_kernels_avx512();
const DecodeKernels* decode_kernels_neon();

}  // namespace sieve

#endif  // SIEVE_KERNELS_DECODE_KERNELS_H
