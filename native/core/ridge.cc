// Ridge regression from moments, and the error that given weights leave on them.
#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "core/dense_linear_algebra.h"
#include "core/failure.h"
#include "core/moments_view.h"
#include "core/parallel.h"
#include "sieve/sieve.h"

namespace sieve {
namespace {

constexpr std::size_t kRowsPerBlock = 32;

void check_active(const int64_t* active, std::size_t active_count, std::size_t regressors) {
  require(active != nullptr && active_count > 0, "at least one active regressor", "active", "none");
  int64_t previous = -1;
  for (std::size_t i = 0; i < active_count; ++i) {
    if (active[i] <= previous || active[i] >= static_cast<int64_t>(regressors)) {
      expected(SIEVE_STATUS_INVALID_ARGUMENT, "ascending indices of regressors", "active",
               std::to_string(active[i]) + " at position " + std::to_string(i));
    }
    previous = active[i];
  }
}

// The constant goes first: eliminating it first is centring all others, so a regressor with a large mean and
// a small spread is judged by its spread, and the constant itself is never the one that others determine.
std::vector<std::size_t> elimination_order(std::size_t active_count, bool has_constant) {
  std::vector<std::size_t> order;
  order.reserve(active_count);
  if (has_constant) order.push_back(active_count - 1);
  for (std::size_t i = 0; i + (has_constant ? 1 : 0) < active_count; ++i) order.push_back(i);
  return order;
}

void solve_ridge(const MomentsView& moments, const int64_t* active, std::size_t active_count, double ridge,
                 const double* prior, const RunContext& run, double* weights) {
  const std::size_t outputs = moments.outputs;
  const bool has_constant = active[active_count - 1] == static_cast<int64_t>(moments.constant());
  const std::size_t penalised = active_count - (has_constant ? 1 : 0);
  double trace = 0;
  for (std::size_t i = 0; i < penalised; ++i) trace += moments.gram_row(active[i])[active[i]];
  const double penalty = penalised == 0 ? 0.0 : ridge * trace / static_cast<double>(penalised);

  // Solved for the difference to the prior, so that an unknown which is left out keeps its prior.
  SymmetricSystem system(active_count, outputs);
  const std::vector<std::size_t> order = elimination_order(active_count, has_constant);
  std::vector<std::size_t> regressor(active_count);
  for (std::size_t i = 0; i < active_count; ++i) regressor[i] = static_cast<std::size_t>(active[order[i]]);
  for (std::size_t i = 0; i < active_count; ++i) {
    const double* source = moments.gram_row(regressor[i]);
    double* row = system.row(i);
    for (std::size_t j = 0; j <= i; ++j) row[j] = source[regressor[j]];
    if (!(has_constant && i == 0)) row[i] += penalty;
  }
  for (std::size_t c = 0; c < outputs; ++c) {
    double* side = system.right_side(c);
    for (std::size_t i = 0; i < active_count; ++i) side[i] = moments.cross[regressor[i] * outputs + c];
  }
  if (prior != nullptr) {
    std::vector<double> scattered(moments.regressors * outputs);
    for (std::size_t i = 0; i < active_count; ++i) {
      std::copy_n(prior + i * outputs, outputs, scattered.data() + active[i] * outputs);
    }
    const PaddedMatrix predicted = gram_times(moments, scattered.data(), run);
    for (std::size_t c = 0; c < outputs; ++c) {
      double* side = system.right_side(c);
      for (std::size_t i = 0; i < active_count; ++i) side[i] -= predicted.row(regressor[i])[c];
    }
  }
  system.solve(run, rounding_tolerance(active_count));
  for (std::size_t i = 0; i < active_count; ++i) {
    for (std::size_t c = 0; c < outputs; ++c) {
      const std::size_t at = order[i] * outputs + c;
      weights[at] = system.right_side(c)[i] + (prior == nullptr ? 0.0 : prior[at]);
    }
  }
}

// ||X w - Y||^2 = Y'Y - sum over regressors of w * (2 X'Y - X'X w).
void residual_of(const MomentsView& moments, const double* weights, const RunContext& run, double* residual) {
  const std::size_t outputs = moments.outputs;
  const PaddedMatrix predicted = gram_times(moments, weights, run);
  for (std::size_t c = 0; c < outputs; ++c) {
    double explained = 0;
    for (std::size_t i = 0; i < moments.regressors; ++i) {
      explained += weights[i * outputs + c] * (2 * moments.cross[i * outputs + c] - predicted.row(i)[c]);
    }
    // Rounding can leave a perfect fit slightly below zero.
    residual[c] = std::isnan(explained) ? explained : std::max(0.0, moments.target_square[c] - explained);
  }
}

}  // namespace

void check_moments(const MomentsView& moments) {
  require(moments.gram != nullptr && moments.cross != nullptr && moments.target_square != nullptr, "arrays",
          "the moments", "NULL");
  require(moments.regressors > 0, "at least the constant", "regressors", "0");
  require(moments.outputs > 0, "at least 1", "outputs", "0");
}

PaddedMatrix gram_times(const MomentsView& moments, const double* weights, const RunContext& run) {
  const GramKernels& kernels = gram_kernels(run);
  const std::size_t outputs = moments.outputs;
  PaddedMatrix columns(outputs, moments.regressors);
  for (std::size_t i = 0; i < moments.regressors; ++i) {
    for (std::size_t c = 0; c < outputs; ++c) columns.row(c)[i] = weights[i * outputs + c];
  }
  PaddedMatrix product(moments.regressors, outputs);
  const std::size_t blocks = (moments.regressors + kRowsPerBlock - 1) / kRowsPerBlock;
  const double work = static_cast<double>(moments.regressors) * static_cast<double>(moments.regressors) *
                      static_cast<double>(outputs);
  parallel_where_it_pays(run, blocks, work, [&](std::size_t block, int) {
    const std::size_t first = block * kRowsPerBlock;
    const std::size_t rows = std::min(kRowsPerBlock, moments.regressors - first);
    PaddedMatrix strip(rows, moments.regressors);
    for (std::size_t i = 0; i < rows; ++i) {
      std::copy_n(moments.gram_row(first + i), moments.regressors, strip.row(i));
    }
    double sums[kGramTileRows * kGramTileRows];
    for (std::size_t c = 0; c < columns.padded_rows(); c += kGramTileRows) {
      for (std::size_t i = 0; i < strip.padded_rows(); i += kGramTileRows) {
        kernels.dot_tile(strip.row(i), strip.stride(), columns.row(c), columns.stride(), strip.stride(),
                         sums);
        for (std::size_t r = 0; r < std::min(kGramTileRows, rows - i); ++r) {
          for (std::size_t k = 0; k < std::min(kGramTileRows, outputs - c); ++k) {
            product.row(first + i + r)[c + k] = sums[kGramTileRows * r + k];
          }
        }
      }
    }
  });
  return product;
}

}  // namespace sieve

using sieve::MomentsView;
using sieve::RunContext;

sieve_status sieve_ridge_solve(const double* gram, const double* cross, const double* target_square,
                               size_t regressors, size_t outputs, const int64_t* active, size_t active_count,
                               double ridge, const double* prior, const sieve_run_options* options,
                               double* weights, double* residual, sieve_error* error) {
  return sieve::guarded(error, [&] {
    const MomentsView moments{gram, cross, target_square, regressors, outputs};
    sieve::check_moments(moments);
    sieve::check_active(active, active_count, regressors);
    sieve::require(std::isfinite(ridge) && ridge >= 0, "a finite number of at least 0", "ridge",
                   std::to_string(ridge));
    sieve::require(weights != nullptr, "an array", "weights", "NULL");
    RunContext run(options);
    sieve::solve_ridge(moments, active, active_count, ridge, prior, run, weights);
    if (residual != nullptr) {
      std::vector<double> scattered(regressors * outputs);
      for (size_t i = 0; i < active_count; ++i) {
        std::copy_n(weights + i * outputs, outputs, scattered.data() + active[i] * outputs);
      }
      sieve::residual_of(moments, scattered.data(), run, residual);
    }
    run.finish();
  });
}

sieve_status sieve_moments_residual(const double* gram, const double* cross, const double* target_square,
                                    size_t regressors, size_t outputs, const double* weights,
                                    const sieve_run_options* options, double* residual, sieve_error* error) {
  return sieve::guarded(error, [&] {
    const MomentsView moments{gram, cross, target_square, regressors, outputs};
    sieve::check_moments(moments);
    sieve::require(weights != nullptr && residual != nullptr, "arrays", "weights and residual", "NULL");
    RunContext run(options);
    sieve::residual_of(moments, weights, run, residual);
    run.finish();
  });
}
