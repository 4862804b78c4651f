// What `onnx_sieve.node` exports. One environment (the main thread or a worker) has one JobQueue.

#include <napi.h>

#include "node/arguments.h"
#include "node/column_stream.h"
#include "node/denormals.h"
#include "node/exit.h"
#include "node/job.h"
#include "node/least_squares.h"
#include "node/run.h"
#include "node/separation.h"
#include "node/shards.h"
#include "node/status.h"
#include "sieve/sieve.h"

namespace sieve_node {

namespace {

Napi::Value Backends(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const Napi::Array list = Napi::Array::New(env);
  for (int32_t number = SIEVE_BACKEND_SERIAL; number < SIEVE_BACKEND_COUNT; ++number) {
    const auto backend = static_cast<sieve_backend>(number);
    const Napi::Object entry = Napi::Object::New(env);
    entry.Set("name", Napi::String::New(env, sieve_backend_name(backend)));
    entry.Set("available", Napi::Boolean::New(env, sieve_backend_available(backend) != 0));
    list.Set(list.Length(), entry);
  }
  return list;
}

Napi::Value ResolveBackend(const Napi::CallbackInfo& info) {
  sieve_backend resolved = SIEVE_BACKEND_AUTO;
  sieve_error error{};
  const sieve_status status = sieve_backend_resolve(ReadBackend(info[0]), &resolved, &error);
  if (status != SIEVE_STATUS_OK) {
    error.status = status;
    throw MakeStatusError(info.Env(), error);
  }
  return Napi::String::New(info.Env(), sieve_backend_name(resolved));
}

Napi::Object Initialize(Napi::Env env, Napi::Object exports) {
  env.SetInstanceData(new JobQueue());
  exports.Set("version", Napi::String::New(env, sieve_version_string()));
  exports.Set("CancelToken", CancelToken::Define(env));
  exports.Set("ColumnStream", ColumnStream::Define(env));
  const auto set = [&](const char* name, Napi::Value (*function)(const Napi::CallbackInfo&)) {
    exports.Set(name, Napi::Function::New(env, function, name));
  };
  set("backends", Backends);
  set("resolveBackend", ResolveBackend);
  set("flushDenormals", FlushDenormals);
  set("exitNow", ExitNow);
  set("separationIndex", SeparationIndex);
  set("crossSeparationIndex", CrossSeparationIndex);
  set("centerSeparationIndex", CenterSeparationIndex);
  set("smoothnessIndex", SmoothnessIndex);
  set("filterSeparation", FilterSeparation);
  set("subsetSeparation", SubsetSeparation);
  set("selectFilters", SelectFilters);
  set("nearestNeighbours", NearestNeighbours);
  set("mergeNeighbours", MergeNeighbours);
  set("scoreNeighbours", ScoreNeighbours);
  set("accumulateMoments", AccumulateMoments);
  set("ridgeSolve", RidgeSolve);
  set("momentsResidual", MomentsResidual);
  set("eliminateUnits", EliminateUnits);
  return exports;
}

}  // namespace

NODE_API_MODULE(onnx_sieve, Initialize)

}  // namespace sieve_node
