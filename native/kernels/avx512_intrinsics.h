// <immintrin.h> for files that use AVX-512. Include it before anything that uses intrinsics.
#ifndef SIEVE_KERNELS_AVX512_INTRINSICS_H
#define SIEVE_KERNELS_AVX512_INTRINSICS_H

// GCC 12 takes the undefined source operand of its own unmasked AVX-512 intrinsics for a use (GCC bug
// 105593).
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#pragma GCC diagnostic ignored "-Wuninitialized"
#endif

#include <immintrin.h>

#endif  // SIEVE_KERNELS_AVX512_INTRINSICS_H
