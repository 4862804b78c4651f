// Indices of higher order: short and long candidate lists, and searches that a label ends early, against a
// naive float64 brute force.
#include "separation_support.h"

namespace {

void compare(const test::Data& data, const std::vector<std::vector<test::Neighbour>>& truth, int32_t order,
             int32_t kind, sieve_backend backend, const std::string& name) {
  const test::Scores expected = test::scores_naively(data, data, truth, static_cast<size_t>(order), kind);
  const sieve_separation_request request = data.request(order, kind);
  sieve_run_options options{};
  options.backend = backend;
  options.threads = test::threads(2);
  std::vector<double> per_class(static_cast<size_t>(data.classes));
  sieve_separation_result result{};
  result.per_class = per_class.data();
  sieve_error error{};
  const std::string at = name + " " + sieve_backend_name(backend) + " order " + std::to_string(order) +
                         " kind " + std::to_string(kind);
  CHECK(sieve_separation_index(&request, &options, &result, &error) == SIEVE_STATUS_OK, "%s: %s", at.c_str(),
        error.message);
  CHECK(test::same_score(result.value, expected.value), "%s: %.17g, expected %.17g", at.c_str(), result.value,
        expected.value);
  for (size_t c = 0; c < per_class.size(); ++c) {
    CHECK(test::same_score(per_class[c], expected.per_class[c]), "%s class %zu", at.c_str(), c);
  }
}

// Labels that leave runs of the same label among the neighbours, so that neither "all" nor "none" is rare.
void relabel_by_blob(test::Data& data, size_t blobs, uint64_t seed) {
  test::Random random(seed);
  for (size_t row = 0; row < data.rows; ++row) {
    const size_t blob = random.below(blobs);
    data.labels[row] = static_cast<int32_t>(blob % 3);
    for (size_t k = 0; k < data.columns; ++k) {
      data.at(row, k) = static_cast<float>(static_cast<double>(data.at(row, k)) * 0.3 +
                                           static_cast<double>((blob * 7 + k * 3) % 11));
    }
  }
}

void test_shape(const std::string& kind, size_t rows, size_t columns, bool blobs) {
  test::Data data = test::make_data(kind, rows, columns, 5);
  if (blobs) relabel_by_blob(data, 9, rows);
  const size_t highest = std::min<size_t>(rows - 1, 40);
  const auto truth = test::neighbours_naively(data, data, highest, test::all_columns(columns));
  const std::string name = kind + " " + std::to_string(rows) + "x" + std::to_string(columns);
  for (const sieve_backend backend : test::backends()) {
    if (backend == SIEVE_BACKEND_SERIAL) continue;  // it counts, and has neither lists nor stops
    for (const size_t order : {2, 3, 7, 8, 9, 20, 40}) {
      if (order > highest) continue;
      for (const int32_t score : {SIEVE_SEPARATION_HARD, SIEVE_SEPARATION_SOFT, SIEVE_SEPARATION_ANTI}) {
        compare(data, truth, static_cast<int32_t>(order), score, backend, name);
      }
    }
  }
}

}  // namespace

int main() {
  for (const std::string& kind : test::data_kinds()) {
    test_shape(kind, 9, 3, false);
    test_shape(kind, 41, 17, false);
    test_shape(kind, 203, 5, false);
    test_shape(kind, 203, 40, false);
  }
  for (const char* kind : {"normal", "integers", "near-ties", "copies-of-float", "half-zero"}) {
    test_shape(kind, 203, 6, true);
    test_shape(kind, 611, 64, true);
  }
  return test::result("order_test");
}
