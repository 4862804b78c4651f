#include "node/exit.h"

#include <cstdlib>

#include "node/arguments.h"
#include "node/status.h"

namespace sieve_node {

namespace {

constexpr size_t kLargestExitCode = 255;

}  // namespace

Napi::Value ExitNow(const Napi::CallbackInfo& info) {
  const size_t code = ReadCountValue(info[0], "the exit code");
  if (code > kLargestExitCode)
    ThrowRangeError(
        info.Env(), "ERR_OPTION",
        "Expected a whole number up to 255 for the exit code but received " + std::to_string(code));
  std::_Exit(static_cast<int>(code));
}

}  // namespace sieve_node
