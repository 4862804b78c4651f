#include "node/arguments.h"

#include <cmath>
#include <cstring>
#include <limits>

#include "node/status.h"

namespace sieve_node {

namespace {

constexpr double kMaxSafeInteger = 9007199254740991.0;

std::string Describe(Napi::Value value) {
  switch (value.Type()) {
    case napi_undefined:
      return "nothing";
    case napi_null:
      return "null";
    case napi_string:
      return "\"" + value.As<Napi::String>().Utf8Value() + "\"";
    case napi_number:
    case napi_boolean:
      return value.ToString().Utf8Value();
    case napi_function:
      return "a function";
    case napi_bigint:
      return "a bigint";
    case napi_symbol:
      return "a symbol";
    default:
      return "an object";
  }
}

std::string Phrase(const std::string& what, const char* subject, const std::string& received) {
  return "Expected " + what + " for " + subject + " but received " + received;
}

const char* ArrayTypeName(napi_typedarray_type type) {
  switch (type) {
    case napi_int8_array:
      return "Int8Array";
    case napi_uint8_array:
      return "Uint8Array";
    case napi_uint8_clamped_array:
      return "Uint8ClampedArray";
    case napi_int16_array:
      return "Int16Array";
    case napi_uint16_array:
      return "Uint16Array";
    case napi_int32_array:
      return "Int32Array";
    case napi_uint32_array:
      return "Uint32Array";
    case napi_float32_array:
      return "Float32Array";
    case napi_float64_array:
      return "Float64Array";
    case napi_bigint64_array:
      return "BigInt64Array";
    case napi_biguint64_array:
      return "BigUint64Array";
    default:
      return "another typed array";
  }
}

double ReadWhole(Napi::Value value, const char* key, double minimum, double maximum) {
  const std::string what = "a whole number of at least " + std::to_string(static_cast<int64_t>(minimum));
  if (!value.IsNumber()) ThrowTypeError(value.Env(), "ERR_OPTION", Phrase(what, key, Describe(value)));
  const double number = value.As<Napi::Number>().DoubleValue();
  if (!(number >= minimum) || number > maximum || std::floor(number) != number)
    ThrowRangeError(value.Env(), "ERR_OPTION", Phrase(what, key, Describe(value)));
  return number;
}

}  // namespace

Napi::Object ReadObject(Napi::Value value, const char* subject) {
  if (!value.IsObject())
    ThrowTypeError(value.Env(), "ERR_OPTION", Phrase("an object", subject, Describe(value)));
  return value.As<Napi::Object>();
}

size_t ReadCountValue(Napi::Value value, const char* subject, size_t minimum) {
  return static_cast<size_t>(ReadWhole(value, subject, static_cast<double>(minimum), kMaxSafeInteger));
}

size_t ReadCount(Napi::Object object, const char* key, size_t minimum) {
  return ReadCountValue(object.Get(key), key, minimum);
}

int32_t ReadInt32(Napi::Object object, const char* key, int32_t minimum) {
  return static_cast<int32_t>(ReadWhole(object.Get(key), key, minimum, std::numeric_limits<int32_t>::max()));
}

double ReadNumberValue(Napi::Value value, const char* subject) {
  if (!value.IsNumber())
    ThrowTypeError(value.Env(), "ERR_OPTION", Phrase("a number", subject, Describe(value)));
  return value.As<Napi::Number>().DoubleValue();
}

double ReadNumber(Napi::Object object, const char* key) { return ReadNumberValue(object.Get(key), key); }

bool ReadFlag(Napi::Object object, const char* key) {
  const Napi::Value value = object.Get(key);
  if (!value.IsBoolean())
    ThrowTypeError(object.Env(), "ERR_OPTION", Phrase("true or false", key, Describe(value)));
  return value.As<Napi::Boolean>().Value();
}

int32_t ReadChoice(Napi::Object object, const char* key, std::initializer_list<Choice> choices) {
  const Napi::Value value = object.Get(key);
  std::string names;
  for (const Choice& choice : choices) {
    if (value.IsString() && value.As<Napi::String>().Utf8Value() == choice.name) return choice.value;
    names += std::string(names.empty() ? "" : ", ") + "\"" + choice.name + "\"";
  }
  ThrowTypeError(object.Env(), "ERR_OPTION", Phrase("one of " + names, key, Describe(value)));
}

size_t ElementCount(Napi::Env env, std::initializer_list<size_t> sizes, const char* subject) {
  double product = 1;
  for (const size_t size : sizes) product *= static_cast<double>(size);
  if (product > kMaxSafeInteger)
    ThrowRangeError(env, "ERR_SHAPE", Phrase("sizes that fit in memory", subject, std::to_string(product)));
  return static_cast<size_t>(product);
}

RawArray ReadRawArray(Napi::Value value, napi_typedarray_type type, const char* subject) {
  const Napi::Env env = value.Env();
  const std::string what = ArrayTypeName(type);
  if (!value.IsTypedArray()) ThrowTypeError(env, "ERR_SHAPE", Phrase("a " + what, subject, Describe(value)));

  napi_typedarray_type received;
  RawArray array{};
  napi_value buffer_value;
  size_t byte_offset;
  if (napi_get_typedarray_info(env, value, &received, &array.length, &array.data, &buffer_value,
                               &byte_offset) != napi_ok)
    ThrowTypeError(env, "ERR_SHAPE", Phrase("a " + what, subject, "an array that can not be read"));
  if (received != type)
    ThrowTypeError(env, "ERR_SHAPE",
                   Phrase("a " + what, subject, std::string("a ") + ArrayTypeName(received)));

  bool detached = false;
  if (napi_is_detached_arraybuffer(env, buffer_value, &detached) != napi_ok || detached)
    ThrowTypeError(env, "ERR_SHAPE", Phrase("a " + what, subject, "one whose buffer is detached"));
  // A resizable buffer can give its pages back while a thread reads them. Growable shared ones can only grow.
  if (Napi::Object(env, buffer_value).Get("resizable").ToBoolean())
    ThrowTypeError(env, "ERR_SHAPE", Phrase("a " + what + " of fixed length", subject, "a resizable one"));

  return array;
}

void ThrowLength(Napi::Env env, const char* subject, size_t expected, size_t received) {
  ThrowRangeError(env, "ERR_SHAPE",
                  Phrase("a length of " + std::to_string(expected), subject, std::to_string(received)));
}

IndexLists ReadOffsets(Napi::Value value, size_t member_count) {
  IndexLists lists{CopyInt32Array<int64_t>(value, "offsets")};
  if (lists.offsets->empty()) ThrowLength(value.Env(), "offsets", 1, 0);
  int64_t previous = 0;
  for (const int64_t offset : *lists.offsets) {
    if (offset < previous || offset > static_cast<int64_t>(member_count))
      ThrowRangeError(value.Env(), "ERR_OPTION",
                      Phrase("ascending positions from 0 to " + std::to_string(member_count), "offsets",
                             std::to_string(offset)));
    previous = offset;
  }
  return lists;
}

sieve_backend ReadBackend(Napi::Value value) {
  if (value.IsUndefined()) return SIEVE_BACKEND_AUTO;
  if (value.IsString()) {
    const std::string name = value.As<Napi::String>().Utf8Value();
    for (int32_t backend = 0; backend < SIEVE_BACKEND_COUNT; ++backend)
      if (name == sieve_backend_name(static_cast<sieve_backend>(backend)))
        return static_cast<sieve_backend>(backend);
  }
  std::string names;
  for (int32_t backend = 0; backend < SIEVE_BACKEND_COUNT; ++backend)
    names += std::string(backend == 0 ? "\"" : ", \"") +
             sieve_backend_name(static_cast<sieve_backend>(backend)) + "\"";
  ThrowTypeError(value.Env(), "ERR_OPTION", Phrase("one of " + names, "backend", Describe(value)));
}

}  // namespace sieve_node
