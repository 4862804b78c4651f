// Reads and checks what JavaScript passed. Matrices are not copied: they become raw pointers, and the arrays
// they point into are pinned (kept alive) until the call has settled. Labels and indices are copied: they are
// small, and the core relies on having checked them.
#pragma once

#include <napi.h>

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <string>
#include <vector>

#include "sieve/sieve.h"

namespace sieve_node {

// The arrays a call works on. Only for the JavaScript thread.
class Pins {
 public:
  explicit Pins(Napi::Env env) : arrays_(Napi::Array::New(env)) {}
  void Add(Napi::Value array) { arrays_.Set(arrays_.Length(), array); }
  Napi::Array arrays() const { return arrays_; }

 private:
  Napi::Array arrays_;
};

Napi::Object ReadObject(Napi::Value value, const char* subject);

// A whole number from `minimum` to 2^53 - 1.
size_t ReadCount(Napi::Object object, const char* key, size_t minimum = 0);
int32_t ReadInt32(Napi::Object object, const char* key, int32_t minimum = 0);
double ReadNumber(Napi::Object object, const char* key);
size_t ReadCountValue(Napi::Value value, const char* subject, size_t minimum = 0);
double ReadNumberValue(Napi::Value value, const char* subject);
bool ReadFlag(Napi::Object object, const char* key);

struct Choice {
  const char* name;
  int32_t value;
};
int32_t ReadChoice(Napi::Object object, const char* key, std::initializer_list<Choice> choices);

// The product of sizes; a RangeError where it is no exact number of elements in JavaScript.
size_t ElementCount(Napi::Env env, std::initializer_list<size_t> sizes, const char* subject);

struct RawArray {
  void* data;
  size_t length;
};
RawArray ReadRawArray(Napi::Value value, napi_typedarray_type type, const char* subject);
[[noreturn]] void ThrowLength(Napi::Env env, const char* subject, size_t expected, size_t received);

template <typename Element>
constexpr napi_typedarray_type ArrayType();
template <>
constexpr napi_typedarray_type ArrayType<float>() {
  return napi_float32_array;
}
template <>
constexpr napi_typedarray_type ArrayType<double>() {
  return napi_float64_array;
}
template <>
constexpr napi_typedarray_type ArrayType<int32_t>() {
  return napi_int32_array;
}

template <typename Element>
struct ArrayView {
  Element* data;
  size_t length;
};

// A typed array of any length, pinned.
template <typename Element>
ArrayView<Element> ReadArray(Pins& pins, Napi::Value value, const char* subject) {
  const RawArray raw = ReadRawArray(value, ArrayType<Element>(), subject);
  pins.Add(value);
  return {static_cast<Element*>(raw.data), raw.length};
}

// A typed array of exactly `length` elements, pinned.
template <typename Element>
Element* ReadArray(Pins& pins, Napi::Value value, const char* subject, size_t length) {
  const ArrayView<Element> view = ReadArray<Element>(pins, value, subject);
  if (view.length != length) ThrowLength(value.Env(), subject, length, view.length);
  return view.data;
}

// As above; undefined or null gives nullptr.
template <typename Element>
Element* ReadOptionalArray(Pins& pins, Napi::Value value, const char* subject, size_t length) {
  if (value.IsUndefined() || value.IsNull()) return nullptr;
  return ReadArray<Element>(pins, value, subject, length);
}

// A copy of an Int32Array.
template <typename Stored>
std::shared_ptr<const std::vector<Stored>> CopyInt32Array(Napi::Value value, const char* subject) {
  const RawArray raw = ReadRawArray(value, napi_int32_array, subject);
  const auto* first = static_cast<const int32_t*>(raw.data);
  return std::make_shared<const std::vector<Stored>>(first, first + raw.length);
}

// Where lists lie one after another in `members`: list s is members[offsets[s]] .. members[offsets[s + 1] -
// 1].
struct IndexLists {
  std::shared_ptr<const std::vector<int64_t>> offsets;
  size_t count() const { return offsets->size() - 1; }
};
IndexLists ReadOffsets(Napi::Value value, size_t member_count);

sieve_backend ReadBackend(Napi::Value value);

}  // namespace sieve_node
