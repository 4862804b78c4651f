// sieve_cross_separation_index and sieve_smoothness_index on every backend against naive float64. Cross
// neighbours must be equal; the smoothness index is a mean of float64 quotients whose order of summation may
// differ, so 1e-12.
#include "separation_support.h"

namespace {

void test_cross(const std::string& kind, size_t query_rows, size_t reference_rows, size_t columns) {
  const test::Data queries = test::make_data(kind, query_rows, columns, 5);
  test::Data references = test::make_data(kind, reference_rows, columns, 6);
  for (size_t k = 0; k < columns; ++k) references.at(reference_rows / 2, k) = queries.at(query_rows / 2, k);
  const size_t largest = std::min<size_t>(reference_rows, 4);
  const auto truth = test::neighbours_naively(queries, references, largest, test::all_columns(columns));
  for (const sieve_backend backend : test::backends()) {
    for (size_t order = 1; order <= largest; ++order) {
      for (const int32_t kind_of_index :
           {SIEVE_SEPARATION_HARD, SIEVE_SEPARATION_SOFT, SIEVE_SEPARATION_ANTI}) {
        const test::Scores expected = test::scores_naively(queries, references, truth, order, kind_of_index);
        for (const bool wants_neighbours : {false, true}) {
          sieve_separation_request request = queries.request(static_cast<int32_t>(order), kind_of_index);
          sieve_run_options options{};
          options.backend = backend;
          options.threads = test::threads(0);
          std::vector<int64_t> nearest(query_rows * order);
          std::vector<double> distances(query_rows * order);
          sieve_separation_result result{};
          if (wants_neighbours) {
            result.nearest = nearest.data();
            result.nearest_distance = distances.data();
          }
          sieve_error error{};
          const sieve_status status = sieve_cross_separation_index(
              &request, references.matrix(), references.labels.data(), &options, &result, &error);
          CHECK(status == SIEVE_STATUS_OK, "%s", error.message);
          CHECK(test::same_score(result.value, expected.value),
                "%s %zux%zux%zu %s order %zu kind %d: %g not %g", kind.c_str(), query_rows, reference_rows,
                columns, sieve_backend_name(backend), order, kind_of_index, result.value, expected.value);
          for (size_t i = 0; wants_neighbours && i < query_rows * order; ++i) {
            const test::Neighbour& true_one = truth[i / order][i % order];
            CHECK(nearest[i] == static_cast<int64_t>(true_one.row) && distances[i] == true_one.distance,
                  "%s %s query %zu: %lld not %zu", kind.c_str(), sieve_backend_name(backend), i / order,
                  static_cast<long long>(nearest[i]), true_one.row);
          }
        }
      }
    }
  }
}

double smoothness_naively(const test::Data& features, const test::Data& targets) {
  const auto nearest = test::neighbours_naively(features, features, 1, test::all_columns(features.columns));
  const std::vector<size_t> columns = test::all_columns(targets.columns);
  double sum = 0;
  for (size_t i = 0; i < features.rows; ++i) {
    double least = std::numeric_limits<double>::infinity(), greatest = 0;
    for (size_t j = 0; j < features.rows; ++j) {
      if (j == i) continue;
      const double distance = std::sqrt(test::square_distance(targets, i, targets, j, columns));
      least = std::min(least, distance);
      greatest = std::max(greatest, distance);
    }
    const double got = std::sqrt(test::square_distance(targets, i, targets, nearest[i][0].row, columns));
    sum += greatest > least ? (greatest - got) / (greatest - least) : 1;
  }
  return sum / static_cast<double>(features.rows);
}

void test_smoothness(const std::string& feature_kind, const std::string& target_kind, size_t rows) {
  const test::Data features = test::make_data(feature_kind, rows, 7, 2);
  const test::Data targets = test::make_data(target_kind, rows, 2, 3);
  const double expected = smoothness_naively(features, targets);
  for (const sieve_backend backend : test::backends()) {
    sieve_run_options options{};
    options.backend = backend;
    options.threads = test::threads(0);
    double value = -1;
    sieve_error error{};
    CHECK(sieve_smoothness_index(features.matrix(), targets.matrix(), &options, &value, &error) ==
              SIEVE_STATUS_OK,
          "%s", error.message);
    CHECK(std::abs(value - expected) <= 1e-12, "%s/%s %zu %s: %.15g not %.15g", feature_kind.c_str(),
          target_kind.c_str(), rows, sieve_backend_name(backend), value, expected);
    CHECK(value >= 0 && value <= 1, "%g", value);
  }
}

}  // namespace

int main() {
  for (const std::string& kind : test::data_kinds()) {
    test_cross(kind, 1, 1, 3);
    test_cross(kind, 5, 2, 1);
    test_cross(kind, 33, 65, 17);
    test_cross(kind, test::size_unless_trimmed(130, 50), test::size_unless_trimmed(211, 101), 200);
  }
  test_cross("normal", 3, 700, 8);
  test_cross("far-clusters", 300, 500, 16);
  for (const size_t rows : {2, 3, 64, 301}) {
    test_smoothness("normal", "normal", rows);
    test_smoothness("integers", "integers", rows);
    test_smoothness("far-clusters", "all-equal", rows);
  }
  return test::result("cross_separation_test");
}
