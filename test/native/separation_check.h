// sieve_separation_index against a naive float64 brute force. Neighbours, their order and their float64
// distances must be EQUAL, bit for bit: the bounds of the float32 kernels only choose what float64 looks at.
#ifndef SIEVE_TEST_SEPARATION_CHECK_H
#define SIEVE_TEST_SEPARATION_CHECK_H

#include "separation_support.h"

namespace test {

struct Wanted {
  int32_t order;
  int32_t kind;
  bool neighbours;
};

inline void compare(const Data& data, const std::vector<std::vector<Neighbour>>& truth, const Wanted& wanted,
                    sieve_backend backend, int32_t threads, const std::string& name) {
  const size_t order = static_cast<size_t>(wanted.order);
  const Scores expected = scores_naively(data, data, truth, order, wanted.kind);
  sieve_separation_request request = data.request(wanted.order, wanted.kind);
  sieve_run_options options{};
  options.backend = backend;
  options.threads = test::threads(threads);
  std::vector<double> per_class(static_cast<size_t>(data.classes)), distances(data.rows * order);
  std::vector<int64_t> nearest(data.rows * order);
  sieve_separation_result result{};
  result.per_class = per_class.data();
  if (wanted.neighbours) {
    result.nearest = nearest.data();
    result.nearest_distance = distances.data();
  }
  sieve_error error{};
  const sieve_status status = sieve_separation_index(&request, &options, &result, &error);
  const std::string at = name + " " + sieve_backend_name(backend) + " order " + std::to_string(wanted.order) +
                         " kind " + std::to_string(wanted.kind) +
                         (wanted.neighbours ? " with neighbours" : "");
  CHECK(status == SIEVE_STATUS_OK, "%s: %s", at.c_str(), error.message);
  if (status != SIEVE_STATUS_OK) return;
  CHECK(result.backend == backend, "%s: ran %d", at.c_str(), result.backend);
  CHECK(result.rows_used == static_cast<int64_t>(data.rows), "%s", at.c_str());
  CHECK(same_score(result.value, expected.value), "%s: %.17g, expected %.17g", at.c_str(), result.value,
        expected.value);
  for (size_t c = 0; c < per_class.size(); ++c) {
    CHECK(same_score(per_class[c], expected.per_class[c]), "%s class %zu: %.17g, expected %.17g", at.c_str(),
          c, per_class[c], expected.per_class[c]);
  }
  if (!wanted.neighbours) return;
  for (size_t i = 0; i < data.rows; ++i) {
    for (size_t n = 0; n < order; ++n) {
      const Neighbour& true_one = truth[i][n];
      const bool equal = nearest[i * order + n] == static_cast<int64_t>(true_one.row) &&
                         distances[i * order + n] == true_one.distance;
      CHECK(equal, "%s row %zu neighbour %zu: %lld at %.17g, expected %zu at %.17g", at.c_str(), i, n,
            static_cast<long long>(nearest[i * order + n]), distances[i * order + n], true_one.row,
            true_one.distance);
      if (!equal) return;
    }
  }
}

}  // namespace test

#endif  // SIEVE_TEST_SEPARATION_CHECK_H
