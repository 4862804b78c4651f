// Who takes part in a benchmark of one workload: every backend of this processor, and what they are compared
// with.
#ifndef SIEVE_BENCH_CONTENDERS_H
#define SIEVE_BENCH_CONTENDERS_H

#include <cstddef>
#include <functional>
#include <string>
#include <vector>

#include "workload.h"

namespace sieve_bench {

struct Contender {
  std::string name;
  // Does the work once. Answers of contenders have to be equal as far as both go; empty where there is none.
  // Throws std::runtime_error where the library refuses.
  std::function<std::vector<double>()> run;
  // Where only a part is done because the whole would take too long: whole over part. Times are to be
  // multiplied by it and marked as extrapolated.
  double scale = 1;
  size_t measured_rows = 0;     // queries that are really searched
  size_t measured_filters = 0;  // filters that are really looked at
};

// The backends come from the library, so that new ones take part by themselves. Beside them:
//   csi     "read": sums the input once on as many threads, which is what memory allows.
//   select  "reevaluate:BACKEND" with `reevaluate`: every candidate of every step by sieve_subset_separation.
// The serial backend does the first queries or filters only where the whole is more than `serial_operations`
// additions and multiplications; it takes no part in a selection that is larger.
std::vector<Contender> contenders_of(const Workload& workload, bool reevaluate, double serial_operations);

// Additions and multiplications of the textbook algorithm.
double operations_of(const Workload& workload);

}  // namespace sieve_bench

#endif  // SIEVE_BENCH_CONTENDERS_H
