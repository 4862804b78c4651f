// Ridge solutions against Gaussian elimination on the normal equations, with prior, subsets of the regressors
// and without the constant; residuals against the quadratic form; singular moments. Tolerance: the moments
// here have condition numbers below 1e5, so two float64 solutions agree to about 1e-10.
#include <algorithm>
#include <numeric>

#include "least_squares_support.h"

namespace {

std::vector<double> ridge_naively(const test::Moments& m, const std::vector<int64_t>& active, double ridge,
                                  const std::vector<double>* prior) {
  const size_t n = active.size();
  const auto constant = static_cast<int64_t>(m.regressors) - 1;
  double trace = 0;
  size_t penalised = 0;
  for (int64_t i : active) {
    if (i == constant) continue;
    trace += m.gram[static_cast<size_t>(i) * (m.regressors + 1)];
    ++penalised;
  }
  const double penalty = penalised == 0 ? 0 : ridge * trace / static_cast<double>(penalised);
  std::vector<double> a(n * n);
  std::vector<double> b(n * m.outputs);
  for (size_t i = 0; i < n; ++i) {
    const auto row = static_cast<size_t>(active[i]);
    for (size_t j = 0; j < n; ++j) a[i * n + j] = m.gram[row * m.regressors + static_cast<size_t>(active[j])];
    const bool is_penalised = active[i] != constant;
    if (is_penalised) a[i * n + i] += penalty;
    for (size_t c = 0; c < m.outputs; ++c) {
      b[i * m.outputs + c] = m.cross[row * m.outputs + c];
      if (prior != nullptr && is_penalised) b[i * m.outputs + c] += penalty * (*prior)[i * m.outputs + c];
    }
  }
  test::solve_naively(a, b, n, m.outputs);
  return b;
}

std::vector<double> scatter(const test::Moments& m, const std::vector<int64_t>& active,
                            const std::vector<double>& weights) {
  std::vector<double> all(m.regressors * m.outputs);
  for (size_t i = 0; i < active.size(); ++i) {
    for (size_t c = 0; c < m.outputs; ++c) {
      all[static_cast<size_t>(active[i]) * m.outputs + c] = weights[i * m.outputs + c];
    }
  }
  return all;
}

sieve_status solve(const test::Moments& m, const std::vector<int64_t>& active, double ridge,
                   const double* prior, const sieve_run_options& options, std::vector<double>& weights,
                   std::vector<double>& residual, sieve_error* error) {
  weights.assign(active.size() * m.outputs, -1);
  residual.assign(m.outputs, -1);
  return sieve_ridge_solve(m.gram.data(), m.cross.data(), m.target_square.data(), m.regressors, m.outputs,
                           active.data(), active.size(), ridge, prior, &options, weights.data(),
                           residual.data(), error);
}

void test_solutions() {
  test::Random random(11);
  for (sieve_backend backend : test::backends()) {
    for (size_t dims : {1, 4, 63, 64, 100}) {
      for (size_t outputs : {1, 5, 9}) {
        const test::Moments m = test::random_moments(random, 4 * dims + 50, dims, outputs);
        for (bool with_constant : {true, false}) {
          for (bool subset : {false, true}) {
            std::vector<int64_t> active;
            for (size_t i = 0; i < dims; ++i) {
              if (!subset || i % 3 != 1 || dims < 3) active.push_back(static_cast<int64_t>(i));
            }
            if (with_constant) active.push_back(static_cast<int64_t>(dims));
            std::vector<double> prior(active.size() * outputs);
            for (double& value : prior) value = random.normal();
            for (double ridge : {0.0, 1e-4, 0.3}) {
              for (bool with_prior : {false, true}) {
                const std::vector<double> wanted =
                    ridge_naively(m, active, ridge, with_prior ? &prior : nullptr);
                std::vector<double> weights;
                std::vector<double> residual;
                sieve_error error = {};
                const sieve_status status = solve(m, active, ridge, with_prior ? prior.data() : nullptr,
                                                  test::run_with(backend, 2), weights, residual, &error);
                CHECK(status == SIEVE_STATUS_OK, "%s", error.message);
                double worst = 0;
                for (size_t i = 0; i < wanted.size(); ++i)
                  worst = std::fmax(worst, std::fabs(weights[i] - wanted[i]));
                CHECK(worst < 1e-8, "%zu dims, ridge %g: off by %g", dims, ridge, worst);

                const std::vector<double> all = scatter(m, active, weights);
                const double error_wanted = test::squared_error(m, all);
                const double total = std::accumulate(residual.begin(), residual.end(), 0.0);
                const double scale = std::accumulate(m.target_square.begin(), m.target_square.end(), 0.0);
                CHECK(std::fabs(total - error_wanted) < 1e-11 * scale, "%g instead of %g", total,
                      error_wanted);
                std::vector<double> again(outputs);
                CHECK(sieve_moments_residual(m.gram.data(), m.cross.data(), m.target_square.data(),
                                             m.regressors, outputs, all.data(), nullptr, again.data(),
                                             &error) == SIEVE_STATUS_OK,
                      "%s", error.message);
                for (size_t c = 0; c < outputs; ++c) {
                  CHECK(std::fabs(again[c] - residual[c]) <= 1e-11 * scale, "%g and %g", again[c],
                        residual[c]);
                }
              }
            }
          }
        }
      }
    }
  }
}

// A dead regressor, a copy, and one that equals the constant: no NaN, the same error as without them, and the
// prior where there is one.
void test_singular() {
  test::Random random(12);
  const size_t dims = 9;
  const size_t outputs = 2;
  test::Moments m(dims + 1, outputs);
  test::Moments reduced(dims - 3 + 1, outputs);
  for (int n = 0; n < 100; ++n) {
    double x[dims];
    double y[outputs];
    for (size_t i = 0; i < dims; ++i) x[i] = random.normal();
    x[3] = 0;
    x[5] = x[1];
    x[7] = 1;
    y[0] = x[0] + 2 * x[1] - x[8] + 0.1 * random.normal();
    y[1] = x[2] - x[4] + 3 + 0.1 * random.normal();
    const double kept[] = {x[0], x[1], x[2], x[4], x[6], x[8]};
    m.add(x, y);
    reduced.add(kept, y);
  }
  std::vector<int64_t> active(dims + 1);
  std::iota(active.begin(), active.end(), 0);
  std::vector<int64_t> reduced_active(dims - 3 + 1);
  std::iota(reduced_active.begin(), reduced_active.end(), 0);
  std::vector<double> weights;
  std::vector<double> residual;
  sieve_error error = {};
  const sieve_run_options options = test::run_with(SIEVE_BACKEND_AUTO, 1);
  const std::vector<double> wanted = ridge_naively(reduced, reduced_active, 0, nullptr);
  const double error_wanted = test::squared_error(reduced, wanted);

  CHECK(solve(m, active, 0, nullptr, options, weights, residual, &error) == SIEVE_STATUS_OK, "%s",
        error.message);
  CHECK(std::all_of(weights.begin(), weights.end(), [](double w) { return std::isfinite(w); }), "not finite");
  CHECK(std::fabs(residual[0] + residual[1] - error_wanted) < 1e-9, "%g instead of %g",
        residual[0] + residual[1], error_wanted);
  CHECK(weights[3 * outputs] == 0 && weights[7 * outputs] == 0, "%g and %g", weights[3 * outputs],
        weights[7 * outputs]);

  std::vector<double> prior(weights.size(), 0.5);
  CHECK(solve(m, active, 0, prior.data(), options, weights, residual, &error) == SIEVE_STATUS_OK, "%s",
        error.message);
  CHECK(weights[3 * outputs] == 0.5 && weights[7 * outputs] == 0.5, "the prior is lost");
  CHECK(std::fabs(residual[0] + residual[1] - error_wanted) < 1e-9, "%g instead of %g",
        residual[0] + residual[1], error_wanted);

  CHECK(solve(m, active, 1e-6, nullptr, options, weights, residual, &error) == SIEVE_STATUS_OK, "%s",
        error.message);
  CHECK(std::fabs(weights[1 * outputs] - weights[5 * outputs]) < 1e-6, "ridge shares the weight of a copy");

  const test::Moments empty(3, 1);
  CHECK(solve(empty, {0, 1, 2}, 0.1, nullptr, options, weights, residual, &error) == SIEVE_STATUS_OK, "%s",
        error.message);
  CHECK(weights[0] == 0 && weights[2] == 0 && residual[0] == 0, "no patches, no weights");
}

void test_refusals() {
  test::Random random(13);
  const test::Moments m = test::random_moments(random, 30, 3, 1);
  const sieve_run_options options = test::run_with(SIEVE_BACKEND_AUTO, 1);
  std::vector<double> weights;
  std::vector<double> residual;
  sieve_error error = {};
  const auto status_of = [&](const std::vector<int64_t>& active, double ridge) {
    return solve(m, active, ridge, nullptr, options, weights, residual, &error);
  };
  CHECK(status_of({}, 0) == SIEVE_STATUS_INVALID_ARGUMENT, "no regressors");
  CHECK(status_of({0, 0}, 0) == SIEVE_STATUS_INVALID_ARGUMENT, "twice the same");
  CHECK(status_of({1, 0}, 0) == SIEVE_STATUS_INVALID_ARGUMENT, "descending");
  CHECK(status_of({0, 4}, 0) == SIEVE_STATUS_INVALID_ARGUMENT, "out of range");
  CHECK(status_of({-1}, 0) == SIEVE_STATUS_INVALID_ARGUMENT, "negative");
  CHECK(status_of({0}, -1) == SIEVE_STATUS_INVALID_ARGUMENT, "a negative ridge");
  CHECK(status_of({0}, NAN) == SIEVE_STATUS_INVALID_ARGUMENT, "NaN ridge");
  test::Moments broken = m;
  broken.gram[0] = NAN;
  CHECK(solve(broken, {0, 1}, 0, nullptr, options, weights, residual, &error) == SIEVE_STATUS_NON_FINITE,
        "NaN");
  broken.gram[0] = -1;
  CHECK(solve(broken, {0, 1}, 0, nullptr, options, weights, residual, &error) ==
            SIEVE_STATUS_NOT_POSITIVE_DEFINITE,
        "a negative diagonal");
}

}  // namespace

int main() {
  test_solutions();
  test_singular();
  test_refusals();
  return test::result("ridge_test");
}
