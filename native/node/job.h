// One asynchronous call: computes on a thread of its own, settles a promise on the JavaScript thread.
//
// Not an AsyncWorker: its work runs in libuv's pool, which it would withhold from file and network access for
// minutes, and Node waits for the pool without a way to tell the work, so that worker.terminate() and
// process.exit() would hang until the end of the computation. A Job is cancelled and joined there instead.
#pragma once

#include <napi.h>

#include <atomic>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <thread>

#include "node/arguments.h"
#include "sieve/sieve.h"

namespace sieve_node {

// Owns a sieve_cancel_token; shared by the JavaScript object and the jobs it was given to.
class Token {
 public:
  Token();  // throws std::bad_alloc
  ~Token() { sieve_cancel_token_destroy(handle_); }
  Token(const Token&) = delete;
  Token& operator=(const Token&) = delete;

  void Cancel() {
    cancelled_ = true;
    sieve_cancel_token_cancel(handle_);
  }
  bool cancelled() const { return cancelled_; }
  sieve_cancel_token* handle() const { return handle_; }

 private:
  sieve_cancel_token* handle_;
  std::atomic<bool> cancelled_{false};
};

// How a call runs, as JavaScript asked.
struct Run {
  sieve_backend backend;
  int32_t threads;
  std::shared_ptr<Token> token;
  Napi::Function progress;  // empty where none was given
};

class Job;

// The jobs of one JavaScript environment. At most kMaxRunning compute at once, the rest wait in line, so that
// a thousand calls do not become a thousand threads. Only for the JavaScript thread.
class JobQueue {
 public:
  static constexpr size_t kMaxRunning = 4;

  void Enqueue(Job* job);
  void Finished();
  // Settles waiting jobs whose token has been cancelled at once, not when their turn comes.
  void DropCancelled();
  void Forget(Job* job);

 private:
  std::deque<Job*> waiting_;
  size_t running_ = 0;
};

class Job {
 public:
  using Compute = std::function<sieve_status(const sieve_run_options& options, sieve_error* error)>;
  using Result = std::function<Napi::Value(Napi::Env env)>;

  // `compute` runs on another thread and must not touch JavaScript; `result` then builds what the promise
  // resolves to.
  static Napi::Value Start(Napi::Env env, JobQueue& queue, const Run& run, const Pins& pins, Compute compute,
                           Result result);

  bool cancelled() const { return token_->cancelled(); }
  void Launch();
  // Ends a job that never ran.
  void SettleWithoutRunning();

 private:
  Job(Napi::Env env, JobQueue& queue, const Run& run, const Pins& pins, Compute compute, Result result);

  void ComputeOnThread();
  void Wake();
  void OnWake(Napi::Env env);
  void ReportProgress(Napi::Env env, double fraction);
  void Settle(Napi::Env env);
  void ReleaseThreadsafeFunction();
  // The environment (a worker, or the whole process) ends before the call did.
  static void CleanupHook(void* data);

  Napi::Env env_;
  JobQueue& queue_;
  const sieve_backend backend_;
  const int32_t threads_;
  const std::shared_ptr<Token> token_;
  const Compute compute_;
  const Result result_;

  // JavaScript side.
  Napi::Promise::Deferred deferred_;
  Napi::Reference<Napi::Array> arrays_;
  Napi::FunctionReference progress_;
  std::optional<Napi::Error> progress_failure_;
  double reported_fraction_ = -1;
  bool settled_ = false;
  napi_threadsafe_function threadsafe_function_ = nullptr;

  // Shared with the computing thread.
  std::thread thread_;
  sieve_error error_{};
  sieve_status status_ = SIEVE_STATUS_OK;
  std::atomic<double> fraction_{-1};
  std::atomic<bool> done_{false};
  std::atomic<bool> wake_pending_{false};
};

}  // namespace sieve_node
