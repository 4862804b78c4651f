#include "kernels/gram.h"

namespace sieve {
namespace {

void dot_tile(const double* a, std::size_t a_stride, const double* b, std::size_t b_stride, std::size_t depth,
              double* sums) {
  for (std::size_t i = 0; i < kGramTileRows; ++i) {
    for (std::size_t j = 0; j < kGramTileRows; ++j) {
      // Independent partial sums, which compilers map to vector lanes without reordering a sum themselves.
      double partial[kGramDepthUnit] = {};
      const double* left = a + i * a_stride;
      const double* right = b + j * b_stride;
      for (std::size_t k = 0; k < depth; k += kGramDepthUnit) {
        for (std::size_t lane = 0; lane < kGramDepthUnit; ++lane) {
          partial[lane] += left[k + lane] * right[k + lane];
        }
      }
      double sum = 0;
      for (double value : partial) sum += value;
      sums[kGramTileRows * i + j] = sum;
    }
  }
}

void subtract_rows(const double* source, std::size_t source_stride, const double* coefficients,
                   std::size_t rows, double* target, std::size_t length) {
  for (std::size_t i = 0; i < rows; ++i) {
    const double* row = source + i * source_stride;
    const double coefficient = coefficients[i];
    for (std::size_t k = 0; k < length; ++k) target[k] -= coefficient * row[k];
  }
}

}  // namespace

const GramKernels kGramSerial = {dot_tile, subtract_rows};

}  // namespace sieve
