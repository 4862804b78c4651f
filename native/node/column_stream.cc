#include "node/column_stream.h"

#include <cstdint>
#include <utility>
#include <vector>

#include "node/arguments.h"
#include "node/status.h"

namespace sieve_node {

namespace {

constexpr MatrixNames kBlock{"values", "elementType", "rowStride"};

// Ends a call's turn once: when it has computed, or when a call that never ran is thrown away.
class Turn {
 public:
  explicit Turn(std::shared_ptr<StreamState> state) : state_(std::move(state)) {}
  ~Turn() { End(); }
  Turn(const Turn&) = delete;
  Turn& operator=(const Turn&) = delete;

  StreamState& state() { return *state_; }
  void End() {
    if (!ended_.exchange(true)) state_->busy = false;
  }

 private:
  std::shared_ptr<StreamState> state_;
  std::atomic<bool> ended_{false};
};

}  // namespace

Napi::Function ColumnStream::Define(Napi::Env env) {
  return DefineClass(
      env, "ColumnStream",
      {InstanceMethod<&ColumnStream::Open>("open"), InstanceMethod<&ColumnStream::Add>("add"),
       InstanceMethod<&ColumnStream::EndPass>("endPass"), InstanceMethod<&ColumnStream::Finish>("finish"),
       InstanceMethod<&ColumnStream::FinishCenters>("finishCenters"),
       InstanceMethod<&ColumnStream::Release>("release")});
}

ColumnStream::ColumnStream(const Napi::CallbackInfo& info)
    : Napi::ObjectWrap<ColumnStream>(info), state_(std::make_shared<StreamState>()) {
  const Napi::Object options = ReadObject(info[1], "request");
  sieve_column_stream_request& request = state_->request;
  request.rows = ReadCount(options, "rows", 1);
  state_->labels = ReadLabels(info[0], "labels", request.rows);
  request.labels = state_->labels->data();
  request.class_count = ReadInt32(options, "classes", 1);
  request.index_kind =
      ReadChoice(options, "index", {{"separation", SIEVE_INDEX_SEPARATION}, {"center", SIEVE_INDEX_CENTER}});
  request.order = ReadInt32(options, "order", 1);
  request.kind = ReadKind(options);
  request.skip_non_finite = ReadFlag(options, "skipNonFinite");
  request.wants_neighbours = ReadFlag(options, "neighbours");
}

const StreamState& ColumnStream::State(Napi::Env env) const {
  if (!state_) {
    ThrowTypeError(env, "ERR_OPTION", "Expected a ColumnStream in use but received one that was released");
  }
  return *state_;
}

Napi::Value ColumnStream::StartCall(
    Napi::Env env, Napi::Value run, const Pins& pins, bool opens,
    const std::function<sieve_status(StreamState&, const sieve_run_options&, sieve_error*)>& compute,
    Job::Result result) {
  State(env);
  if (state_->busy.exchange(true)) {
    ThrowTypeError(env, "ERR_OPTION",
                   "Expected one call at a time on a ColumnStream but received one while another runs");
  }
  const auto turn = std::make_shared<Turn>(state_);
  if (opens != (state_->handle == nullptr)) {
    ThrowTypeError(env, "ERR_OPTION",
                   opens ? "Expected a ColumnStream that is not open yet but received one that is"
                         : "Expected a ColumnStream that was opened but received one that was not");
  }
  return StartJob(
      env, run, pins,
      [turn, compute](const sieve_run_options& options, sieve_error* error) {
        struct EndOfTurn {
          Turn& turn;
          ~EndOfTurn() { turn.End(); }
        };
        const EndOfTurn end{*turn};
        return compute(turn->state(), options, error);
      },
      std::move(result));
}

Napi::Value ColumnStream::Open(const Napi::CallbackInfo& info) {
  return StartCall(
      info.Env(), info[0], Pins(info.Env()), true,
      [](StreamState& state, const sieve_run_options& options, sieve_error* error) {
        return sieve_column_stream_create(&state.request, &options, &state.handle, error);
      },
      Nothing);
}

Napi::Value ColumnStream::Add(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  Pins pins(env);
  const Napi::Object options = ReadObject(info[1], "request");
  const sieve_matrix block =
      ReadMatrix(pins, info[0], kBlock, options, State(env).request.rows, ReadCount(options, "columns", 1));
  return StartCall(
      env, info[2], pins, false,
      [block](StreamState& state, const sieve_run_options& run, sieve_error* error) {
        return sieve_column_stream_add(state.handle, block, &run, error);
      },
      Nothing);
}

Napi::Value ColumnStream::EndPass(const Napi::CallbackInfo& info) {
  const auto needs_another = std::make_shared<int32_t>(0);
  return StartCall(
      info.Env(), info[0], Pins(info.Env()), false,
      [needs_another](StreamState& state, const sieve_run_options& run, sieve_error* error) {
        return sieve_column_stream_end_pass(state.handle, &run, needs_another.get(), error);
      },
      [needs_another](Napi::Env env) -> Napi::Value { return Napi::Boolean::New(env, *needs_another != 0); });
}

Napi::Value ColumnStream::Finish(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  Pins pins(env);
  const Napi::Object outputs = ReadObject(info[0], "outputs");
  const sieve_column_stream_request& request = State(env).request;
  const size_t count = ElementCount(env, {request.rows, static_cast<size_t>(request.order)}, "nearest");
  const auto result = std::make_shared<sieve_separation_result>();
  result->per_class = ReadOptionalArray<double>(pins, outputs.Get("perClass"), "perClass",
                                                static_cast<size_t>(request.class_count));
  int32_t* nearest = ReadOptionalArray<int32_t>(pins, outputs.Get("nearest"), "nearest", count);
  result->nearest_distance =
      ReadOptionalArray<double>(pins, outputs.Get("nearestDistanceSquared"), "nearestDistanceSquared", count);
  if (nearest == nullptr && result->nearest_distance != nullptr) {
    ThrowTypeError(env, "ERR_OPTION", "Expected nearest for nearestDistanceSquared but received nothing");
  }
  return StartCall(
      env, info[1], pins, false,
      [result, nearest, count](StreamState& state, const sieve_run_options&, sieve_error* error) {
        std::vector<int64_t> rows(nearest != nullptr ? count : 0);
        result->nearest = nearest != nullptr ? rows.data() : nullptr;
        const sieve_status status = sieve_column_stream_finish(state.handle, result.get(), error);
        result->nearest = nullptr;
        if (status != SIEVE_STATUS_OK) return status;
        for (size_t i = 0; i < rows.size(); ++i) nearest[i] = static_cast<int32_t>(rows[i]);
        return status;
      },
      [result](Napi::Env result_env) -> Napi::Value {
        const Napi::Object object = Napi::Object::New(result_env);
        object.Set("value", Napi::Number::New(result_env, result->value));
        object.Set("rowsUsed", Napi::Number::New(result_env, static_cast<double>(result->rows_used)));
        object.Set(
            "backend",
            Napi::String::New(result_env, sieve_backend_name(static_cast<sieve_backend>(result->backend))));
        return object;
      });
}

Napi::Value ColumnStream::FinishCenters(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  Pins pins(env);
  const Napi::Object outputs = ReadObject(info[0], "outputs");
  const sieve_column_stream_request& request = State(env).request;
  const auto result = std::make_shared<sieve_center_result>();
  result->per_class = ReadOptionalArray<double>(pins, outputs.Get("perClass"), "perClass",
                                                static_cast<size_t>(request.class_count));
  result->nearest = ReadOptionalArray<int32_t>(pins, outputs.Get("nearest"), "nearest", request.rows);
  return StartCall(
      env, info[1], pins, false,
      [result](StreamState& state, const sieve_run_options&, sieve_error* error) {
        return sieve_column_stream_finish_centers(state.handle, result.get(), error);
      },
      [result](Napi::Env result_env) -> Napi::Value {
        const Napi::Object object = Napi::Object::New(result_env);
        object.Set("value", Napi::Number::New(result_env, result->value));
        object.Set("rowsUsed", Napi::Number::New(result_env, static_cast<double>(result->rows_used)));
        return object;
      });
}

void ColumnStream::Release(const Napi::CallbackInfo&) { state_.reset(); }

}  // namespace sieve_node
