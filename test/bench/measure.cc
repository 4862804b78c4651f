#include "measure.h"

#include <sys/resource.h>
#if defined(__GLIBC__)
#include <malloc.h>
#endif

#include <algorithm>
#include <chrono>
#include <cstdio>

namespace sieve_bench {
namespace {

double cpu_seconds() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) + 1e-6 * static_cast<double>(time.tv_usec);
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

// Linux keeps the peak since the start of the process or since this.
void reset_peak() {
  if (std::FILE* file = std::fopen("/proc/self/clear_refs", "w")) {
    std::fputs("5", file);
    std::fclose(file);
  }
}

// A line of /proc/self/status such as "VmHWM:    1234 kB".
double status_mebibytes(const char* format) {
  std::FILE* status = std::fopen("/proc/self/status", "r");
  if (status == nullptr) return 0;
  char line[256];
  double kibibytes = 0;
  while (std::fgets(line, sizeof(line), status) != nullptr) {
    if (std::sscanf(line, format, &kibibytes) == 1) break;
  }
  std::fclose(status);
  return kibibytes / 1024.0;
}

}  // namespace

Cost measure(const std::function<void()>& work) {
#if defined(__GLIBC__)
  // What earlier trials freed and the allocator kept would hide what this one takes.
  malloc_trim(0);
#endif
  reset_peak();
  const double before = status_mebibytes("VmRSS: %lf");
  const double cpu = cpu_seconds();
  const auto wall = std::chrono::steady_clock::now();
  work();
  const double wall_taken = std::chrono::duration<double>(std::chrono::steady_clock::now() - wall).count();
  const double cpu_taken = cpu_seconds() - cpu;
  return {cpu_taken, wall_taken, std::max(0.0, status_mebibytes("VmHWM: %lf") - before)};
}

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  const size_t middle = values.size() / 2;
  return values.size() % 2 == 1 ? values[middle] : 0.5 * (values[middle - 1] + values[middle]);
}

}  // namespace sieve_bench
