// What is measured: a kernel, the size of its input, and the input itself.
#ifndef SIEVE_BENCH_WORKLOAD_H
#define SIEVE_BENCH_WORKLOAD_H

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace sieve_bench {

constexpr int32_t kClasses = 10;

struct Workload {
  std::string kernel;  // "si", "csi", "filters" (SI of each alone) or "select" (forward selection)
  size_t rows = 10000;
  size_t dims = 4096;  // values of one sample, those of all filters together
  size_t filters = 1;
  size_t limit = 0;  // forward selection stops after that many filters; 0: all
  int threads = 0;
  std::vector<float> features;  // [rows, dims]
  std::vector<int32_t> labels;  // [rows], 0 .. kClasses-1
};

// Fills features and labels. source: "random" (uniform in [0, 1), random labels), "clustered" (100 blobs of
// standard deviation 0.5 around normal centres, label = blob modulo 10), or the path of a file that holds
// rows*dims float32 and then rows int32. Throws std::runtime_error where the file does not fit.
void fill(Workload& workload, const std::string& source, unsigned seed);

}  // namespace sieve_bench

#endif  // SIEVE_BENCH_WORKLOAD_H
