// The `run` argument of every call, {backend?, threads?, token?, onProgress?}, and the class CancelToken that
// it may carry.
#pragma once

#include <napi.h>

#include <memory>

#include "node/job.h"

namespace sieve_node {

class CancelToken : public Napi::ObjectWrap<CancelToken> {
 public:
  static Napi::Function Define(Napi::Env env);
  explicit CancelToken(const Napi::CallbackInfo& info);

  // The token of a JavaScript value; a TypeError where it is no CancelToken.
  static std::shared_ptr<Token> Read(Napi::Value value);

 private:
  void Cancel(const Napi::CallbackInfo& info);

  std::shared_ptr<Token> token_ = std::make_shared<Token>();
};

// {backend?, threads?, token?, onProgress?}
Run ReadRun(Napi::Value value);

// Starts a call as its `run` argument says; gives the promise.
Napi::Value StartJob(Napi::Env env, Napi::Value run, const Pins& pins, Job::Compute compute,
                     Job::Result result);

// The result of a call that only fills arrays.
Napi::Value Nothing(Napi::Env env);

}  // namespace sieve_node
