// The class ColumnStream: sieve_column_stream as a JavaScript object.
#pragma once

#include <napi.h>

#include <atomic>
#include <memory>

#include "node/job.h"
#include "node/matrices.h"
#include "node/run.h"
#include "sieve/sieve.h"

namespace sieve_node {

// A stream and the call that works on it. Shared by the JavaScript object and its calls, so that a stream
// that was released or collected lives until its last call has ended.
struct StreamState {
  StreamState() = default;
  ~StreamState() { sieve_column_stream_destroy(handle); }
  StreamState(const StreamState&) = delete;
  StreamState& operator=(const StreamState&) = delete;

  sieve_column_stream_request request{};
  Labels labels;
  sieve_column_stream* handle = nullptr;  // NULL until opened
  std::atomic<bool> busy{false};
};

class ColumnStream : public Napi::ObjectWrap<ColumnStream> {
 public:
  static Napi::Function Define(Napi::Env env);
  explicit ColumnStream(const Napi::CallbackInfo& info);

 private:
  Napi::Value Open(const Napi::CallbackInfo& info);
  Napi::Value Add(const Napi::CallbackInfo& info);
  Napi::Value EndPass(const Napi::CallbackInfo& info);
  Napi::Value Finish(const Napi::CallbackInfo& info);
  Napi::Value FinishCenters(const Napi::CallbackInfo& info);
  void Release(const Napi::CallbackInfo& info);

  // One call at a time: others are refused until this one has computed.
  Napi::Value StartCall(Napi::Env env, Napi::Value run, const Pins& pins, bool opens,
                        const std::function<sieve_status(StreamState& state, const sieve_run_options& options,
                                                         sieve_error* error)>& compute,
                        Job::Result result);
  const StreamState& State(Napi::Env env) const;  // throws where it was released

  std::shared_ptr<StreamState> state_;
};

}  // namespace sieve_node
