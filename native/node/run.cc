#include "node/run.h"

#include <utility>

#include "node/arguments.h"
#include "node/status.h"

namespace sieve_node {

namespace {

// Tells our own objects from those that other addons have wrapped.
constexpr napi_type_tag kTypeTag = {0x6f6e6e7853696576, 0x43616e63656c546b};

}  // namespace

Napi::Function CancelToken::Define(Napi::Env env) {
  return DefineClass(env, "CancelToken", {InstanceMethod<&CancelToken::Cancel>("cancel")});
}

CancelToken::CancelToken(const Napi::CallbackInfo& info) : Napi::ObjectWrap<CancelToken>(info) {
  Value().TypeTag(&kTypeTag);
}

std::shared_ptr<Token> CancelToken::Read(Napi::Value value) {
  if (!value.IsObject() || !value.As<Napi::Object>().CheckTypeTag(&kTypeTag))
    ThrowTypeError(value.Env(), "ERR_OPTION", "Expected a CancelToken for token but received something else");
  return Unwrap(value.As<Napi::Object>())->token_;
}

void CancelToken::Cancel(const Napi::CallbackInfo& info) {
  token_->Cancel();
  info.Env().GetInstanceData<JobQueue>()->DropCancelled();
}

Run ReadRun(Napi::Value value) {
  const Napi::Object object = ReadObject(value, "run");
  Run run{ReadBackend(object.Get("backend")), 0, nullptr, Napi::Function()};
  if (!object.Get("threads").IsUndefined()) run.threads = ReadInt32(object, "threads");
  const Napi::Value token = object.Get("token");
  if (!token.IsUndefined()) run.token = CancelToken::Read(token);
  const Napi::Value progress = object.Get("onProgress");
  if (progress.IsFunction()) {
    run.progress = progress.As<Napi::Function>();
  } else if (!progress.IsUndefined()) {
    ThrowTypeError(value.Env(), "ERR_OPTION",
                   "Expected a function for onProgress but received something else");
  }
  return run;
}

Napi::Value StartJob(Napi::Env env, Napi::Value run, const Pins& pins, Job::Compute compute,
                     Job::Result result) {
  return Job::Start(env, *env.GetInstanceData<JobQueue>(), ReadRun(run), pins, std::move(compute),
                    std::move(result));
}

Napi::Value Nothing(Napi::Env env) { return env.Undefined(); }

}  // namespace sieve_node
