#include "core/failure.h"

#include <algorithm>
#include <cstring>
#include <new>
#include <stdexcept>

namespace sieve {
namespace {

sieve_status fill(sieve_error* error, sieve_status status, int64_t row, const char* message) noexcept {
  if (error != nullptr) {
    error->status = status;
    error->row = row;
    const size_t length = std::min(std::strlen(message), sizeof(error->message) - 1);
    std::memcpy(error->message, message, length);
    error->message[length] = '\0';
  }
  return status;
}

}  // namespace

void expected(sieve_status status, const std::string& what, const std::string& subject,
              const std::string& received, int64_t row) {
  throw Failure(status, "Expected " + what + " for " + subject + " but received " + received, row);
}

sieve_status report_current_exception(sieve_error* error) noexcept {
  try {
    throw;
  } catch (const Failure& failure) {
    return fill(error, failure.status(), failure.row(), failure.what());
  } catch (const std::bad_alloc&) {
    return fill(error, SIEVE_STATUS_OUT_OF_MEMORY, -1,
                "Expected enough memory for this call but received an allocation failure");
  } catch (const std::length_error&) {
    return fill(error, SIEVE_STATUS_OUT_OF_MEMORY, -1,
                "Expected sizes that memory can hold but received more");
  } catch (const std::exception& other) {
    return fill(error, SIEVE_STATUS_INTERNAL, -1, other.what());
  } catch (...) {
    return fill(error, SIEVE_STATUS_INTERNAL, -1, "Expected no foreign exception but received one");
  }
}

}  // namespace sieve
