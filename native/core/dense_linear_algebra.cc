#include "core/dense_linear_algebra.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>

#include "core/backend.h"
#include "core/failure.h"
#include "core/parallel.h"

namespace sieve {
namespace {

// Columns factored at once; a multiple of kGramDepthUnit and of kGramTileRows.
constexpr std::size_t kBlock = 64;
// Columns of a product summed at once, so that a block's rows stay in the second-level cache.
constexpr std::size_t kDepth = 512;
// Threads are started for each loop, at some tens of microseconds: about this many multiply-adds.
constexpr double kWorthThreads = 1e6;

// target[i][j] -= dot(a[i], b[j]) over `depth` columns, for 4-row strips i < a_rows and j < b_rows.
void subtract_product(const GramKernels& kernels, const double* a, std::size_t a_rows, const double* b,
                      std::size_t b_rows, std::size_t stride, std::size_t depth, double* target) {
  double sums[kGramTileRows * kGramTileRows];
  for (std::size_t begin = 0; begin < depth; begin += kDepth) {
    const std::size_t length = std::min(kDepth, depth - begin);
    for (std::size_t i = 0; i < a_rows; i += kGramTileRows) {
      for (std::size_t j = 0; j < b_rows; j += kGramTileRows) {
        kernels.dot_tile(a + i * stride + begin, stride, b + j * stride + begin, stride, length, sums);
        for (std::size_t r = 0; r < kGramTileRows; ++r) {
          for (std::size_t c = 0; c < kGramTileRows; ++c) {
            target[(i + r) * stride + j + c] -= sums[kGramTileRows * r + c];
          }
        }
      }
    }
  }
}

}  // namespace

const GramKernels& gram_kernels(const RunContext& run) {
  const sieve_backend backend = float32_backend(resolve_backend(run.requested_backend()));
#if defined(__x86_64__) || defined(_M_X64)
  if (backend == SIEVE_BACKEND_AVX512) return kGramAvx512;
  if (backend == SIEVE_BACKEND_AVX2) return kGramAvx2;
#elif defined(__aarch64__) || defined(_M_ARM64)
  if (backend == SIEVE_BACKEND_NEON) return kGramNeon;
#endif
  return kGramSerial;
}

PaddedMatrix::PaddedMatrix(std::size_t rows, std::size_t columns)
    : padded_rows_(round_up(rows, kGramTileRows)),
      stride_(round_up(columns, kGramDepthUnit)),
      values_(padded_rows_ * stride_) {}

void parallel_where_it_pays(const RunContext& run, std::size_t blocks, double multiply_adds,
                            const std::function<void(std::size_t, int)>& body) {
  if (multiply_adds >= kWorthThreads) {
    parallel_for(run, blocks, body);
    return;
  }
  for (std::size_t block = 0; block < blocks; ++block) {
    run.throw_if_cancelled();
    body(block, 0);
  }
}

double rounding_tolerance(std::size_t order) {
  return 16.0 * static_cast<double>(order + 1) * std::numeric_limits<double>::epsilon();
}

SymmetricSystem::SymmetricSystem(std::size_t order, std::size_t right_sides)
    : order_(order),
      right_sides_(right_sides),
      first_right_side_(round_up(order, kGramTileRows)),
      matrix_(first_right_side_ + right_sides, order) {}

// The right-hand sides lie under A as further rows, so the elimination that turns A into its factor L also
// turns them into (L^-1 b): the forward substitution costs no code of its own.
void SymmetricSystem::solve(const RunContext& run, double tolerance) {
  const GramKernels& kernels = gram_kernels(run);
  diagonal_.resize(order_);
  for (std::size_t i = 0; i < order_; ++i) diagonal_[i] = matrix_.row(i)[i];
  dropped_.assign(order_, 0);

  const std::size_t rows = matrix_.padded_rows();
  for (std::size_t begin = 0; begin < order_; begin += kBlock) {
    const std::size_t end = std::min(begin + kBlock, order_);
    const std::size_t padded_end = round_up(end, kGramTileRows);
    subtract_product(kernels, matrix_.row(begin), padded_end - begin, matrix_.row(begin), padded_end - begin,
                     matrix_.stride(), begin, matrix_.row(begin) + begin);
    factor_block(begin, end, tolerance);

    const std::size_t blocks = (rows - padded_end + kBlock - 1) / kBlock;
    const double work = static_cast<double>(rows - padded_end) * static_cast<double>(end) * kBlock;
    parallel_where_it_pays(run, blocks, work, [&](std::size_t block, int) {
      const std::size_t first = padded_end + block * kBlock;
      eliminate_block_from_rows(kernels, begin, end, first, std::min(first + kBlock, rows));
    });
  }
  substitute_back(run, kernels);
}

void SymmetricSystem::factor_block(std::size_t begin, std::size_t end, double tolerance) {
  for (std::size_t j = begin; j < end; ++j) {
    double* pivot_row = matrix_.row(j);
    const double pivot = pivot_row[j];
    const double smallest = tolerance * diagonal_[j];
    if (!std::isfinite(pivot)) {
      expected(SIEVE_STATUS_NON_FINITE, "finite values", "the moments",
               "a pivot of " + std::to_string(pivot) + " at regressor " + std::to_string(j));
    }
    if (pivot < -1e6 * smallest || (tolerance == 0 && pivot <= 0)) {
      expected(SIEVE_STATUS_NOT_POSITIVE_DEFINITE, "a positive semi-definite matrix", "the moments",
               "a pivot of " + std::to_string(pivot) + " at regressor " + std::to_string(j));
    }
    dropped_[j] = pivot <= smallest;
    if (dropped_[j]) {
      for (std::size_t i = j; i < end; ++i) matrix_.row(i)[j] = 0;
      pivot_row[j] = 1;
      continue;
    }
    const double root = std::sqrt(pivot);
    pivot_row[j] = root;
    for (std::size_t i = j + 1; i < end; ++i) matrix_.row(i)[j] /= root;
    for (std::size_t i = j + 1; i < end; ++i) {
      double* row = matrix_.row(i);
      const double factor = row[j];
      for (std::size_t k = j + 1; k <= i; ++k) row[k] -= factor * matrix_.row(k)[j];
    }
  }
}

// row[begin, end) = (row[begin, end) - row[0, begin) * transpose(L)) * inverse(transpose(block of L)).
void SymmetricSystem::eliminate_block_from_rows(const GramKernels& kernels, std::size_t begin,
                                                std::size_t end, std::size_t first_row,
                                                std::size_t last_row) {
  const std::size_t width = end - begin;
  subtract_product(kernels, matrix_.row(first_row), last_row - first_row, matrix_.row(begin),
                   round_up(width, kGramTileRows), matrix_.stride(), begin, matrix_.row(first_row) + begin);

  double columns[kBlock][kBlock];  // the block of L, transposed, so that the inner loop is contiguous
  for (std::size_t i = 0; i < width; ++i) {
    for (std::size_t j = 0; j <= i; ++j) columns[j][i] = matrix_.row(begin + i)[begin + j];
  }
  for (std::size_t row_index = first_row; row_index < last_row; ++row_index) {
    double* row = matrix_.row(row_index) + begin;
    for (std::size_t j = 0; j < width; ++j) {
      const double value = dropped_[begin + j] ? 0.0 : row[j] / columns[j][j];
      row[j] = value;
      for (std::size_t k = j + 1; k < width; ++k) row[k] -= value * columns[j][k];
    }
  }
}

void SymmetricSystem::substitute_back(const RunContext& run, const GramKernels& kernels) {
  // The unused upper triangle takes the transpose of L: the products below then run along rows again.
  const std::size_t row_blocks = (order_ + kBlock - 1) / kBlock;
  parallel_where_it_pays(run, row_blocks, static_cast<double>(order_) * static_cast<double>(order_),
                         [&](std::size_t block, int) {
                           const std::size_t first = block * kBlock;
                           const std::size_t last = std::min(first + kBlock, order_);
                           for (std::size_t i = first; i < order_; ++i) {
                             const double* source = matrix_.row(i);
                             for (std::size_t j = first; j < std::min(last, i); ++j)
                               matrix_.row(j)[i] = source[j];
                           }
                         });

  const std::size_t padded_right_sides = matrix_.padded_rows() - first_right_side_;
  const std::size_t blocks = (padded_right_sides + kBlock - 1) / kBlock;
  const double work =
      static_cast<double>(order_) * static_cast<double>(order_) * static_cast<double>(right_sides_);
  parallel_where_it_pays(run, blocks, work, [&](std::size_t block, int) {
    const std::size_t first = first_right_side_ + block * kBlock;
    const std::size_t last = std::min(first + kBlock, matrix_.padded_rows());
    for (std::size_t begin = round_up(order_, kBlock); begin > 0;) {
      const std::size_t after = std::min(begin, order_);
      begin -= kBlock;
      run.throw_if_cancelled();
      if (after < order_) {
        subtract_product(kernels, matrix_.row(first) + after, last - first, matrix_.row(begin) + after,
                         kBlock, matrix_.stride(), matrix_.stride() - after, matrix_.row(first) + begin);
      }
      for (std::size_t row_index = first; row_index < last; ++row_index) {
        double* row = matrix_.row(row_index);
        for (std::size_t j = after; j-- > begin;) {
          const double* factor = matrix_.row(j);
          row[j] = dropped_[j] ? 0.0 : row[j] / factor[j];
          for (std::size_t k = begin; k < j; ++k) row[k] -= row[j] * factor[k];
        }
      }
    }
  });
}

}  // namespace sieve
