// What the least-squares tests share: naive float64 references.
#ifndef SIEVE_TEST_LEAST_SQUARES_SUPPORT_H
#define SIEVE_TEST_LEAST_SQUARES_SUPPORT_H

#include <cmath>
#include <cstdint>
#include <cstdio>
#include <vector>

#include "sieve/sieve.h"
#include "support.h"

namespace test {

inline sieve_run_options run_with(sieve_backend backend, int threads) {
  sieve_run_options options = {};
  options.backend = backend;
  options.threads = threads;
  return options;
}

// Moments of plain rows x [count, regressors - 1] (the constant is added) and y [count, outputs].
struct Moments {
  size_t regressors;
  size_t outputs;
  std::vector<double> gram;
  std::vector<double> cross;
  std::vector<double> target_square;

  Moments(size_t regressors_, size_t outputs_)
      : regressors(regressors_),
        outputs(outputs_),
        gram(regressors_ * regressors_),
        cross(regressors_ * outputs_),
        target_square(outputs_) {}

  void add(const double* x, const double* y) {
    const auto value = [&](size_t i) { return i + 1 == regressors ? 1.0 : x[i]; };
    for (size_t i = 0; i < regressors; ++i) {
      for (size_t j = 0; j < regressors; ++j) gram[i * regressors + j] += value(i) * value(j);
      for (size_t c = 0; c < outputs; ++c) cross[i * outputs + c] += value(i) * y[c];
    }
    for (size_t c = 0; c < outputs; ++c) target_square[c] += y[c] * y[c];
  }
  double mean_diagonal() const {
    double sum = 0;
    for (size_t i = 0; i + 1 < regressors; ++i) sum += gram[i * regressors + i];
    return sum / static_cast<double>(regressors - 1);
  }
};

// Rows with a mean, of correlated regressors, and targets that depend on them linearly, with noise.
inline Moments random_moments(Random& random, size_t count, size_t dims, size_t outputs) {
  Moments moments(dims + 1, outputs);
  std::vector<double> truth(dims * outputs);
  for (double& value : truth) value = random.normal();
  std::vector<double> x(dims);
  std::vector<double> y(outputs);
  for (size_t n = 0; n < count; ++n) {
    const double shared = random.normal();
    for (double& value : x) value = 0.7 * random.normal() + 0.5 * shared + 1;
    for (size_t c = 0; c < outputs; ++c) {
      y[c] = 0.3 * random.normal() - 2;
      for (size_t i = 0; i < dims; ++i) y[c] += truth[i * outputs + c] * x[i];
    }
    moments.add(x.data(), y.data());
  }
  return moments;
}

// Solves a x = b by Gaussian elimination with full row pivoting; a [n, n], b [n, sides] becomes x.
inline void solve_naively(std::vector<double> a, std::vector<double>& b, size_t n, size_t sides) {
  for (size_t column = 0; column < n; ++column) {
    size_t pivot = column;
    for (size_t i = column + 1; i < n; ++i) {
      if (std::fabs(a[i * n + column]) > std::fabs(a[pivot * n + column])) pivot = i;
    }
    for (size_t j = 0; j < n; ++j) std::swap(a[column * n + j], a[pivot * n + j]);
    for (size_t c = 0; c < sides; ++c) std::swap(b[column * sides + c], b[pivot * sides + c]);
    for (size_t i = 0; i < n; ++i) {
      if (i == column) continue;
      const double factor = a[i * n + column] / a[column * n + column];
      for (size_t j = column; j < n; ++j) a[i * n + j] -= factor * a[column * n + j];
      for (size_t c = 0; c < sides; ++c) b[i * sides + c] -= factor * b[column * sides + c];
    }
  }
  for (size_t i = 0; i < n; ++i) {
    for (size_t c = 0; c < sides; ++c) b[i * sides + c] /= a[i * n + i];
  }
}

// ||X w - Y||^2 summed over the outputs, for w [regressors, outputs].
inline double squared_error(const Moments& m, const std::vector<double>& w) {
  double error = 0;
  for (size_t c = 0; c < m.outputs; ++c) {
    error += m.target_square[c];
    for (size_t i = 0; i < m.regressors; ++i) {
      error -= 2 * w[i * m.outputs + c] * m.cross[i * m.outputs + c];
      for (size_t j = 0; j < m.regressors; ++j) {
        error += w[i * m.outputs + c] * m.gram[i * m.regressors + j] * w[j * m.outputs + c];
      }
    }
  }
  return error;
}

}  // namespace test

#endif  // SIEVE_TEST_LEAST_SQUARES_SUPPORT_H
