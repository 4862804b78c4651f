#include "node/shards.h"

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "node/arguments.h"
#include "node/matrices.h"
#include "node/run.h"
#include "node/status.h"
#include "sieve/sieve.h"

namespace sieve_node {

namespace {

// The core numbers rows in 64 bits, JavaScript in 32: lists are converted on the computing thread.
struct Lists {
  int32_t* nearest;
  double* distance;
  size_t count;

  std::vector<int64_t> Numbers() const { return {nearest, nearest + count}; }
};

Lists ReadLists(Pins& pins, Napi::Value value, const char* subject, size_t count) {
  const Napi::Object object = ReadObject(value, subject);
  return {ReadArray<int32_t>(pins, object.Get("nearest"), "nearest", count),
          ReadArray<double>(pins, object.Get("nearestDistanceSquared"), "nearestDistanceSquared", count),
          count};
}

// Calls `call(numbers)`, which fills the lists' numbers in 64 bits.
template <typename Call>
sieve_status Fill(const Lists& lists, const Call& call) {
  std::vector<int64_t> numbers(lists.count);
  const sieve_status status = call(numbers.data());
  if (status == SIEVE_STATUS_OK) {
    for (size_t i = 0; i < lists.count; ++i) lists.nearest[i] = static_cast<int32_t>(numbers[i]);
  }
  return status;
}

// The number of a matrix's first row; all its numbers fit in an Int32Array.
int64_t ReadFirstRow(Napi::Object request, const char* key, size_t rows) {
  const size_t first = ReadCount(request, key);
  const size_t limit = static_cast<size_t>(INT32_MAX);
  if (first > limit || rows > limit - first) {
    ThrowRangeError(request.Env(), "ERR_SHAPE",
                    std::string("Expected row numbers below 2^31 for ") + key + " but received " +
                        std::to_string(first) + " and " + std::to_string(rows) + " rows");
  }
  return static_cast<int64_t>(first);
}

}  // namespace

Napi::Value NearestNeighbours(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  Pins pins(env);
  const Napi::Object request = ReadObject(info[2], "request");
  const size_t dims = ReadCount(request, "dims", 1);
  const size_t rows = ReadCount(request, "rows");
  const size_t reference_rows = ReadCount(request, "referenceRows");
  const int32_t order = ReadInt32(request, "order", 1);
  const int32_t skip_non_finite = ReadFlag(request, "skipNonFinite");
  const sieve_matrix queries = ReadMatrix(pins, info[0], kFeatures, request, rows, dims);
  const sieve_matrix references = ReadMatrix(pins, info[1], kReference, request, reference_rows, dims);
  const int64_t first = ReadFirstRow(request, "firstRow", rows);
  const int64_t first_reference = ReadFirstRow(request, "referenceFirstRow", reference_rows);
  const Lists lists =
      ReadLists(pins, info[3], "outputs", ElementCount(env, {rows, static_cast<size_t>(order)}, "nearest"));
  return StartJob(
      env, info[4], pins,
      [=](const sieve_run_options& run, sieve_error* error) {
        return Fill(lists, [&](int64_t* numbers) {
          return sieve_nearest_neighbours(queries, first, references, first_reference, order, skip_non_finite,
                                          &run, numbers, lists.distance, error);
        });
      },
      Nothing);
}

Napi::Value MergeNeighbours(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  Pins pins(env);
  if (!info[0].IsArray()) ThrowTypeError(env, "ERR_OPTION", "Expected an array for parts but received none");
  const Napi::Object request = ReadObject(info[1], "request");
  const size_t rows = ReadCount(request, "rows");
  const int32_t order = ReadInt32(request, "order", 1);
  const size_t count = ElementCount(env, {rows, static_cast<size_t>(order)}, "nearest");
  const Napi::Array array = info[0].As<Napi::Array>();
  std::vector<Lists> parts;
  for (uint32_t i = 0; i < array.Length(); ++i) parts.push_back(ReadLists(pins, array.Get(i), "part", count));
  const Lists lists = ReadLists(pins, info[2], "outputs", count);
  return StartJob(
      env, info[3], pins,
      [rows, order, parts, lists](const sieve_run_options& run, sieve_error* error) {
        std::vector<std::vector<int64_t>> numbers;
        std::vector<sieve_neighbour_part> views;
        for (const Lists& part : parts) {
          numbers.push_back(part.Numbers());
          views.push_back({numbers.back().data(), part.distance});
        }
        return Fill(lists, [&](int64_t* merged) {
          return sieve_merge_neighbours(views.data(), views.size(), rows, order, &run, merged, lists.distance,
                                        error);
        });
      },
      Nothing);
}

Napi::Value ScoreNeighbours(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  Pins pins(env);
  const Napi::Object request = ReadObject(info[3], "request");
  const size_t rows = ReadCount(request, "rows");
  const size_t references = ReadCount(request, "referenceRows");
  const int32_t order = ReadInt32(request, "order", 1);
  const int32_t classes = ReadInt32(request, "classes", 1);
  const int32_t kind = ReadKind(request);
  const size_t count = ElementCount(env, {rows, static_cast<size_t>(order)}, "nearest");
  const Lists lists{ReadArray<int32_t>(pins, info[0], "nearest", count), nullptr, count};
  const Labels labels = ReadLabels(info[1], "labels", rows);
  const Labels reference_labels = ReadLabels(info[2], "referenceLabels", references);
  const auto result = std::make_shared<sieve_separation_result>();
  result->per_class = ReadOptionalArray<double>(pins, ReadObject(info[4], "outputs").Get("perClass"),
                                                "perClass", static_cast<size_t>(classes));
  return StartJob(
      env, info[5], pins,
      [=](const sieve_run_options&, sieve_error* error) {
        return sieve_score_neighbours(lists.Numbers().data(), rows, order, labels->data(),
                                      reference_labels->data(), references, classes, kind, result.get(),
                                      error);
      },
      [result](Napi::Env result_env) -> Napi::Value {
        const Napi::Object object = Napi::Object::New(result_env);
        object.Set("value", Napi::Number::New(result_env, result->value));
        object.Set("rowsUsed", Napi::Number::New(result_env, static_cast<double>(result->rows_used)));
        return object;
      });
}

}  // namespace sieve_node
