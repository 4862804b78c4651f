#include "node/status.h"

#include <cstring>

namespace sieve_node {

namespace {

const char* CodeOfStatus(int32_t status) {
  switch (status) {
    case SIEVE_STATUS_INVALID_ARGUMENT:
      return "ERR_OPTION";
    case SIEVE_STATUS_INVALID_LABEL:
      return "ERR_LABELS";
    case SIEVE_STATUS_NON_FINITE:
      return "ERR_NON_FINITE";
    case SIEVE_STATUS_OUT_OF_MEMORY:
      return "ERR_OUT_OF_MEMORY";
    case SIEVE_STATUS_CANCELLED:
      return "ERR_CANCELLED";
    case SIEVE_STATUS_UNSUPPORTED_BACKEND:
      return "ERR_DEVICE";
    default:
      return "ERR_RUNTIME";
  }
}

}  // namespace

void ThrowTypeError(Napi::Env env, const char* code, const std::string& message) {
  Napi::Error error = Napi::TypeError::New(env, message);
  error.Set("code", Napi::String::New(env, code));
  throw error;
}

void ThrowRangeError(Napi::Env env, const char* code, const std::string& message) {
  Napi::Error error = Napi::RangeError::New(env, message);
  error.Set("code", Napi::String::New(env, code));
  throw error;
}

Napi::Error MakeStatusError(Napi::Env env, const sieve_error& error) {
  const auto status = static_cast<sieve_status>(error.status);
  const char* message = error.message[0] != '\0' ? error.message : sieve_status_name(status);
  Napi::Error result = Napi::Error::New(env, message);
  result.Set("name", Napi::String::New(env, "SieveError"));
  result.Set("code", Napi::String::New(env, CodeOfStatus(error.status)));
  result.Set("row", Napi::Number::New(env, static_cast<double>(error.row)));
  result.Set("status", Napi::String::New(env, sieve_status_name(status)));
  return result;
}

sieve_status FillError(sieve_error* error, sieve_status status, const char* message) {
  error->status = status;
  error->row = -1;
  std::strncpy(error->message, message, sizeof(error->message) - 1);
  error->message[sizeof(error->message) - 1] = '\0';
  return status;
}

}  // namespace sieve_node
