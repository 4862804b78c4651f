// sieve_separation_index, every backend against a naive float64 brute force, on every kind of data and every
// awkward size.
#include "separation_check.h"

namespace {

using test::compare;
using test::Wanted;

void test_shape(const std::string& kind, size_t rows, size_t columns) {
  const test::Data data = test::make_data(kind, rows, columns, 1);
  const std::string name = kind + " " + std::to_string(rows) + "x" + std::to_string(columns);
  const int32_t largest = static_cast<int32_t>(std::min<size_t>(rows - 1, 7));
  const auto truth =
      test::neighbours_naively(data, data, static_cast<size_t>(largest), test::all_columns(columns));
  for (const sieve_backend backend : test::backends()) {
    for (const Wanted& wanted :
         {Wanted{1, SIEVE_SEPARATION_HARD, false}, Wanted{1, SIEVE_SEPARATION_ANTI, true},
          Wanted{largest, SIEVE_SEPARATION_SOFT, false},
          Wanted{std::min(largest, 3), SIEVE_SEPARATION_HARD, true},
          Wanted{std::min(largest, 2), SIEVE_SEPARATION_ANTI, false}}) {
      compare(data, truth, wanted, backend, rows % 2 == 0 ? 1 : 3, name);
    }
  }
}

// Many rows at the same distance, none of them copies, and not small integers: nothing but float64 can tell.
void test_equidistant_rows() {
  test::Data data(150, 150, 2);
  for (size_t i = 0; i < data.rows; ++i) {
    data.labels[i] = static_cast<int32_t>(i % 2);
    for (size_t k = 0; k < data.columns; ++k) data.at(i, k) = i == k ? 1.1f : 0.3f;
  }
  const auto truth = test::neighbours_naively(data, data, 5, test::all_columns(data.columns));
  for (const sieve_backend backend : test::backends()) {
    compare(data, truth, {1, SIEVE_SEPARATION_HARD, true}, backend, 2, "equidistant");
    compare(data, truth, {5, SIEVE_SEPARATION_SOFT, true}, backend, 2, "equidistant");
    compare(data, truth, {5, SIEVE_SEPARATION_SOFT, false}, backend, 2, "equidistant");
  }
}

void test_every_neighbour() {
  const test::Data data = test::make_data("integers", 40, 3, 9);
  const auto truth = test::neighbours_naively(data, data, 39, test::all_columns(3));
  for (const sieve_backend backend : test::backends()) {
    compare(data, truth, {39, SIEVE_SEPARATION_SOFT, true}, backend, 2, "all neighbours");
  }
}

void test_skipped_rows() {
  test::Data data = test::make_data("normal", 70, 9, 3);
  data.at(5, 2) = std::numeric_limits<float>::quiet_NaN();
  data.at(69, 8) = -std::numeric_limits<float>::infinity();
  for (const sieve_backend backend : test::backends()) {
    sieve_run_options options{};
    options.backend = backend;
    options.threads = test::threads(0);
    sieve_separation_request request = data.request();
    sieve_separation_result result{};
    sieve_error error{};
    CHECK(sieve_separation_index(&request, &options, &result, &error) == SIEVE_STATUS_NON_FINITE,
          "NaN passed");
    CHECK(error.row == 5, "row %lld", static_cast<long long>(error.row));

    request.skip_non_finite = 1;
    std::vector<int64_t> nearest(70);
    result.nearest = nearest.data();
    CHECK(sieve_separation_index(&request, &options, &result, &error) == SIEVE_STATUS_OK, "%s",
          error.message);
    CHECK(result.rows_used == 68, "%lld rows", static_cast<long long>(result.rows_used));
    CHECK(nearest[5] == -1 && nearest[69] == -1, "a row that was left out has a neighbour");
    const std::vector<size_t> columns = test::all_columns(9);
    for (size_t i = 0; i < 69; ++i) {
      if (i == 5) continue;
      test::Neighbour best{std::numeric_limits<double>::infinity(), 0};
      for (size_t j = 0; j < 69; ++j) {
        if (j != i && j != 5) best = std::min(best, {test::square_distance(data, i, data, j, columns), j});
      }
      CHECK(nearest[i] == static_cast<int64_t>(best.row), "row %zu", i);
    }
  }
}

}  // namespace

int main() {
  for (const std::string& kind : test::data_kinds()) {
    for (const size_t rows : {2, 3, 7, 8, 9, 15, 16, 17, 31, 32, 33, 63, 64, 65}) {
      for (const size_t columns : {1, 2, 7, 16, 33}) test_shape(kind, rows, columns);
    }
    test_shape(kind, 33, 191);
    test_shape(kind, 97, 193);
    test_shape(kind, 20, 1025);
    test_shape(kind, 9, 5000);
    test_shape(kind, 403, 2);
    test_shape(kind, test::size_unless_trimmed(611, 205), 40);
  }
  const size_t many = test::size_unless_trimmed(1000, 500);
  test_shape("normal", many, 5);
  test_shape("clustered", many, 65);
  test_shape("far-clusters", many, 64);
  test_shape("half-zero", many, 20);
  // More rows than two blocks of any tile.
  for (const char* kind : {"normal", "integers", "near-ties", "huge-row"}) test_shape(kind, 1001, 3);
  test_equidistant_rows();
  test_every_neighbour();
  test_skipped_rows();
  return test::result("separation_test");
}
