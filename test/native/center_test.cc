// sieve_center_separation_index on every backend against naive float64: classes equal, centres equal bit for
// bit (both sum in the order of the rows).
#include <cstring>

#include "core/backend.h"
#include "core/center_products.h"
#include "core/class_centers.h"
#include "separation_support.h"

namespace {

struct Centers {
  std::vector<std::vector<double>> mean;  // empty for a class without rows
  std::vector<int32_t> nearest;
};

Centers centers_naively(const test::Data& data) {
  Centers centers;
  for (int32_t c = 0; c < data.classes; ++c) {
    std::vector<double> sum(data.columns, 0);
    double count = 0;
    for (size_t i = 0; i < data.rows; ++i) {
      if (data.labels[i] != c) continue;
      count += 1;
      for (size_t k = 0; k < data.columns; ++k) sum[k] += data.at(i, k);
    }
    for (double& value : sum) value /= count;
    centers.mean.push_back(count > 0 ? sum : std::vector<double>());
  }
  for (size_t i = 0; i < data.rows; ++i) {
    int32_t nearest = -1;
    double least = std::numeric_limits<double>::infinity();
    for (int32_t c = 0; c < data.classes; ++c) {
      const std::vector<double>& mean = centers.mean[static_cast<size_t>(c)];
      if (mean.empty()) continue;
      double distance = 0;
      for (size_t k = 0; k < data.columns; ++k)
        distance += (data.at(i, k) - mean[k]) * (data.at(i, k) - mean[k]);
      if (distance < least) {
        least = distance;
        nearest = c;
      }
    }
    centers.nearest.push_back(nearest);
  }
  return centers;
}

void test_centers(const test::Data& data, const std::string& name, int32_t threads = 0) {
  const Centers truth = centers_naively(data);
  double hits = 0;
  for (size_t i = 0; i < data.rows; ++i) hits += truth.nearest[i] == data.labels[i];
  for (const sieve_backend backend : test::backends()) {
    sieve_run_options options{};
    options.backend = backend;
    options.threads = test::threads(threads);
    sieve_separation_request request = data.request();
    std::vector<double> per_class(static_cast<size_t>(data.classes));
    std::vector<double> centers(static_cast<size_t>(data.classes) * data.columns);
    std::vector<int32_t> nearest(data.rows);
    sieve_center_result result{};
    result.per_class = per_class.data();
    result.centers = centers.data();
    result.nearest = nearest.data();
    sieve_error error{};
    CHECK(sieve_center_separation_index(&request, &options, &result, &error) == SIEVE_STATUS_OK, "%s",
          error.message);
    CHECK(test::same_score(result.value, hits / static_cast<double>(data.rows)), "%s %s: %g", name.c_str(),
          sieve_backend_name(backend), result.value);
    CHECK(nearest == truth.nearest, "%s %s", name.c_str(), sieve_backend_name(backend));
    for (size_t c = 0; c < per_class.size(); ++c) {
      double class_hits = 0, count = 0;
      for (size_t i = 0; i < data.rows; ++i) {
        if (data.labels[i] != static_cast<int32_t>(c)) continue;
        count += 1;
        class_hits += truth.nearest[i] == data.labels[i];
      }
      CHECK(test::same_score(per_class[c], class_hits / count), "%s class %zu", name.c_str(), c);
      for (size_t k = 0; k < data.columns; ++k) {
        const double got = centers[c * data.columns + k];
        CHECK(truth.mean[c].empty() ? std::isnan(got) : got == truth.mean[c][k],
              "%s class %zu column %zu: %g", name.c_str(), c, k, got);
      }
    }
  }
}

// The kernels themselves: equal bits, whatever the length.
void test_kernels() {
  test::Random random(6);
  for (const sieve_backend backend : test::backends()) {
    const sieve::CenterDistances kernel = sieve::center_kernels(backend).distances;
    for (const size_t count : {0, 1, 2, 5, 64, 301}) {
      constexpr size_t kColumn = 3;
      std::vector<float> values(sieve::kCenterRows * (kColumn + count) + 1);
      std::vector<double> centers(count * sieve::kCenterLanes + 1);
      double sums[sieve::kCenterRows * sieve::kCenterLanes];
      for (float& value : values) value = static_cast<float>(random.normal());
      for (double& value : centers) value = random.normal();
      for (double& value : sums) value = random.uniform();
      double expected[sieve::kCenterRows * sieve::kCenterLanes];
      std::memcpy(expected, sums, sizeof(sums));
      const float* rows[sieve::kCenterRows];
      for (size_t r = 0; r < sieve::kCenterRows; ++r) {
        rows[r] = values.data() + 1 + r * (kColumn + count);
        for (size_t k = 0; k < count; ++k) {
          for (size_t c = 0; c < sieve::kCenterLanes; ++c) {
            const double difference = rows[r][kColumn + k] - centers[1 + k * sieve::kCenterLanes + c];
            const double square = difference * difference;
            expected[r * sieve::kCenterLanes + c] += square;
          }
        }
      }
      kernel(rows, kColumn, count, centers.data() + 1, sums);
      CHECK(std::memcmp(sums, expected, sizeof(sums)) == 0, "%s: %zu columns", sieve_backend_name(backend),
            count);
    }
  }
}

void test_sums() {
  test::Random random(16);
  for (const sieve_backend backend : test::backends()) {
    const sieve::CenterKernels& kernels = sieve::center_kernels(backend);
    for (const size_t count : {0, 1, 2, 3, 7, 8, 9, 21}) {
      for (const size_t columns : {1, 15, 16, 17, 300, 333}) {
        std::vector<float> values(count * columns + 1);
        std::vector<double> sums(columns + 1);
        for (float& value : values) value = static_cast<float>(random.normal());
        for (double& value : sums) value = random.normal();
        std::vector<double> expected = sums;
        std::vector<const float*> rows;
        for (size_t r = 0; r < count; ++r) {
          rows.push_back(values.data() + 1 + r * columns);
          for (size_t k = 0; k < columns; ++k) expected[k] += rows[r][k];
        }
        kernels.accumulate(rows.data(), count, columns, sums.data());
        CHECK(sums == expected, "%s: %zu rows of %zu", sieve_backend_name(backend), count, columns);
      }
    }
    for (const size_t centers : {1, 2, 5, 8}) {
      std::vector<float> base(centers * sieve::kMarginRows), added(base.size());
      for (float& value : base) value = static_cast<float>(random.normal());
      for (float& value : added) value = static_cast<float>(random.normal());
      float least[sieve::kMarginRows];
      kernels.margins(base.data(), added.data(), centers, least);
      for (size_t q = 0; q < sieve::kMarginRows; ++q) {
        float expected = std::numeric_limits<float>::infinity();
        for (size_t i = q; i < base.size(); i += sieve::kMarginRows)
          expected = std::min(expected, base[i] + added[i]);
        CHECK(least[q] == expected, "%s: %zu centres", sieve_backend_name(backend), centers);
      }
    }
  }
}

// What float32 says, against float64 and the bound that the header proves.
void test_bound(const test::Data& data, const std::string& name) {
  for (const sieve_backend backend : test::backends()) {
    const sieve::CenterKernels& kernels = sieve::center_kernels(backend);
    if (kernels.lanes == 0) continue;
    sieve_run_options options{};
    options.backend = backend;
    sieve::RunContext run(&options);
    const sieve::Points points =
        sieve::take_points(data.matrix(), data.labels.data(), data.classes, false, "data", run);
    const sieve::ClassCenters centers = sieve::class_centers(points, data.classes, kernels, run);
    const sieve::CenterProducts products(centers, 1, kernels, run);
    sieve::CenterProducts::Scratch scratch;
    std::vector<double> sums(sieve::CenterProducts::kPoints * centers.size());
    double norms[sieve::CenterProducts::kPoints];
    for (size_t first = 0; first < data.rows; first += sieve::CenterProducts::kPoints) {
      const size_t count = std::min(sieve::CenterProducts::kPoints, data.rows - first);
      products.multiply(points, first, count, 0, 0, scratch, sums.data(), norms);
      for (size_t i = 0; i < count; ++i) {
        // |x - shift|^2 cancels in differences of estimates: those are what is compared.
        const double square = products.square_norm_bound(norms[i]);
        double expected_of_first = 0, estimate_of_first = 0, bound_of_first = 0;
        for (size_t c = 0; c < centers.size(); ++c) {
          double expected = 0;
          for (size_t k = 0; k < data.columns; ++k) {
            const double difference = data.at(first + i, k) - centers.of_slot(c)[k * sieve::kCenterLanes];
            expected += difference * difference;
          }
          const double estimate = products.square_norms(0)[c] - 2 * sums[i * centers.size() + c];
          const double bound = products.product_share() * std::sqrt(square) * products.norms(0)[c] +
                               products.reference_share() * (square + products.square_norms(0)[c]) +
                               products.underflow();
          if (!std::isfinite(estimate) || !std::isfinite(bound)) break;
          if (c == 0) {
            expected_of_first = expected;
            estimate_of_first = estimate;
            bound_of_first = bound;
          }
          const double error = (estimate - estimate_of_first) - (expected - expected_of_first);
          CHECK(std::abs(error) <= bound + bound_of_first, "%s %s row %zu centre %zu: %g above %g + %g",
                name.c_str(), sieve_backend_name(backend), first + i, c, error, bound, bound_of_first);
        }
      }
    }
  }
}

// Classes that mirror each other in the first column: rows on the mirror are as far from both centres, up to
// `relative` times their distance.
test::Data make_mirrored(size_t rows, size_t columns, double relative) {
  test::Random random(rows * 11 + columns);
  test::Data data(rows, columns, 4);
  for (size_t row = 0; row < rows; ++row) {
    const size_t kind = row % 4;
    data.labels[row] = kind == 0 ? 1 : kind == 1 ? 3 : static_cast<int32_t>(random.below(2)) * 2 + 1;
    for (size_t k = 0; k < columns; ++k) {
      const double value = static_cast<double>(random.below(64)) / 8;
      double x = kind == 1 || (kind == 3 && row > 0) ? data.at(row - 1, k) : value;
      if (k == 0) x = kind == 0 ? 1 + value : kind == 1 ? -x : (kind == 2 ? 1 : -1) * relative;
      data.at(row, k) = static_cast<float>(x);
    }
    if (kind == 3) data.labels[row] = 4 - data.labels[row - 1];
  }
  return data;
}

// Every sum of products begins with 1; what follows is less than half of a unit in its last place, and lost.
// The classes are opposite each other, so that nothing is shifted.
test::Data make_swallowed(size_t rows, size_t columns) {
  test::Data data(rows, columns, 3);
  for (size_t row = 0; row < rows; ++row) {
    data.labels[row] = static_cast<int32_t>(row % 3);
    for (size_t k = 0; k < columns; ++k) {
      const double size = k % sieve::kProductColumns < 16 ? 1.0 : 0.95 * 0x1p-12;
      data.at(row, k) = static_cast<float>((static_cast<double>(row % 3) - 1.0) * size);
    }
  }
  return data;
}

void test_non_finite() {
  for (const sieve_backend backend : test::backends()) {
    const char* at = sieve_backend_name(backend);
    test::Data data = test::make_data("normal", 90, 700, 3);
    const test::Data clean = data;
    data.at(71, 1) = std::numeric_limits<float>::infinity();
    data.at(70, 699) = std::numeric_limits<float>::quiet_NaN();
    data.at(72, 1) = -std::numeric_limits<float>::infinity();
    sieve_run_options options{};
    options.backend = backend;
    options.threads = test::threads(3);
    sieve_separation_request request = data.request();
    std::vector<int32_t> nearest(data.rows);
    std::vector<double> centers(4 * data.columns);
    sieve_center_result result{};
    result.nearest = nearest.data();
    result.centers = centers.data();
    sieve_error error{};
    CHECK(sieve_center_separation_index(&request, &options, &result, &error) == SIEVE_STATUS_NON_FINITE, "%s",
          at);
    CHECK(error.row == 70, "%s: row %lld", at, static_cast<long long>(error.row));

    request.skip_non_finite = 1;
    CHECK(sieve_center_separation_index(&request, &options, &result, &error) == SIEVE_STATUS_OK, "%s: %s", at,
          error.message);
    CHECK(result.rows_used == 87, "%s: %lld rows", at, static_cast<long long>(result.rows_used));
    test::Data rest(87, data.columns, 4);
    for (size_t row = 0, to = 0; row < data.rows; ++row) {
      if (row >= 70 && row <= 72) continue;
      rest.labels[to] = clean.labels[row];
      for (size_t k = 0; k < data.columns; ++k) rest.at(to, k) = clean.at(row, k);
      ++to;
    }
    const Centers truth = centers_naively(rest);
    for (size_t row = 0; row < data.rows; ++row) {
      const bool skipped = row >= 70 && row <= 72;
      CHECK(nearest[row] == (skipped ? -1 : truth.nearest[row < 70 ? row : row - 3]), "%s row %zu", at, row);
    }
    for (size_t k = 0; k < data.columns; ++k) {
      CHECK(centers[k] == truth.mean[0][k], "%s column %zu", at, k);
    }

    // One usable row is too few, with or without a row to skip; NaN comes first.
    for (const size_t rows : {size_t{1}, size_t{2}}) {
      test::Data few = test::make_data("normal", rows, 5, 3);
      few.at(0, 2) = std::numeric_limits<float>::quiet_NaN();
      request = few.request();
      CHECK(sieve_center_separation_index(&request, &options, &result, &error) == SIEVE_STATUS_NON_FINITE,
            "%s: NaN in %zu rows", at, rows);
      request.skip_non_finite = 1;
      CHECK(
          sieve_center_separation_index(&request, &options, &result, &error) == SIEVE_STATUS_INVALID_ARGUMENT,
          "%s: %zu rows, one of them skipped", at, rows);
    }
  }
}

std::string size_of(const test::Data& data) {
  return " " + std::to_string(data.rows) + "x" + std::to_string(data.columns);
}

}  // namespace

int main() {
  test_kernels();
  test_sums();
  test_non_finite();
  for (const std::string& kind : test::data_kinds()) {
    for (const size_t rows : {2, 3, 7, 8, 9, 15, 16, 17, 31, 32, 33, 63, 64, 65, 203, 1000}) {
      for (const size_t columns : {3, 130}) {
        const test::Data data = test::make_data(kind, rows, columns, 4);
        test_centers(data, kind + size_of(data));
      }
    }
    for (const size_t columns : {1, 2, 5, 7, 15, 16, 17, 31, 33, 65, 511, 512, 513, 1040, 5000}) {
      const test::Data data = test::make_data(kind, 37, columns, 5);
      test_centers(data, kind + size_of(data));
      test_bound(data, kind + size_of(data));
    }
    for (int32_t threads = 1; threads <= 5; ++threads) {
      test_centers(test::make_data(kind, 90, 600, 6), kind + " threads " + std::to_string(threads), threads);
    }
  }
  for (const double relative : {0.0, 1e-9, 1e-7, 1e-4}) {
    for (const size_t columns : {1, 2, 40, 600}) {
      const test::Data data = make_mirrored(400, columns, relative);
      test_centers(data, "mirrored " + std::to_string(relative) + size_of(data));
      test_bound(data, "mirrored " + std::to_string(relative) + size_of(data));
    }
  }
  for (const size_t columns : {3, 40}) {
    // Products with the mean of one class are beyond float32, with the others not.
    test::Data huge = test::make_data("normal", 90, columns, 9);
    for (size_t row = 0; row < huge.rows; ++row) {
      const double size = huge.labels[row] == 1 ? 1e37 : 1e5;
      for (size_t k = 0; k < columns; ++k) huge.at(row, k) = static_cast<float>(huge.at(row, k) * size);
    }
    test_centers(huge, "a huge class" + size_of(huge));
  }
  for (const size_t columns : {512, 1040}) {
    const test::Data data = make_swallowed(48, columns);
    test_centers(data, "swallowed" + size_of(data));
    test_bound(data, "swallowed" + size_of(data));
  }
  for (const int32_t classes : {1, 2, 6, 11, 37, 300}) {
    for (const size_t columns : {size_t{13}, size_t{600}}) {
      test::Data many = test::make_data("normal", 500, columns, 8);
      many.classes = classes;
      for (size_t i = 0; i < many.rows; ++i) many.labels[i] = static_cast<int32_t>((i * 7) % many.classes);
      for (const int32_t threads : {1, 5}) test_centers(many, std::to_string(classes) + " classes", threads);
      test_bound(many, std::to_string(classes) + " classes");
    }
  }
  return test::result("center_test");
}
