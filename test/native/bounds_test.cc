// Data on which rounding does its worst, so that a bound of the candidates (kernels/tile_kernels.h,
// kernels/rounded_kernels.h) that were too narrow would give a wrong answer. scripts/test-mutants.mjs shows
// that it would.
#include "core/candidate_lists.h"
#include "rounding_data.h"
#include "separation_check.h"

namespace {

using test::Data;

void test_data(const Data& data, const std::string& name) {
  const size_t largest = 4;
  const auto truth = test::neighbours_naively(data, data, largest, test::all_columns(data.columns));
  for (const sieve_backend backend : test::backends()) {
    test::compare(data, truth, {1, SIEVE_SEPARATION_HARD, false}, backend, 1, name);
    test::compare(data, truth, {1, SIEVE_SEPARATION_HARD, true}, backend, 2, name);
    test::compare(data, truth, {4, SIEVE_SEPARATION_SOFT, false}, backend, 1, name);
    test::compare(data, truth, {4, SIEVE_SEPARATION_SOFT, true}, backend, 3, name);
  }
}

// What had to be dropped is remembered by the least of its lower bounds, and only as long as the threshold
// leaves it a say.
void test_dropped_candidates() {
  const int32_t labels[] = {0, 1, 1, 1, 0, 1};
  sieve::CandidateLists lists(1, {1, 1, sieve::LabelStop::kNone}, labels);
  const auto holds = [&](bool complete, int32_t label, const char* what) {
    CHECK(lists.complete(0) == complete, "%s", what);
    CHECK(lists.dropped_label(0) == label, "%s: label %d", what, lists.dropped_label(0));
  };
  lists.insert(0, {5.0f, 6.0f, 0});
  lists.insert(0, {5.0f, 7.0f, 1});
  holds(true, sieve::CandidateLists::kNoLabel, "nothing was dropped");
  lists.insert(0, {1.0f, 10.0f, 2});
  lists.insert(0, {5.5f, 11.0f, 3});
  holds(false, 1, "two of one label were dropped");
  lists.insert(0, {2.0f, 3.0f, 4});
  CHECK(lists.threshold(0) == 3.0f, "threshold %g", static_cast<double>(lists.threshold(0)));
  holds(false, 1, "the first that was dropped still has a say");
  lists.insert(0, {0.25f, 0.5f, 5});
  holds(true, 1, "none of them has");
}

}  // namespace

int main() {
  test_dropped_candidates();
  for (const size_t columns : {1, 6, 40}) {
    test_data(test::straddling_powers(columns, columns), "straddling powers of two");
  }
  for (const int bits : {7, 10}) {  // of bfloat16 and float16
    for (const size_t columns : {1, 24, 40, 130}) {
      for (uint64_t seed = 1; seed <= 4; ++seed) {
        test_data(test::half_units(bits, 61, columns, seed), "half units, bits " + std::to_string(bits));
      }
    }
  }
  for (const double part : {0.9375, 1.375, 1.9375, 2.75}) {
    for (const size_t columns : {64, 193, 512, 1100}) {
      test_data(test::swallowed(part, 40, columns, columns), "swallowed, part " + std::to_string(part));
    }
  }
  for (const double a : {0.984375, 1.3984375, 2.765625}) {  // squares just below 1, 2 and 8
    for (const size_t block : {192, 512}) {
      for (const size_t columns : {block - 2, block + 1, 2 * block + 1, 5 * block + 1}) {
        test_data(test::opposed(a * 0x1p-12, block, columns), "opposed, blocks of " + std::to_string(block));
      }
    }
  }
  for (uint64_t seed = 1; seed <= 12; ++seed) test_data(test::permuted(30, 40, seed), "permuted");
  for (const double step : {0.0, 1e-8, 1e-7, 1e-5, 1e-4, 1e-3}) {
    test_data(test::crowd(step, 150, 75, 7), "crowd, step " + std::to_string(step));
  }
  for (const double first : {510.0, 1021.0, 1501.0, 2044.0}) {
    for (const size_t columns : {3, 33}) {
      test_data(test::large_integers(first, 61, columns, 8), "integers about " + std::to_string(first));
    }
  }
  for (const int exponent : {-62, -66, -70, -74}) {
    for (const size_t columns : {9, 33}) {
      test_data(test::tiny_beside(std::ldexp(1.0, exponent), 60, columns, 9),
                "tiny beside, 2^" + std::to_string(exponent));
    }
  }
  return test::result("bounds_test");
}
