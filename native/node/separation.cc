#include "node/separation.h"

#include <memory>
#include <vector>

#include "node/arguments.h"
#include "node/job.h"
#include "node/matrices.h"
#include "node/run.h"
#include "node/status.h"
#include "sieve/sieve.h"

namespace sieve_node {

namespace {

// The parts of a request that every labelled index has, and the labels it points to.
struct LabelledRequest : sieve_separation_request {
  Labels labels_copy;
};

// features [rows, columns] and labels [rows] are the first two arguments.
LabelledRequest ReadLabelled(Pins& pins, const Napi::CallbackInfo& info, Napi::Object request,
                             size_t columns) {
  LabelledRequest read{};
  const size_t rows = ReadCount(request, "rows");
  read.features = ReadMatrix(pins, info[0], kFeatures, request, rows, columns);
  read.labels_copy = ReadLabels(info[1], "labels", rows);
  read.labels = read.labels_copy->data();
  read.class_count = ReadInt32(request, "classes", 1);
  read.skip_non_finite = ReadFlag(request, "skipNonFinite");
  read.order = 1;
  return read;
}

// What a call with neighbours writes. The core counts rows in 64 bits, JavaScript gets them in 32.
struct SeparationOutputs {
  sieve_separation_result result{};
  int32_t* nearest = nullptr;
  size_t nearest_count = 0;

  template <typename Call>
  sieve_status Compute(const Call& call) {
    std::vector<int64_t> rows(nearest_count);
    if (nearest != nullptr) result.nearest = rows.data();
    const sieve_status status = call(&result);
    result.nearest = nullptr;
    if (status == SIEVE_STATUS_OK)
      for (size_t i = 0; i < nearest_count; ++i) nearest[i] = static_cast<int32_t>(rows[i]);
    return status;
  }
};

std::shared_ptr<SeparationOutputs> ReadSeparationOutputs(Pins& pins, Napi::Value value,
                                                         const sieve_separation_request& request,
                                                         size_t neighbour_rows) {
  const Napi::Object object = ReadObject(value, "outputs");
  const Napi::Env env = object.Env();
  const size_t neighbours =
      ElementCount(env, {request.features.rows, static_cast<size_t>(request.order)}, "nearest");
  auto outputs = std::make_shared<SeparationOutputs>();
  outputs->result.per_class = ReadOptionalArray<double>(pins, object.Get("perClass"), "perClass",
                                                        static_cast<size_t>(request.class_count));
  outputs->nearest = ReadOptionalArray<int32_t>(pins, object.Get("nearest"), "nearest", neighbours);
  outputs->result.nearest_distance = ReadOptionalArray<double>(pins, object.Get("nearestDistanceSquared"),
                                                               "nearestDistanceSquared", neighbours);
  if (outputs->nearest != nullptr) {
    outputs->nearest_count = neighbours;
    if (neighbour_rows > static_cast<size_t>(INT32_MAX))
      ThrowRangeError(env, "ERR_SHAPE", "Expected fewer than 2^31 rows for nearest but received more");
  } else if (outputs->result.nearest_distance != nullptr) {
    ThrowTypeError(env, "ERR_OPTION", "Expected nearest for nearestDistanceSquared but received nothing");
  }
  return outputs;
}

Napi::Value SeparationResult(Napi::Env env, const sieve_separation_result& result) {
  const Napi::Object object = Napi::Object::New(env);
  object.Set("value", Napi::Number::New(env, result.value));
  object.Set("rowsUsed", Napi::Number::New(env, static_cast<double>(result.rows_used)));
  object.Set("backend",
             Napi::String::New(env, sieve_backend_name(static_cast<sieve_backend>(result.backend))));
  return object;
}

struct FilterRequest {
  LabelledRequest labelled;
  size_t filters;
  int32_t index_kind;
};

FilterRequest ReadFilterRequest(Pins& pins, const Napi::CallbackInfo& info) {
  const Napi::Object request = ReadObject(info[2], "request");
  FilterRequest read{};
  read.filters = ReadCount(request, "filters", 1);
  const size_t columns = ElementCount(info.Env(), {read.filters, ReadCount(request, "dims", 1)}, "features");
  read.labelled = ReadLabelled(pins, info, request, columns);
  read.labelled.order = ReadInt32(request, "order", 1);
  read.labelled.kind = ReadKind(request);
  read.index_kind =
      ReadChoice(request, "index", {{"separation", SIEVE_INDEX_SEPARATION}, {"center", SIEVE_INDEX_CENTER}});
  return read;
}

}  // namespace

Napi::Value SeparationIndex(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  Pins pins(env);
  const Napi::Object options = ReadObject(info[2], "request");
  LabelledRequest request = ReadLabelled(pins, info, options, ReadCount(options, "dims", 1));
  request.order = ReadInt32(options, "order", 1);
  request.kind = ReadKind(options);
  const auto outputs = ReadSeparationOutputs(pins, info[3], request, request.features.rows);
  return StartJob(
      env, info[4], pins,
      [request, outputs](const sieve_run_options& run, sieve_error* error) {
        return outputs->Compute([&](sieve_separation_result* result) {
          return sieve_separation_index(&request, &run, result, error);
        });
      },
      [outputs](Napi::Env result_env) { return SeparationResult(result_env, outputs->result); });
}

Napi::Value CrossSeparationIndex(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  Pins pins(env);
  const Napi::Object options = ReadObject(info[4], "request");
  const size_t dims = ReadCount(options, "dims", 1);
  LabelledRequest request = ReadLabelled(pins, info, options, dims);
  request.order = ReadInt32(options, "order", 1);
  request.kind = ReadKind(options);
  const size_t reference_rows = ReadCount(options, "referenceRows");
  const sieve_matrix reference = ReadMatrix(pins, info[2], kReference, options, reference_rows, dims);
  const Labels reference_labels = ReadLabels(info[3], "referenceLabels", reference_rows);
  const auto outputs = ReadSeparationOutputs(pins, info[5], request, reference_rows);
  return StartJob(
      env, info[6], pins,
      [request, reference, reference_labels, outputs](const sieve_run_options& run, sieve_error* error) {
        return outputs->Compute([&](sieve_separation_result* result) {
          return sieve_cross_separation_index(&request, reference, reference_labels->data(), &run, result,
                                              error);
        });
      },
      [outputs](Napi::Env result_env) { return SeparationResult(result_env, outputs->result); });
}

Napi::Value CenterSeparationIndex(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  Pins pins(env);
  const Napi::Object options = ReadObject(info[2], "request");
  const size_t dims = ReadCount(options, "dims", 1);
  const LabelledRequest request = ReadLabelled(pins, info, options, dims);
  const size_t classes = static_cast<size_t>(request.class_count);
  // Absent: all rows.
  const bool whole = options.Get("queryRows").IsUndefined();
  const size_t first_query = whole ? 0 : ReadCount(options, "firstQuery");
  const size_t query_rows = whole ? request.features.rows : ReadCount(options, "queryRows", 1);
  const Napi::Object outputs = ReadObject(info[3], "outputs");
  const auto result = std::make_shared<sieve_center_result>();
  result->per_class = ReadOptionalArray<double>(pins, outputs.Get("perClass"), "perClass", classes);
  result->nearest = ReadOptionalArray<int32_t>(pins, outputs.Get("nearest"), "nearest", query_rows);
  result->centers = ReadOptionalArray<double>(pins, outputs.Get("centers"), "centers",
                                              ElementCount(env, {classes, dims}, "centers"));
  return StartJob(
      env, info[4], pins,
      [request, whole, first_query, query_rows, result](const sieve_run_options& run, sieve_error* error) {
        return whole ? sieve_center_separation_index(&request, &run, result.get(), error)
                     : sieve_center_separation_shard(&request, first_query, query_rows, &run, result.get(),
                                                     error);
      },
      [result](Napi::Env result_env) -> Napi::Value {
        const Napi::Object object = Napi::Object::New(result_env);
        object.Set("value", Napi::Number::New(result_env, result->value));
        object.Set("rowsUsed", Napi::Number::New(result_env, static_cast<double>(result->rows_used)));
        return object;
      });
}

Napi::Value SmoothnessIndex(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  Pins pins(env);
  const Napi::Object options = ReadObject(info[2], "request");
  const size_t rows = ReadCount(options, "rows");
  const sieve_matrix features =
      ReadMatrix(pins, info[0], kFeatures, options, rows, ReadCount(options, "dims", 1));
  const sieve_matrix targets =
      ReadMatrix(pins, info[1], kTargets, options, rows, ReadCount(options, "targetDims", 1));
  const auto value = std::make_shared<double>(0);
  return StartJob(
      env, info[3], pins,
      [features, targets, value](const sieve_run_options& run, sieve_error* error) {
        return sieve_smoothness_index(features, targets, &run, value.get(), error);
      },
      [value](Napi::Env result_env) -> Napi::Value { return Napi::Number::New(result_env, *value); });
}

Napi::Value FilterSeparation(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  Pins pins(env);
  const FilterRequest request = ReadFilterRequest(pins, info);
  double* values = ReadArray<double>(pins, info[3], "values", request.filters);
  return StartJob(
      env, info[4], pins,
      [request, values](const sieve_run_options& run, sieve_error* error) {
        return sieve_filter_separation(&request.labelled, request.filters, request.index_kind, &run, values,
                                       error);
      },
      Nothing);
}

Napi::Value SubsetSeparation(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  Pins pins(env);
  const FilterRequest request = ReadFilterRequest(pins, info);
  const auto members = CopyInt32Array<int32_t>(info[3], "members");
  const IndexLists subsets = ReadOffsets(info[4], members->size());
  double* values = ReadArray<double>(pins, info[5], "values", subsets.count());
  return StartJob(
      env, info[6], pins,
      [request, members, subsets, values](const sieve_run_options& run, sieve_error* error) {
        return sieve_subset_separation(&request.labelled, request.filters, members->data(),
                                       subsets.offsets->data(), subsets.count(), request.index_kind, &run,
                                       values, error);
      },
      Nothing);
}

Napi::Value SelectFilters(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  Pins pins(env);
  const FilterRequest request = ReadFilterRequest(pins, info);
  const Napi::Object options = info[2].As<Napi::Object>();
  const int32_t strategy =
      ReadChoice(options, "strategy", {{"si", SIEVE_SELECTION_GREEDY}, {"si-rank", SIEVE_SELECTION_RANK}});
  const size_t limit = ReadCount(options, "limit");
  int32_t* order = ReadArray<int32_t>(pins, info[3], "order", request.filters);
  double* curve = ReadArray<double>(pins, info[4], "curve", request.filters);
  return StartJob(
      env, info[5], pins,
      [request, strategy, limit, order, curve](const sieve_run_options& run, sieve_error* error) {
        return sieve_select_filters(&request.labelled, request.filters, strategy, request.index_kind, limit,
                                    &run, order, curve, error);
      },
      Nothing);
}

}  // namespace sieve_node
