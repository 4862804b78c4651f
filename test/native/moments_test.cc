// Moments of unrolled patches against a loop over the definition of a convolution, for every backend, and the
// same bits for any number of threads. Tolerance: products of float32 are exact in float64, and n of them are
// summed: below n * 2^-52 of the sum of the absolute products, checked as 1e-12 of the diagonal's geometric
// mean.
#include <cstring>

#include "least_squares_support.h"

namespace {

struct Case {
  const char* name;
  size_t samples;
  sieve_patch_geometry geometry;
};

// channels, height, width, kernel, stride, dilation, pads, output, outputs
const Case kCases[] = {
    {"pointwise", 3, {2, 5, 4, 1, 1, 1, 1, 1, 1, 0, 0, 5, 4, 3}},
    {"3x3 same", 5, {4, 9, 7, 3, 3, 1, 1, 1, 1, 1, 1, 9, 7, 5}},
    {"stride 2", 4, {3, 8, 9, 3, 3, 2, 2, 1, 1, 1, 1, 4, 5, 2}},
    {"stride 2 of 1x1", 4, {3, 7, 7, 1, 1, 2, 2, 1, 1, 0, 0, 4, 4, 2}},
    {"dilated", 2, {2, 11, 12, 3, 2, 1, 1, 2, 3, 2, 3, 11, 12, 1}},
    {"uneven pads", 3, {2, 6, 5, 4, 3, 1, 2, 1, 1, 3, 0, 6, 3, 2}},
    {"pads beyond the map", 2, {1, 2, 2, 3, 3, 1, 1, 1, 1, 5, 5, 10, 10, 1}},
    {"stride beyond the map", 2, {1, 3, 3, 2, 2, 5, 7, 1, 1, 0, 0, 1, 1, 2}},
    {"1-D", 3, {3, 1, 40, 1, 5, 1, 1, 1, 1, 0, 2, 1, 40, 4}},
    {"dense", 37, {20, 1, 1, 1, 1, 1, 1, 1, 1, 0, 0, 1, 1, 6}},
    {"many tiles", 9, {17, 12, 12, 3, 3, 1, 1, 1, 1, 1, 1, 12, 12, 40}},
    {"many blocks", 40, {1, 20, 20, 3, 3, 1, 1, 1, 1, 1, 1, 20, 20, 1}},
    {"one slice", 2, {45, 6, 6, 3, 3, 1, 1, 1, 1, 1, 1, 6, 6, 3}},
};

struct Data {
  size_t input_stride;
  size_t target_stride;
  std::vector<float> input;
  std::vector<float> target;
};

Data data_for(const Case& test_case, uint64_t seed) {
  const sieve_patch_geometry& g = test_case.geometry;
  test::Random random(seed);
  Data data;
  // Gaps between samples, as a group of a grouped convolution has them.
  data.input_stride = static_cast<size_t>(g.channels * g.height * g.width) + 3;
  data.target_stride = static_cast<size_t>(g.outputs * g.output_height * g.output_width) + 5;
  data.input.resize(data.input_stride * test_case.samples);
  data.target.resize(data.target_stride * test_case.samples);
  for (float& value : data.input) value = static_cast<float>(random.normal() + 0.5);
  for (float& value : data.target) value = static_cast<float>(random.normal());
  return data;
}

struct Sums {
  std::vector<double> gram;
  std::vector<double> cross;
  std::vector<double> target_square;
  int64_t count = 0;

  explicit Sums(const sieve_patch_geometry& g) {
    const auto d = static_cast<size_t>(g.channels * g.kernel_height * g.kernel_width);
    const auto m = static_cast<size_t>(g.outputs);
    gram.resize((d + 1) * (d + 1));
    cross.resize((d + 1) * m);
    target_square.resize(m);
  }
};

sieve_status accumulate(const Data& data, size_t samples, const sieve_patch_geometry& g,
                        const sieve_run_options& options, Sums& sums, sieve_error* error = nullptr) {
  sieve_moments moments = {sums.gram.data(), sums.cross.data(), sums.target_square.data(), sums.count};
  const sieve_status status =
      sieve_moments_accumulate(data.input.data(), data.input_stride, data.target.data(), data.target_stride,
                               samples, &g, &options, &moments, error);
  sums.count = moments.count;
  return status;
}

Sums accumulate_naively(const Data& data, size_t samples, const sieve_patch_geometry& g) {
  Sums sums(g);
  const size_t regressors = sums.gram.size() / (sums.cross.size() / static_cast<size_t>(g.outputs));
  std::vector<double> x(regressors);
  for (size_t n = 0; n < samples; ++n) {
    for (int64_t oh = 0; oh < g.output_height; ++oh) {
      for (int64_t ow = 0; ow < g.output_width; ++ow) {
        size_t i = 0;
        for (int64_t c = 0; c < g.channels; ++c) {
          for (int64_t kh = 0; kh < g.kernel_height; ++kh) {
            for (int64_t kw = 0; kw < g.kernel_width; ++kw) {
              const int64_t h = oh * g.stride_height - g.pad_top + kh * g.dilation_height;
              const int64_t w = ow * g.stride_width - g.pad_left + kw * g.dilation_width;
              const bool inside = h >= 0 && h < g.height && w >= 0 && w < g.width;
              x[i++] = inside ? data.input[n * data.input_stride +
                                           static_cast<size_t>((c * g.height + h) * g.width + w)]
                              : 0.0;
            }
          }
        }
        x[i] = 1;
        ++sums.count;
        for (size_t a = 0; a < regressors; ++a) {
          for (size_t b = 0; b < regressors; ++b) sums.gram[a * regressors + b] += x[a] * x[b];
        }
        for (int64_t m = 0; m < g.outputs; ++m) {
          const double y = data.target[n * data.target_stride +
                                       static_cast<size_t>((m * g.output_height + oh) * g.output_width + ow)];
          for (size_t a = 0; a < regressors; ++a) {
            sums.cross[a * static_cast<size_t>(g.outputs) + static_cast<size_t>(m)] += x[a] * y;
          }
          sums.target_square[static_cast<size_t>(m)] += y * y;
        }
      }
    }
  }
  return sums;
}

double worst_difference(const std::vector<double>& a, const std::vector<double>& b, double scale) {
  double worst = 0;
  for (size_t i = 0; i < a.size(); ++i) worst = std::fmax(worst, std::fabs(a[i] - b[i]) / scale);
  return worst;
}

void test_cases() {
  for (const Case& test_case : kCases) {
    const Data data = data_for(test_case, 7);
    const Sums wanted = accumulate_naively(data, test_case.samples, test_case.geometry);
    const double scale = static_cast<double>(wanted.count);
    for (sieve_backend backend : test::backends()) {
      Sums single(test_case.geometry);
      for (int threads : {1, 3}) {
        Sums sums(test_case.geometry);
        sieve_error error = {};
        const sieve_status status = accumulate(data, test_case.samples, test_case.geometry,
                                               test::run_with(backend, threads), sums, &error);
        CHECK(status == SIEVE_STATUS_OK, "%s: %s", test_case.name, error.message);
        CHECK(sums.count == wanted.count, "%s: %lld patches", test_case.name,
              static_cast<long long>(sums.count));
        const double worst =
            std::fmax(worst_difference(sums.gram, wanted.gram, scale),
                      std::fmax(worst_difference(sums.cross, wanted.cross, scale),
                                worst_difference(sums.target_square, wanted.target_square, scale)));
        CHECK(worst < 1e-12, "%s on %s: off by %g", test_case.name, sieve_backend_name(backend), worst);
        if (threads == 1) {
          single = sums;
        } else {
          CHECK(sums.gram == single.gram && sums.cross == single.cross, "%s: bits depend on the threads",
                test_case.name);
        }
      }
    }
  }
}

// Two calls add up to one.
void test_running() {
  const Case& test_case = kCases[1];
  const Data data = data_for(test_case, 8);
  const sieve_run_options options = test::run_with(SIEVE_BACKEND_AUTO, 1);
  Sums whole(test_case.geometry);
  accumulate(data, 5, test_case.geometry, options, whole);
  Sums parts(test_case.geometry);
  accumulate(data, 2, test_case.geometry, options, parts);
  Data rest = data;
  rest.input.erase(rest.input.begin(),
                   rest.input.begin() + static_cast<std::ptrdiff_t>(2 * data.input_stride));
  rest.target.erase(rest.target.begin(),
                    rest.target.begin() + static_cast<std::ptrdiff_t>(2 * data.target_stride));
  accumulate(rest, 3, test_case.geometry, options, parts);
  CHECK(parts.count == whole.count, "%lld patches", static_cast<long long>(parts.count));
  CHECK(worst_difference(parts.gram, whole.gram, static_cast<double>(whole.count)) < 1e-12, "gram differs");
  CHECK(worst_difference(parts.cross, whole.cross, static_cast<double>(whole.count)) < 1e-12,
        "cross differs");
}

void test_refusals() {
  const Case& test_case = kCases[1];
  const sieve_run_options options = test::run_with(SIEVE_BACKEND_AUTO, 1);
  sieve_error error = {};
  for (float value : {NAN, INFINITY, -INFINITY}) {
    for (bool in_target : {false, true}) {
      Data data = data_for(test_case, 9);
      (in_target ? data.target[3 * data.target_stride + 1] : data.input[3 * data.input_stride + 1]) = value;
      Sums sums(test_case.geometry);
      CHECK(accumulate(data, 5, test_case.geometry, options, sums, &error) == SIEVE_STATUS_NON_FINITE, "%g",
            value);
      CHECK(error.row == 3, "row %lld", static_cast<long long>(error.row));
    }
  }
  Data data = data_for(test_case, 9);
  Sums sums(test_case.geometry);
  for (int64_t sieve_patch_geometry::*field :
       {&sieve_patch_geometry::channels, &sieve_patch_geometry::width, &sieve_patch_geometry::kernel_height,
        &sieve_patch_geometry::stride_width, &sieve_patch_geometry::dilation_height,
        &sieve_patch_geometry::output_width, &sieve_patch_geometry::outputs}) {
    sieve_patch_geometry geometry = test_case.geometry;
    geometry.*field = 0;
    CHECK(accumulate(data, 5, geometry, options, sums, &error) == SIEVE_STATUS_INVALID_ARGUMENT,
          "a size of 0");
    geometry.*field = int64_t{1} << 40;
    CHECK(accumulate(data, 5, geometry, options, sums, &error) == SIEVE_STATUS_INVALID_ARGUMENT,
          "a huge size");
  }
  CHECK(sieve_moments_accumulate(nullptr, 1, nullptr, 1, 1, &test_case.geometry, nullptr, nullptr, nullptr) ==
            SIEVE_STATUS_INVALID_ARGUMENT,
        "no arrays");
  CHECK(accumulate(data, 0, test_case.geometry, options, sums, &error) == SIEVE_STATUS_OK && sums.count == 0,
        "no samples add nothing");

  sieve_cancel_token* token = sieve_cancel_token_create();
  sieve_cancel_token_cancel(token);
  sieve_run_options cancelled = options;
  cancelled.cancel = token;
  CHECK(accumulate(data, 5, test_case.geometry, cancelled, sums, &error) == SIEVE_STATUS_CANCELLED, "%s",
        error.message);
  sieve_cancel_token_destroy(token);
}

}  // namespace

int main() {
  test_cases();
  test_running();
  test_refusals();
  return test::result("moments_test");
}
