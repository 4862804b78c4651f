// What all native tests share: checks that count failures, seeded data, and the backends of this machine.
#ifndef SIEVE_TEST_SUPPORT_H
#define SIEVE_TEST_SUPPORT_H

#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <vector>

#include "sieve/sieve.h"

namespace test {

inline int failures = 0;

// Reports where a condition does not hold, and goes on, so that one run shows all failures.
#define CHECK(condition, ...)                                     \
  do {                                                            \
    if (!(condition)) {                                           \
      ++test::failures;                                           \
      std::printf("%s:%d: %s: ", __FILE__, __LINE__, #condition); \
      std::printf(__VA_ARGS__);                                   \
      std::printf("\n");                                          \
    }                                                             \
  } while (false)

// SIEVE_TEST_TRIMMED=1 is for emulators, which are slow: the shapes that only add more of the same shrink.
// Every kind of data and every awkward size stays.
inline bool is_trimmed() {
  const char* trimmed = std::getenv("SIEVE_TEST_TRIMMED");
  return trimmed != nullptr && *trimmed == '1';
}

inline size_t size_unless_trimmed(size_t full, size_t small) {
  if (!is_trimmed()) return full;
  std::printf("SIEVE_TEST_TRIMMED=1: %zu instead of %zu\n", small, full);
  return small;
}

// SIEVE_TEST_MAX_THREADS caps the threads of calls that only have values to show: qemu's user mode keeps
// memory for every thread that has ended. Tests that are about threads do not ask here.
inline int32_t threads(int32_t wanted) {
  const char* most = std::getenv("SIEVE_TEST_MAX_THREADS");
  if (most == nullptr) return wanted;
  const int32_t limit = std::atoi(most);
  return wanted > 0 && wanted < limit ? wanted : limit;
}

inline int result(const char* name) {
  std::printf("%s: %s\n", name, failures == 0 ? "passed" : "FAILED");
  return failures == 0 ? 0 : 1;
}

class Random {
 public:
  explicit Random(uint64_t seed) : state_(seed * 0x9e3779b97f4a7c15u + 88172645463325252u) {}
  uint64_t bits() {
    state_ ^= state_ << 13;
    state_ ^= state_ >> 7;
    state_ ^= state_ << 17;
    return state_;
  }
  int64_t integer(int64_t from, int64_t to) {
    return from + static_cast<int64_t>(below(static_cast<size_t>(to - from + 1)));
  }
  size_t below(size_t limit) { return static_cast<size_t>(bits() % limit); }
  double uniform() { return static_cast<double>(bits() >> 11) / 9007199254740992.0; }
  double normal() {
    return std::sqrt(-2 * std::log(1 - uniform())) * std::cos(6.283185307179586 * uniform());
  }

 private:
  uint64_t state_;
};

// Backends of this machine; the others are named, once, so that nobody takes their absence for a pass.
inline const std::vector<sieve_backend>& backends() {
  static const std::vector<sieve_backend> all = [] {
    std::vector<sieve_backend> available;
    for (int32_t number = SIEVE_BACKEND_SERIAL; number < SIEVE_BACKEND_COUNT; ++number) {
      const auto backend = static_cast<sieve_backend>(number);
      if (sieve_backend_available(backend) == 1) {
        available.push_back(backend);
      } else {
        std::printf("not tested: %s (this build or this CPU does not have it)\n",
                    sieve_backend_name(backend));
      }
    }
    return available;
  }();
  return all;
}

}  // namespace test

#endif  // SIEVE_TEST_SUPPORT_H
