// What a trial costs: CPU time of the process, wall time, and memory beyond what was held before.
#ifndef SIEVE_BENCH_MEASURE_H
#define SIEVE_BENCH_MEASURE_H

#include <functional>
#include <vector>

namespace sieve_bench {

struct Cost {
  double cpu_seconds;  // of all threads together
  double wall_seconds;
  double peak_mebibytes;  // highest resident memory during the trial above that before it; 0 without /proc
};

Cost measure(const std::function<void()>& work);

double median(std::vector<double> values);

}  // namespace sieve_bench

#endif  // SIEVE_BENCH_MEASURE_H
