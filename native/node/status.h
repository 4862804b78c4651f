// How refusals reach JavaScript: a stable `code` on every error, the same codes as in src/errors.ts.
#pragma once

#include <napi.h>

#include <string>

#include "sieve/sieve.h"

namespace sieve_node {

// A wrong type: thrown synchronously as a TypeError.
[[noreturn]] void ThrowTypeError(Napi::Env env, const char* code, const std::string& message);

// A wrong size or value: thrown synchronously as a RangeError.
[[noreturn]] void ThrowRangeError(Napi::Env env, const char* code, const std::string& message);

// What the core refused, as an Error named "SieveError" with `code`, `row` (-1: none) and `status`.
Napi::Error MakeStatusError(Napi::Env env, const sieve_error& error);

// Fills `error` as the core would.
sieve_status FillError(sieve_error* error, sieve_status status, const char* message);

}  // namespace sieve_node
