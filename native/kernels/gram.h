// The two inner loops of least squares, in float64, one file per instruction set. Rows are contiguous along
// the summed dimension, so a product of two row-major matrices, A * transpose(B), needs no packing.
//
// Kernels differ in the order of their sums, hence in the last bits; each by itself is deterministic.
#ifndef SIEVE_KERNELS_GRAM_H
#define SIEVE_KERNELS_GRAM_H

#include <cstddef>

namespace sieve {

// Rows of one tile, and the unit that summed lengths are padded to.
constexpr std::size_t kGramTileRows = 4;
constexpr std::size_t kGramDepthUnit = 8;

struct GramKernels {
  // sums[4 * i + j] = sum over k < depth of a[i * a_stride + k] * b[j * b_stride + k], for i, j < 4.
  // depth is a multiple of 8; nothing is assumed about alignment.
  void (*dot_tile)(const double* a, std::size_t a_stride, const double* b, std::size_t b_stride,
                   std::size_t depth, double* sums);
  // target[k] -= sum over i < rows of coefficients[i] * source[i * source_stride + k], for k < length.
  void (*subtract_rows)(const double* source, std::size_t source_stride, const double* coefficients,
                        std::size_t rows, double* target, std::size_t length);
};

extern const GramKernels kGramSerial;
#if defined(__x86_64__) || defined(_M_X64)
extern const GramKernels kGramAvx2;
extern const GramKernels kGramAvx512;
#endif
#if defined(__aarch64__) || defined(_M_ARM64)
extern const GramKernels kGramNeon;  // the same bits as kGramSerial
#endif

}  // namespace sieve

#endif  // SIEVE_KERNELS_GRAM_H
