// Structured optimal brain surgeon: which units to remove, and what each removal costs, exactly.
//
// With A = gram + penalty and H = inverse(A) over the regressors that remain, the re-fitted weights are
// W = H * cross, and removing unit u (all remaining weights re-fitted) raises the penalised residual by
// trace(W_u' * inverse(H_uu) * W_u). Removing it changes H by -H_:u * inverse(H_uu) * H_u: and W accordingly
// (Hassibi and Stork, "Second order derivatives for network pruning", 1992; here with blocks of regressors).
//
// H is large and each unit small, so the changes are kept as columns of Z, H - Z Z' being the true inverse,
// and are applied when kPendingColumns of them have gathered; only what the next decision needs (the diagonal
// blocks of H, and W) is kept current.
#include <algorithm>
#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "core/dense_linear_algebra.h"
#include "core/failure.h"
#include "core/moments_view.h"
#include "core/parallel.h"
#include "sieve/sieve.h"

namespace sieve {
namespace {

constexpr std::size_t kPendingColumns = 128;
// Relative to the mean diagonal: the smallest penalty at which the inverse still has about eight good digits.
constexpr double kSmallestRidge = 1e-8;
constexpr std::size_t kRowsPerBlock = 64;

// Lower Cholesky factor of a small symmetric matrix in place (row-major, size * size).
void factor_small(double* matrix, std::size_t size) {
  for (std::size_t i = 0; i < size; ++i) {
    for (std::size_t j = 0; j <= i; ++j) {
      double sum = matrix[i * size + j];
      for (std::size_t k = 0; k < j; ++k) sum -= matrix[i * size + k] * matrix[j * size + k];
      if (i != j) {
        matrix[i * size + j] = sum / matrix[j * size + j];
        continue;
      }
      if (!(sum > 0)) {
        expected(SIEVE_STATUS_NOT_POSITIVE_DEFINITE, "a positive definite matrix", "the moments of a unit",
                 "a pivot of " + std::to_string(sum));
      }
      matrix[i * size + i] = std::sqrt(sum);
    }
  }
}

// rows = inverse(factor) * rows, for `size` rows of `length` values.
void solve_rows(const GramKernels& kernels, const double* factor, std::size_t size, double* rows,
                std::size_t length) {
  for (std::size_t i = 0; i < size; ++i) {
    double* row = rows + i * length;
    if (i > 0) kernels.subtract_rows(rows, length, factor + i * size, i, row, length);
    const double scale = 1 / factor[i * size + i];
    for (std::size_t k = 0; k < length; ++k) row[k] *= scale;
  }
}

class Problem {
 public:
  Problem(const sieve_elimination_problem& problem, std::size_t units, double ridge, const RunContext& run);

  // Adds to costs[u] what removing each unit that is not yet removed would add to the error.
  void add_costs(const RunContext& run, const std::vector<std::uint8_t>& removed, double* costs) const;
  void remove(const RunContext& run, std::size_t unit, const std::vector<std::uint8_t>& removed);
  // Penalised residual with all regressors, over the total variance of the targets.
  double full_error() const { return full_error_; }

 private:
  std::size_t unit_size(std::size_t unit) const {
    return static_cast<std::size_t>(offsets_[unit + 1] - offsets_[unit]);
  }
  std::size_t member(std::size_t unit, std::size_t index) const {
    return static_cast<std::size_t>(members_[static_cast<std::size_t>(offsets_[unit]) + index]);
  }
  void copy_weights(std::size_t unit, double* rows) const;
  void invert(const MomentsView& moments, double ridge, const RunContext& run);
  void flush(const RunContext& run);

  const GramKernels& kernels_;
  const int64_t* members_;
  const int64_t* offsets_;
  std::size_t regressors_;
  std::size_t outputs_;
  double scale_ = 0;  // 1 / total variance of the targets; 0 where they do not vary
  double full_error_ = 0;
  PaddedMatrix inverse_;  // H, less what is pending
  PaddedMatrix pending_;  // Z
  std::size_t pending_columns_ = 0;
  std::vector<double> weights_;                // W [regressors, outputs]
  std::vector<std::vector<double>> diagonal_;  // H_uu of each unit
  std::vector<std::uint8_t> remains_;          // by regressor
};

Problem::Problem(const sieve_elimination_problem& problem, std::size_t units, double ridge,
                 const RunContext& run)
    : kernels_(gram_kernels(run)),
      members_(problem.members),
      offsets_(problem.offsets),
      regressors_(problem.regressors),
      outputs_(problem.outputs),
      remains_(problem.regressors, 1) {
  const MomentsView moments{problem.gram, problem.cross, problem.target_square, regressors_, outputs_};
  const std::size_t constant = moments.constant();
  const double count = moments.gram_row(constant)[constant];
  double variance = 0;
  for (std::size_t c = 0; c < outputs_; ++c) {
    const double sum = moments.cross[constant * outputs_ + c];
    variance += std::max(0.0, moments.target_square[c] - sum * sum / count);
  }
  scale_ = variance > 0 ? 1 / variance : 0;

  invert(moments, ridge, run);
  double explained = 0;
  double total = 0;
  for (std::size_t c = 0; c < outputs_; ++c) total += moments.target_square[c];
  for (std::size_t i = 0; i < regressors_ * outputs_; ++i) explained += weights_[i] * moments.cross[i];
  full_error_ = std::max(0.0, total - explained) * scale_;

  diagonal_.resize(units);
  for (std::size_t unit = 0; unit < units; ++unit) {
    const std::size_t size = unit_size(unit);
    diagonal_[unit].resize(size * size);
    for (std::size_t i = 0; i < size; ++i) {
      for (std::size_t j = 0; j < size; ++j) {
        diagonal_[unit][i * size + j] = inverse_.row(member(unit, i))[member(unit, j)];
      }
    }
  }
}

void Problem::invert(const MomentsView& moments, double ridge, const RunContext& run) {
  const std::size_t constant = moments.constant();
  double trace = 0;
  for (std::size_t i = 0; i < constant; ++i) trace += moments.gram_row(i)[i];
  const double mean = constant == 0 ? 0.0 : trace / static_cast<double>(constant);
  const double penalty = mean > 0 ? std::max(ridge, kSmallestRidge) * mean : 1.0;

  // As in ridge.cc the constant is eliminated first, which centres the others.
  const auto position = [&](std::size_t regressor) { return regressor == constant ? 0 : regressor + 1; };
  SymmetricSystem system(regressors_, regressors_ + outputs_);
  for (std::size_t i = 0; i < regressors_; ++i) {
    double* row = system.row(position(i));
    const double* source = moments.gram_row(i);
    for (std::size_t j = 0; j < regressors_; ++j) row[position(j)] = source[j];
    if (i != constant) row[position(i)] += penalty;
    system.right_side(i)[position(i)] = 1;
    for (std::size_t c = 0; c < outputs_; ++c) {
      system.right_side(regressors_ + c)[position(i)] = moments.cross[i * outputs_ + c];
    }
  }
  system.solve(run, 0);
  inverse_ = PaddedMatrix(regressors_, regressors_);
  weights_.resize(regressors_ * outputs_);
  for (std::size_t i = 0; i < regressors_; ++i) {
    double* row = inverse_.row(i);
    const double* solved = system.right_side(i);
    for (std::size_t j = 0; j < regressors_; ++j) row[j] = solved[position(j)];
    for (std::size_t c = 0; c < outputs_; ++c) {
      weights_[i * outputs_ + c] = system.right_side(regressors_ + c)[position(i)];
    }
  }
}

void Problem::copy_weights(std::size_t unit, double* rows) const {
  for (std::size_t i = 0; i < unit_size(unit); ++i) {
    std::copy_n(weights_.data() + member(unit, i) * outputs_, outputs_, rows + i * outputs_);
  }
}

void Problem::add_costs(const RunContext& run, const std::vector<std::uint8_t>& removed,
                        double* costs) const {
  if (scale_ == 0) return;
  const std::size_t units = removed.size();
  constexpr std::size_t kUnitsPerBlock = 16;
  double largest = 0;
  for (std::size_t unit = 0; unit < units; ++unit) {
    largest = std::max(largest, static_cast<double>(unit_size(unit)));
  }
  const double work = static_cast<double>(regressors_ * outputs_) * (largest / 2 + 2);
  parallel_where_it_pays(run, (units + kUnitsPerBlock - 1) / kUnitsPerBlock, work,
                         [&](std::size_t block, int) {
                           std::vector<double> factor;
                           std::vector<double> rows;
                           const std::size_t last = std::min(units, (block + 1) * kUnitsPerBlock);
                           for (std::size_t unit = block * kUnitsPerBlock; unit < last; ++unit) {
                             const std::size_t size = unit_size(unit);
                             if (removed[unit] || size == 0) continue;
                             factor = diagonal_[unit];
                             factor_small(factor.data(), size);
                             rows.resize(size * outputs_);
                             copy_weights(unit, rows.data());
                             solve_rows(kernels_, factor.data(), size, rows.data(), outputs_);
                             double sum = 0;
                             for (double value : rows) sum += value * value;
                             costs[unit] += sum * scale_;
                           }
                         });
}

void Problem::remove(const RunContext& run, std::size_t unit, const std::vector<std::uint8_t>& removed) {
  const std::size_t size = unit_size(unit);
  if (scale_ == 0 || size == 0) return;
  if (pending_columns_ + size > pending_.stride()) {
    flush(run);
    pending_ = PaddedMatrix(regressors_, std::max(kPendingColumns, size));
    pending_columns_ = 0;
  }
  std::vector<double> factor = diagonal_[unit];
  factor_small(factor.data(), size);
  std::vector<double> rows(size * outputs_);
  copy_weights(unit, rows.data());
  solve_rows(kernels_, factor.data(), size, rows.data(), outputs_);

  // Z's rows of the unit, apart, because the loop below writes to Z.
  PaddedMatrix own(size, pending_.stride());
  for (std::size_t i = 0; i < size; ++i) {
    std::copy_n(pending_.row(member(unit, i)), pending_.stride(), own.row(i));
    remains_[member(unit, i)] = 0;
  }
  const std::size_t depth = round_up(pending_columns_, kGramDepthUnit);
  const double work = static_cast<double>(regressors_ * size) * static_cast<double>(outputs_ + depth + size);
  const std::size_t blocks = (regressors_ + kRowsPerBlock - 1) / kRowsPerBlock;
  parallel_where_it_pays(run, blocks, work, [&](std::size_t block, int) {
    std::vector<double> products(own.padded_rows() * kGramTileRows);
    std::vector<double> column(size);
    const std::size_t last = std::min(regressors_, (block + 1) * kRowsPerBlock);
    for (std::size_t strip = block * kRowsPerBlock; strip < last; strip += kGramTileRows) {
      const std::size_t strip_end = std::min(strip + kGramTileRows, last);
      if (std::none_of(remains_.begin() + strip, remains_.begin() + strip_end, [](auto r) { return r != 0; }))
        continue;
      for (std::size_t q = 0; q < own.padded_rows(); q += kGramTileRows) {
        kernels_.dot_tile(own.row(q), own.stride(), pending_.row(strip), pending_.stride(), depth,
                          products.data() + q * kGramTileRows);
      }
      for (std::size_t i = strip; i < strip_end; ++i) {
        if (!remains_[i]) continue;
        const double* inverse_row = inverse_.row(i);
        double* changes = pending_.row(i) + pending_columns_;
        for (std::size_t q = 0; q < size; ++q) {
          double value = inverse_row[member(unit, q)] - products[q * kGramTileRows + i - strip];
          for (std::size_t k = 0; k < q; ++k) value -= factor[q * size + k] * changes[k];
          changes[q] = value / factor[q * size + q];
        }
        kernels_.subtract_rows(rows.data(), outputs_, changes, size, weights_.data() + i * outputs_,
                               outputs_);
      }
    }
  });
  for (std::size_t i = 0; i < size; ++i) {
    std::fill_n(pending_.row(member(unit, i)), pending_.stride(), 0.0);
  }
  for (std::size_t other = 0; other < removed.size(); ++other) {
    if (removed[other] || other == unit) continue;
    const std::size_t other_size = unit_size(other);
    for (std::size_t i = 0; i < other_size; ++i) {
      const double* left = pending_.row(member(other, i)) + pending_columns_;
      for (std::size_t j = 0; j < other_size; ++j) {
        const double* right = pending_.row(member(other, j)) + pending_columns_;
        double sum = 0;
        for (std::size_t k = 0; k < size; ++k) sum += left[k] * right[k];
        diagonal_[other][i * other_size + j] -= sum;
      }
    }
  }
  pending_columns_ += size;
}

void Problem::flush(const RunContext& run) {
  if (pending_columns_ == 0) return;
  const std::size_t depth = round_up(pending_columns_, kGramDepthUnit);
  const std::size_t blocks = (regressors_ + kRowsPerBlock - 1) / kRowsPerBlock;
  const double work = static_cast<double>(regressors_) * static_cast<double>(regressors_ * depth);
  const auto strip_remains = [&](std::size_t strip) {
    for (std::size_t i = strip; i < std::min(strip + kGramTileRows, regressors_); ++i) {
      if (remains_[i]) return true;
    }
    return false;
  };
  parallel_where_it_pays(run, blocks, work, [&](std::size_t block, int) {
    double sums[kGramTileRows * kGramTileRows];
    const std::size_t last = std::min(inverse_.padded_rows(), (block + 1) * kRowsPerBlock);
    for (std::size_t i = block * kRowsPerBlock; i < last; i += kGramTileRows) {
      if (!strip_remains(i)) continue;
      for (std::size_t j = 0; j <= i; j += kGramTileRows) {
        if (!strip_remains(j)) continue;
        kernels_.dot_tile(pending_.row(i), pending_.stride(), pending_.row(j), pending_.stride(), depth,
                          sums);
        for (std::size_t r = 0; r < kGramTileRows; ++r) {
          for (std::size_t c = 0; c < kGramTileRows; ++c) {
            const double change = sums[kGramTileRows * r + c];
            inverse_.row(i + r)[j + c] -= change;
            if (i != j) inverse_.row(j + c)[i + r] -= change;
          }
        }
      }
    }
  });
}

void check_problem(const sieve_elimination_problem& problem, std::size_t units) {
  const MomentsView moments{problem.gram, problem.cross, problem.target_square, problem.regressors,
                            problem.outputs};
  check_moments(moments);
  require(problem.members != nullptr && problem.offsets != nullptr, "arrays", "members and offsets", "NULL");
  require(problem.offsets[0] == 0, "0", "the first offset", std::to_string(problem.offsets[0]));
  std::vector<std::uint8_t> owned(problem.regressors, 0);
  for (std::size_t unit = 0; unit < units; ++unit) {
    const int64_t begin = problem.offsets[unit];
    const int64_t end = problem.offsets[unit + 1];
    if (begin > end || end > static_cast<int64_t>(problem.regressors)) {
      expected(SIEVE_STATUS_INVALID_ARGUMENT, "offsets that do not fall", "unit " + std::to_string(unit),
               std::to_string(end) + " after " + std::to_string(begin));
    }
    for (int64_t i = begin; i < end; ++i) {
      const int64_t regressor = problem.members[i];
      if (regressor < 0 || regressor >= static_cast<int64_t>(moments.constant()) ||
          owned[static_cast<std::size_t>(regressor)]) {
        expected(SIEVE_STATUS_INVALID_ARGUMENT, "regressors other than the constant, each of one unit only",
                 "members", std::to_string(regressor) + " in unit " + std::to_string(unit));
      }
      owned[static_cast<std::size_t>(regressor)] = 1;
    }
  }
  const double count = moments.gram_row(moments.constant())[moments.constant()];
  require(count > 0, "at least one patch", "the moments", std::to_string(count));
}

}  // namespace
}  // namespace sieve

sieve_status sieve_eliminate_units(const sieve_elimination_problem* problems, size_t problem_count,
                                   size_t units, double ridge, const sieve_run_options* options,
                                   int32_t* order, double* error_after, sieve_error* error) {
  return sieve::guarded(error, [&] {
    sieve::require(problems != nullptr && problem_count > 0, "at least one problem", "problems", "none");
    sieve::require(units > 0 && units <= static_cast<size_t>(std::numeric_limits<int32_t>::max()),
                   "at least 1 and below 2^31", "units", std::to_string(units));
    sieve::require(std::isfinite(ridge) && ridge >= 0, "a finite number of at least 0", "ridge",
                   std::to_string(ridge));
    sieve::require(order != nullptr && error_after != nullptr, "arrays", "order and error_after", "NULL");
    sieve::RunContext run(options);
    std::vector<sieve::Problem> states;
    states.reserve(problem_count);
    for (size_t p = 0; p < problem_count; ++p) sieve::check_problem(problems[p], units);
    double total = 0;
    for (size_t p = 0; p < problem_count; ++p) {
      states.emplace_back(problems[p], units, ridge, run);
      total += states.back().full_error();
    }
    std::vector<std::uint8_t> removed(units, 0);
    std::vector<double> costs(units);
    run.begin_phase(0, 1, units);
    for (size_t step = 0; step < units; ++step) {
      std::fill(costs.begin(), costs.end(), 0.0);
      for (const sieve::Problem& state : states) state.add_costs(run, removed, costs.data());
      size_t best = units;
      for (size_t unit = 0; unit < units; ++unit) {
        if (!removed[unit] && (best == units || costs[unit] < costs[best])) best = unit;
      }
      removed[best] = 1;
      for (sieve::Problem& state : states) state.remove(run, best, removed);
      total += costs[best];
      order[step] = static_cast<int32_t>(best);
      error_after[step] = total;
      run.advance();
    }
    run.finish();
  });
}
