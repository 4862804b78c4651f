// Failures inside the library, and the one place where they become a status at the C ABI.
#ifndef SIEVE_CORE_FAILURE_H
#define SIEVE_CORE_FAILURE_H

#include <cstdint>
#include <exception>
#include <string>
#include <utility>

#include "sieve/sieve.h"

namespace sieve {

class Failure final : public std::exception {
 public:
  Failure(sieve_status status, std::string message, int64_t row = -1)
      : status_(status), row_(row), message_(std::move(message)) {}
  const char* what() const noexcept override { return message_.c_str(); }
  sieve_status status() const noexcept { return status_; }
  int64_t row() const noexcept { return row_; }

 private:
  sieve_status status_;
  int64_t row_;
  std::string message_;
};

// Throws Failure("Expected <what> for <subject> but received <received>").
[[noreturn]] void expected(sieve_status status, const std::string& what, const std::string& subject,
                           const std::string& received, int64_t row = -1);

// The same with SIEVE_STATUS_INVALID_ARGUMENT, where the condition does not hold.
inline void require(bool condition, const char* what, const char* subject, const std::string& received) {
  if (!condition) expected(SIEVE_STATUS_INVALID_ARGUMENT, what, subject, received);
}

// Translates the exception that is being handled; call only inside a catch block.
sieve_status report_current_exception(sieve_error* error) noexcept;

// Runs body() for a C function: no exception leaves, a failure fills `error` (may be NULL).
template <typename Body>
sieve_status guarded(sieve_error* error, Body&& body) noexcept {
  try {
    body();
    return SIEVE_STATUS_OK;
  } catch (...) {
    return report_current_exception(error);
  }
}

}  // namespace sieve

#endif  // SIEVE_CORE_FAILURE_H
