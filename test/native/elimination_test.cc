// Elimination against brute force: before every removal, every remaining unit is tried and the problems
// re-solved from scratch without it. Tolerance: errors are shares of the total variance; two float64
// solutions of these small problems agree to 1e-9.
#include <algorithm>

#include "least_squares_support.h"

namespace {

struct Problem {
  test::Moments moments;
  std::vector<int64_t> members;
  std::vector<int64_t> offsets;
};

sieve_elimination_problem view_of(const Problem& problem) {
  return {problem.moments.gram.data(), problem.moments.cross.data(), problem.moments.target_square.data(),
          problem.moments.regressors,  problem.moments.outputs,      problem.members.data(),
          problem.offsets.data()};
}

// Units of `unit_size` regressors each, spread over the regressors; `spare` regressors belong to none.
Problem make_problem(test::Random& random, size_t units, size_t unit_size, size_t spare, size_t outputs) {
  const size_t dims = units * unit_size + spare;
  Problem problem{test::random_moments(random, 3 * dims + 40, dims, outputs), {}, {0}};
  std::vector<int64_t> regressors(dims);
  for (size_t i = 0; i < dims; ++i) regressors[i] = static_cast<int64_t>(i);
  for (size_t i = dims; i > 1; --i) {
    std::swap(regressors[i - 1],
              regressors[static_cast<size_t>(random.integer(0, static_cast<int64_t>(i) - 1))]);
  }
  for (size_t unit = 0; unit < units; ++unit) {
    for (size_t i = 0; i < unit_size; ++i) problem.members.push_back(regressors[unit * unit_size + i]);
    problem.offsets.push_back(static_cast<int64_t>(problem.members.size()));
  }
  return problem;
}

// Penalised residual over total variance without the regressors of the removed units.
double error_without(const Problem& problem, const std::vector<bool>& removed, double ridge) {
  const test::Moments& m = problem.moments;
  std::vector<bool> out(m.regressors, false);
  for (size_t unit = 0; unit < removed.size(); ++unit) {
    for (int64_t i = problem.offsets[unit]; removed[unit] && i < problem.offsets[unit + 1]; ++i) {
      out[static_cast<size_t>(problem.members[static_cast<size_t>(i)])] = true;
    }
  }
  std::vector<size_t> active;
  for (size_t i = 0; i < m.regressors; ++i) {
    if (!out[i]) active.push_back(i);
  }
  const size_t n = active.size();
  const double penalty = ridge * m.mean_diagonal();
  std::vector<double> a(n * n);
  std::vector<double> b(n * m.outputs);
  for (size_t i = 0; i < n; ++i) {
    for (size_t j = 0; j < n; ++j) a[i * n + j] = m.gram[active[i] * m.regressors + active[j]];
    if (active[i] + 1 != m.regressors) a[i * n + i] += penalty;
    for (size_t c = 0; c < m.outputs; ++c) b[i * m.outputs + c] = m.cross[active[i] * m.outputs + c];
  }
  const std::vector<double> cross = b;
  test::solve_naively(a, b, n, m.outputs);
  double error = 0;
  double variance = 0;
  for (size_t c = 0; c < m.outputs; ++c) {
    const double sum = m.cross[(m.regressors - 1) * m.outputs + c];
    error += m.target_square[c];
    variance += m.target_square[c] - sum * sum / m.gram.back();
  }
  for (size_t i = 0; i < b.size(); ++i) error -= b[i] * cross[i];
  return error / variance;
}

void compare(const std::vector<Problem>& problems, size_t units, double ridge, sieve_backend backend) {
  std::vector<sieve_elimination_problem> views;
  for (const Problem& problem : problems) views.push_back(view_of(problem));
  std::vector<int32_t> order(units, -1);
  std::vector<double> error_after(units, -1);
  sieve_error error = {};
  const sieve_run_options options = test::run_with(backend, 2);
  const sieve_status status = sieve_eliminate_units(views.data(), views.size(), units, ridge, &options,
                                                    order.data(), error_after.data(), &error);
  CHECK(status == SIEVE_STATUS_OK, "%s", error.message);
  if (status != SIEVE_STATUS_OK) return;

  std::vector<bool> removed(units, false);
  for (size_t step = 0; step < units; ++step) {
    double best = INFINITY;
    double chosen = INFINITY;
    for (size_t unit = 0; unit < units; ++unit) {
      if (removed[unit]) continue;
      std::vector<bool> tried = removed;
      tried[unit] = true;
      double total = 0;
      for (const Problem& problem : problems) total += error_without(problem, tried, ridge);
      best = std::min(best, total);
      if (static_cast<int32_t>(unit) == order[step]) chosen = total;
    }
    CHECK(chosen <= best + 1e-9, "step %zu: unit %d leaves %g, the best %g", step, order[step], chosen, best);
    CHECK(std::fabs(error_after[step] - chosen) < 1e-9, "step %zu: %.12g instead of %.12g", step,
          error_after[step], chosen);
    if (order[step] < 0 || removed[static_cast<size_t>(order[step])]) {
      CHECK(false, "unit %d twice", order[step]);
      return;
    }
    removed[static_cast<size_t>(order[step])] = true;
  }
}

void test_against_brute_force() {
  test::Random random(21);
  for (sieve_backend backend : test::backends()) {
    for (size_t unit_size : {1, 3, 9}) {
      std::vector<Problem> one;
      one.push_back(make_problem(random, 6, unit_size, 0, 4));
      compare(one, 6, 1e-3, backend);
      std::vector<Problem> joint;
      joint.push_back(make_problem(random, 5, unit_size, 2, 3));
      joint.push_back(make_problem(random, 5, 1, 0, 7));
      compare(joint, 5, 0.05, backend);
    }
    // More removed columns than are kept pending, and a unit that is larger than that by itself.
    std::vector<Problem> deep;
    deep.push_back(make_problem(random, 20, 9, 1, 2));
    compare(deep, 20, 1e-4, backend);
    std::vector<Problem> wide;
    wide.push_back(make_problem(random, 2, 140, 0, 2));
    compare(wide, 2, 1e-3, backend);
  }
}

// Dead, copied and missing units go first and cost nothing; without a ridge the result is still finite.
void test_degenerate() {
  test::Random random(22);
  Problem problem{test::Moments(5, 1), {0, 1, 2, 3}, {0, 1, 2, 3, 4, 4}};
  for (int n = 0; n < 200; ++n) {
    const double a = random.normal();
    const double b = random.normal();
    const double x[] = {a, 0, b, a};
    const double y[] = {a + 3 * b + 5};
    problem.moments.add(x, y);
  }
  const sieve_elimination_problem view = view_of(problem);
  int32_t order[5];
  double error_after[5];
  sieve_error error = {};
  CHECK(sieve_eliminate_units(&view, 1, 5, 0, nullptr, order, error_after, &error) == SIEVE_STATUS_OK, "%s",
        error.message);
  CHECK(order[0] == 1 && order[1] == 4, "first %d and %d", order[0], order[1]);
  CHECK((order[2] == 0 || order[2] == 3) && error_after[2] < 1e-6, "third %d, %g", order[2], error_after[2]);
  CHECK(order[4] == 2, "last %d", order[4]);
  // A copy leaves the inverse of the moments about eight digits.
  CHECK(std::fabs(error_after[4] - 1) < 1e-7, "all removed leaves the variance: %g", error_after[4]);

  // Targets that do not vary: nothing to lose.
  Problem flat{test::Moments(3, 1), {0, 1}, {0, 1, 2}};
  for (int n = 0; n < 50; ++n) {
    const double x[] = {random.normal(), random.normal()};
    const double y[] = {2};
    flat.moments.add(x, y);
  }
  const sieve_elimination_problem flat_view = view_of(flat);
  CHECK(sieve_eliminate_units(&flat_view, 1, 2, 1e-3, nullptr, order, error_after, &error) == SIEVE_STATUS_OK,
        "%s", error.message);
  CHECK(order[0] == 0 && order[1] == 1 && error_after[1] < 1e-9, "%d %d %g", order[0], order[1],
        error_after[1]);
}

void test_refusals() {
  test::Random random(23);
  const Problem good = make_problem(random, 3, 2, 0, 1);
  int32_t order[3];
  double error_after[3];
  const auto status_of = [&](const Problem& problem, double ridge) {
    const sieve_elimination_problem view = view_of(problem);
    return sieve_eliminate_units(&view, 1, 3, ridge, nullptr, order, error_after, nullptr);
  };
  CHECK(status_of(good, 0.1) == SIEVE_STATUS_OK, "the good problem");
  CHECK(status_of(good, -1) == SIEVE_STATUS_INVALID_ARGUMENT, "a negative ridge");
  Problem twice = good;
  twice.members[0] = twice.members[1];
  CHECK(status_of(twice, 0.1) == SIEVE_STATUS_INVALID_ARGUMENT, "a regressor of two units");
  Problem constant = good;
  constant.members[0] = 6;
  CHECK(status_of(constant, 0.1) == SIEVE_STATUS_INVALID_ARGUMENT, "the constant in a unit");
  Problem falling = good;
  falling.offsets[1] = 5;
  CHECK(status_of(falling, 0.1) == SIEVE_STATUS_INVALID_ARGUMENT, "offsets that fall");
  Problem empty = good;
  std::fill(empty.moments.gram.begin(), empty.moments.gram.end(), 0.0);
  CHECK(status_of(empty, 0.1) == SIEVE_STATUS_INVALID_ARGUMENT, "no patches");
  CHECK(sieve_eliminate_units(nullptr, 0, 3, 0, nullptr, order, error_after, nullptr) ==
            SIEVE_STATUS_INVALID_ARGUMENT,
        "no problems");
}

}  // namespace

int main() {
  test_against_brute_force();
  test_degenerate();
  test_refusals();
  return test::result("elimination_test");
}
