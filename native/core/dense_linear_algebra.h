// Dense float64 linear algebra for least squares: products, Cholesky factors and triangular solves on rows
// that are padded so that the kernels never meet an odd length. All of it runs on two small kernels
// (kernels/gram.h).
#ifndef SIEVE_CORE_DENSE_LINEAR_ALGEBRA_H
#define SIEVE_CORE_DENSE_LINEAR_ALGEBRA_H

#include <cstddef>
#include <cstdint>
#include <functional>
#include <vector>

#include "core/run_context.h"
#include "kernels/gram.h"

namespace sieve {

constexpr std::size_t round_up(std::size_t value, std::size_t unit) {
  return (value + unit - 1) / unit * unit;
}

// The kernels of the run's backend. Fails like sieve_backend_resolve.
const GramKernels& gram_kernels(const RunContext& run);

// A row-major matrix, zero at first. Rows are padded to a multiple of 4, columns to a multiple of 8; whoever
// writes keeps the padding zero.
class PaddedMatrix {
 public:
  PaddedMatrix() = default;
  PaddedMatrix(std::size_t rows, std::size_t columns);

  std::size_t padded_rows() const { return padded_rows_; }
  std::size_t stride() const { return stride_; }
  double* row(std::size_t index) { return values_.data() + index * stride_; }
  const double* row(std::size_t index) const { return values_.data() + index * stride_; }

 private:
  std::size_t padded_rows_ = 0;
  std::size_t stride_ = 0;
  std::vector<double> values_;
};

// parallel_for, but on the calling thread alone where all the work (in multiply-adds) is too little to pay
// for threads.
void parallel_where_it_pays(const RunContext& run, std::size_t blocks, double multiply_adds,
                            const std::function<void(std::size_t, int)>& body);

// A system A x = b with many right-hand sides, solved in place: A symmetric positive semi-definite of order
// n, right-hand side c in row `right_side(c)` and, after solve(), its solution there.
class SymmetricSystem {
 public:
  SymmetricSystem(std::size_t order, std::size_t right_sides);

  std::size_t order() const { return order_; }
  std::size_t right_sides() const { return right_sides_; }
  // Row i of A, of which columns 0..i are read.
  double* row(std::size_t index) { return matrix_.row(index); }
  double* right_side(std::size_t index) { return matrix_.row(first_right_side_ + index); }
  std::size_t stride() const { return matrix_.stride(); }

  // Blocked Cholesky, O(n^3 / 3 + n^2 * right_sides). A pivot that cancels down to `tolerance` of its
  // diagonal element marks an unknown that the earlier ones determine: its solution is 0, which solves the
  // rest exactly as if it were not there. Fails with NOT_POSITIVE_DEFINITE on a pivot that is clearly
  // negative, or not positive where tolerance is 0, and with NON_FINITE on NaN or infinities.
  void solve(const RunContext& run, double tolerance);

 private:
  void factor_block(std::size_t begin, std::size_t end, double tolerance);
  void eliminate_block_from_rows(const GramKernels& kernels, std::size_t begin, std::size_t end,
                                 std::size_t first_row, std::size_t last_row);
  void substitute_back(const RunContext& run, const GramKernels& kernels);

  std::size_t order_;
  std::size_t right_sides_;
  std::size_t first_right_side_;
  PaddedMatrix matrix_;
  std::vector<double> diagonal_;       // of A, before factoring
  std::vector<std::uint8_t> dropped_;  // unknowns that others determine
};

// What cancellation leaves of a pivot by rounding alone, for a system of that order.
double rounding_tolerance(std::size_t order);

}  // namespace sieve

#endif  // SIEVE_CORE_DENSE_LINEAR_ALGEBRA_H
