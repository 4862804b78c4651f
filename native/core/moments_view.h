// Moments as the solvers read them: sums over patches of regressors and targets, owned by the caller.
#ifndef SIEVE_CORE_MOMENTS_VIEW_H
#define SIEVE_CORE_MOMENTS_VIEW_H

#include <cstddef>

#include "core/dense_linear_algebra.h"
#include "core/run_context.h"

namespace sieve {

struct MomentsView {
  const double* gram;           // [regressors, regressors]
  const double* cross;          // [regressors, outputs]
  const double* target_square;  // [outputs]
  std::size_t regressors;       // the last one is the constant 1
  std::size_t outputs;

  std::size_t constant() const { return regressors - 1; }
  const double* gram_row(std::size_t index) const { return gram + index * regressors; }
};

// Fails with INVALID_ARGUMENT on missing arrays or empty sizes.
void check_moments(const MomentsView& moments);

// gram * weights, for weights [regressors, outputs]: a matrix of the same shape.
PaddedMatrix gram_times(const MomentsView& moments, const double* weights, const RunContext& run);

}  // namespace sieve

#endif  // SIEVE_CORE_MOMENTS_VIEW_H
