// The float64 kernels of every instruction set against plain loops, and the symmetric solver built on them.
// Tolerance: a sum of k products in another order differs by less than k * 2^-52 of the sum of their absolute
// values; with values up to 1 that is k * 2.3e-16, checked as 1e-12 for k up to 1,024.
#include "kernels/gram.h"

#include <cstring>

#include "core/dense_linear_algebra.h"
#include "core/failure.h"
#include "least_squares_support.h"

namespace {

const sieve::GramKernels& kernels_of(sieve_backend backend) {
  const sieve_run_options options = test::run_with(backend, 1);
  const sieve::RunContext run(&options);
  return sieve::gram_kernels(run);
}

void test_dot_tile(const sieve::GramKernels& kernels) {
  test::Random random(1);
  for (size_t depth : {0, 8, 16, 24, 512, 1024}) {
    const size_t a_stride = depth + 3;  // rows that are not aligned
    const size_t b_stride = depth + 5;
    std::vector<double> a(4 * a_stride + 1);
    std::vector<double> b(4 * b_stride + 1);
    for (double& value : a) value = 2 * random.uniform() - 1;
    for (double& value : b) value = 2 * random.uniform() - 1;
    double sums[16];
    kernels.dot_tile(a.data() + 1, a_stride, b.data() + 1, b_stride, depth, sums);
    for (size_t i = 0; i < 4; ++i) {
      for (size_t j = 0; j < 4; ++j) {
        double sum = 0;
        for (size_t k = 0; k < depth; ++k) sum += a[1 + i * a_stride + k] * b[1 + j * b_stride + k];
        CHECK(std::fabs(sums[4 * i + j] - sum) < 1e-12, "%g instead of %g", sums[4 * i + j], sum);
      }
    }
  }
}

void test_subtract_rows(const sieve::GramKernels& kernels) {
  test::Random random(2);
  for (size_t rows : {0, 1, 3, 9}) {
    for (size_t length : {0, 1, 2, 7, 8, 9, 15, 16, 17, 31, 33}) {
      const size_t stride = length + 2;
      std::vector<double> source(rows * stride);
      std::vector<double> coefficients(rows);
      std::vector<double> target(length + 1, 0.25);
      for (double& value : source) value = random.normal();
      for (double& value : coefficients) value = random.normal();
      kernels.subtract_rows(source.data(), stride, coefficients.data(), rows, target.data(), length);
      for (size_t k = 0; k < length; ++k) {
        double value = 0.25;
        for (size_t i = 0; i < rows; ++i) value -= coefficients[i] * source[i * stride + k];
        CHECK(std::fabs(target[k] - value) < 1e-12, "%g instead of %g", target[k], value);
      }
      CHECK(target[length] == 0.25, "wrote beyond %zu values", length);
    }
  }
}

// What gram_neon.cc promises: equal bits.
void test_same_as_serial(const sieve::GramKernels& kernels) {
  test::Random random(5);
  for (size_t depth : {0, 8, 72, 512}) {
    std::vector<double> a(4 * depth + 1), b(4 * depth + 1);
    for (double& value : a) value = random.normal();
    for (double& value : b) value = random.normal();
    double sums[16], expected[16];
    kernels.dot_tile(a.data() + 1, depth, b.data() + 1, depth, depth, sums);
    sieve::kGramSerial.dot_tile(a.data() + 1, depth, b.data() + 1, depth, depth, expected);
    CHECK(std::memcmp(sums, expected, sizeof(sums)) == 0, "products of depth %zu", depth);
  }
  for (size_t length : {1, 7, 8, 21, 64}) {
    constexpr size_t kRows = 5;
    std::vector<double> source(kRows * length), coefficients(kRows), target(length);
    for (double& value : source) value = random.normal();
    for (double& value : coefficients) value = random.normal();
    for (double& value : target) value = random.normal();
    std::vector<double> expected = target;
    kernels.subtract_rows(source.data(), length, coefficients.data(), kRows, target.data(), length);
    sieve::kGramSerial.subtract_rows(source.data(), length, coefficients.data(), kRows, expected.data(),
                                     length);
    CHECK(std::memcmp(target.data(), expected.data(), length * sizeof(double)) == 0, "length %zu", length);
  }
}

// A = B B' + I, right-hand sides A x of known x. Orders around the block size, sides around the strip size.
void test_system(sieve_backend backend) {
  test::Random random(3);
  const sieve_run_options options = test::run_with(backend, 2);
  const sieve::RunContext run(&options);
  for (size_t order : {1, 2, 3, 7, 8, 9, 63, 64, 65, 129, 200}) {
    for (size_t sides : {1, 4, 67}) {
      std::vector<double> b(order * order);
      for (double& value : b) value = random.normal();
      std::vector<double> a(order * order);
      std::vector<double> x(order * sides);
      for (double& value : x) value = random.normal();
      sieve::SymmetricSystem system(order, sides);
      for (size_t i = 0; i < order; ++i) {
        for (size_t j = 0; j < order; ++j) {
          double sum = i == j ? 1 : 0;
          for (size_t k = 0; k < order; ++k) sum += b[i * order + k] * b[j * order + k];
          a[i * order + j] = sum;
          if (j <= i) system.row(i)[j] = sum;
        }
      }
      for (size_t c = 0; c < sides; ++c) {
        for (size_t i = 0; i < order; ++i) {
          double sum = 0;
          for (size_t j = 0; j < order; ++j) sum += a[i * order + j] * x[j * sides + c];
          system.right_side(c)[i] = sum;
        }
      }
      system.solve(run, sieve::rounding_tolerance(order));
      double worst = 0;
      for (size_t c = 0; c < sides; ++c) {
        for (size_t i = 0; i < order; ++i) {
          worst = std::fmax(worst, std::fabs(system.right_side(c)[i] - x[i * sides + c]));
        }
      }
      // The condition number of A is below 1e4 here.
      CHECK(worst < 1e-9, "order %zu, %zu sides: off by %g", order, sides, worst);
    }
  }
}

void test_refusals() {
  const sieve_run_options options = test::run_with(SIEVE_BACKEND_AUTO, 1);
  const sieve::RunContext run(&options);
  const auto status_of = [&](double corner, double tolerance) {
    sieve::SymmetricSystem system(2, 1);
    system.row(0)[0] = 1;
    system.row(1)[0] = 1;
    system.row(1)[1] = corner;
    system.right_side(0)[0] = 1;
    system.right_side(0)[1] = 1;
    try {
      system.solve(run, tolerance);
    } catch (const sieve::Failure& failure) {
      return failure.status();
    }
    CHECK(system.right_side(0)[0] == 1 && system.right_side(0)[1] == 0, "not the basic solution");
    return SIEVE_STATUS_OK;
  };
  CHECK(status_of(1, 1e-12) == SIEVE_STATUS_OK, "a determined unknown");
  CHECK(status_of(1, 0) == SIEVE_STATUS_NOT_POSITIVE_DEFINITE, "no tolerance");
  CHECK(status_of(-1, 1e-12) == SIEVE_STATUS_NOT_POSITIVE_DEFINITE, "an indefinite matrix");
  CHECK(status_of(NAN, 1e-12) == SIEVE_STATUS_NON_FINITE, "NaN");
  CHECK(status_of(INFINITY, 1e-12) == SIEVE_STATUS_NON_FINITE, "an infinity");
}

}  // namespace

int main() {
  for (sieve_backend backend : test::backends()) {
    test_dot_tile(kernels_of(backend));
    test_subtract_rows(kernels_of(backend));
    test_system(backend);
    if (backend == SIEVE_BACKEND_NEON) test_same_as_serial(kernels_of(backend));
  }
  test_refusals();
  return test::result("gram_test");
}
