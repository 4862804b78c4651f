// sieve_center_separation_index on every backend against naive float64: classes equal, centres equal bit for
// bit (both sum in the order of the rows).
#include <cstring>

#include "core/backend.h"
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

void test_centers(const test::Data& data, const std::string& name) {
  const Centers truth = centers_naively(data);
  double hits = 0;
  for (size_t i = 0; i < data.rows; ++i) hits += truth.nearest[i] == data.labels[i];
  for (const sieve_backend backend : test::backends()) {
    sieve_run_options options{};
    options.backend = backend;
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
    const sieve::CenterDistances kernel = sieve::center_distances(backend);
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

}  // namespace

int main() {
  test_kernels();
  for (const std::string& kind : test::data_kinds()) {
    for (const size_t rows : {2, 3, 5, 31, 64, 203}) {
      for (const size_t columns : {1, 3, 8, 300}) {
        test_centers(test::make_data(kind, rows, columns, 4),
                     kind + " " + std::to_string(rows) + "x" + std::to_string(columns));
      }
    }
  }
  test::Data many = test::make_data("normal", 500, 13, 8);
  many.classes = 37;
  for (size_t i = 0; i < many.rows; ++i) many.labels[i] = static_cast<int32_t>((i * 7) % 37);
  test_centers(many, "37 classes");
  return test::result("center_test");
}
