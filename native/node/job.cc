#include "node/job.h"

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <exception>
#include <mutex>
#include <new>
#include <set>
#include <system_error>
#include <utility>

#include "node/status.h"

namespace sieve_node {

namespace {

// process.exit() destroys static objects while computing threads still run; this one, made when the addon is
// loaded, stops them first.
class RunningTokens {
 public:
  void Add(const std::shared_ptr<Token>& token) {
    const std::lock_guard<std::mutex> lock(mutex_);
    tokens_.insert(token);
  }

  void Remove(const std::shared_ptr<Token>& token) {
    const std::lock_guard<std::mutex> lock(mutex_);
    tokens_.erase(tokens_.find(token));
    empty_.notify_all();
  }

  ~RunningTokens() {
#if !defined(_WIN32)  // Windows has ended all other threads before it destroys the objects of a DLL.
    std::unique_lock<std::mutex> lock(mutex_);
    for (const auto& token : tokens_) token->Cancel();
    empty_.wait_for(lock, std::chrono::seconds(5), [this] { return tokens_.empty(); });
#endif
  }

 private:
  std::mutex mutex_;
  std::condition_variable empty_;
  std::multiset<std::shared_ptr<Token>> tokens_;
};

RunningTokens running_tokens;

bool AnyDetached(Napi::Env env, const Napi::Array& arrays) {
  for (uint32_t i = 0; i < arrays.Length(); ++i) {
    napi_value buffer;
    bool detached = false;
    if (napi_get_typedarray_info(env, arrays.Get(i), nullptr, nullptr, nullptr, &buffer, nullptr) !=
            napi_ok ||
        napi_is_detached_arraybuffer(env, buffer, &detached) != napi_ok || detached)
      return true;
  }
  return false;
}

}  // namespace

Token::Token() : handle_(sieve_cancel_token_create()) {
  if (handle_ == nullptr) throw std::bad_alloc();
}

void JobQueue::Enqueue(Job* job) {
  if (running_ < kMaxRunning) {
    ++running_;
    job->Launch();
  } else {
    waiting_.push_back(job);
  }
}

void JobQueue::Finished() {
  --running_;
  while (running_ < kMaxRunning && !waiting_.empty()) {
    Job* job = waiting_.front();
    waiting_.pop_front();
    ++running_;
    job->Launch();
  }
}

void JobQueue::DropCancelled() {
  const auto first = std::stable_partition(waiting_.begin(), waiting_.end(),
                                           [](const Job* job) { return !job->cancelled(); });
  const std::deque<Job*> dropped(first, waiting_.end());
  waiting_.erase(first, waiting_.end());
  for (Job* job : dropped) job->SettleWithoutRunning();
}

void JobQueue::Forget(Job* job) {
  waiting_.erase(std::remove(waiting_.begin(), waiting_.end(), job), waiting_.end());
}

Job::Job(Napi::Env env, JobQueue& queue, const Run& run, const Pins& pins, Compute compute, Result result)
    : env_(env),
      queue_(queue),
      backend_(run.backend),
      threads_(run.threads),
      token_(run.token ? run.token : std::make_shared<Token>()),
      compute_(std::move(compute)),
      result_(std::move(result)),
      deferred_(env),
      arrays_(Napi::Reference<Napi::Array>::New(pins.arrays(), 1)) {
  if (!run.progress.IsEmpty()) progress_ = Napi::Persistent(run.progress);
}

Napi::Value Job::Start(Napi::Env env, JobQueue& queue, const Run& run, const Pins& pins, Compute compute,
                       Result result) {
  // Reading the later arguments may have run JavaScript, which may have transferred the earlier ones.
  if (AnyDetached(env, pins.arrays()))
    ThrowTypeError(env, "ERR_SHAPE",
                   "Expected arrays that stay where they are for the call but received one whose buffer is "
                   "detached");
  std::unique_ptr<Job> job(new Job(env, queue, run, pins, std::move(compute), std::move(result)));
  const Napi::Value promise = job->deferred_.Promise();

  // The function owns the job: the finalizer is the last thing that happens, after every queued call.
  const napi_finalize finalize = [](napi_env, void* data, void*) { delete static_cast<Job*>(data); };
  const napi_threadsafe_function_call_js call = [](napi_env call_env, napi_value, void* context, void*) {
    if (call_env == nullptr) return;  // torn down: the job is gone already
    static_cast<Job*>(context)->OnWake(call_env);
  };
  const napi_status status =
      napi_create_threadsafe_function(env, nullptr, nullptr, Napi::String::New(env, "onnx_sieve"), 0, 1,
                                      job.get(), finalize, job.get(), call, &job->threadsafe_function_);
  if (status != napi_ok)
    throw Napi::Error::New(env, "Expected room for a thread-safe function but received none");

  Job* owned = job.release();
  // Registered after the thread-safe function's own hook, so it runs before that one.
  napi_add_env_cleanup_hook(env, CleanupHook, owned);
  queue.Enqueue(owned);
  return promise;
}

void Job::Launch() {
  running_tokens.Add(token_);
  try {
    thread_ = std::thread([this] { ComputeOnThread(); });
  } catch (const std::system_error&) {
    running_tokens.Remove(token_);
    status_ = FillError(&error_, SIEVE_STATUS_OUT_OF_MEMORY,
                        "Expected a new thread for the computation but received none from the system");
    done_ = true;
    Wake();
  }
}

void Job::ComputeOnThread() {
  sieve_run_options options{};
  options.backend = backend_;
  options.threads = threads_;
  options.cancel = token_->handle();
  if (!progress_.IsEmpty()) {
    options.progress_user_data = this;
    options.progress = [](void* user_data, double fraction) {
      auto* job = static_cast<Job*>(user_data);
      job->fraction_ = fraction;
      job->Wake();
    };
  }
  error_.row = -1;
  try {
    status_ = compute_(options, &error_);
  } catch (const std::bad_alloc&) {
    status_ = FillError(&error_, SIEVE_STATUS_OUT_OF_MEMORY,
                        "Expected more memory but received none from the system");
  } catch (const std::exception& exception) {
    status_ = FillError(&error_, SIEVE_STATUS_INTERNAL, exception.what());
  }
  done_ = true;
  Wake();
  running_tokens.Remove(token_);
}

// Many wake-ups before the JavaScript thread gets to run become one.
void Job::Wake() {
  if (!wake_pending_.exchange(true))
    napi_call_threadsafe_function(threadsafe_function_, nullptr, napi_tsfn_nonblocking);
}

void Job::OnWake(Napi::Env env) {
  wake_pending_ = false;
  const bool done = done_;
  if (settled_) return;
  try {
    const Napi::HandleScope scope(env);
    if (!done) {
      ReportProgress(env, fraction_);
      return;
    }
    if (thread_.joinable()) thread_.join();
    if (status_ == SIEVE_STATUS_OK) ReportProgress(env, 1);
    Settle(env);
  } catch (const Napi::Error&) {
    // Only an environment that is being terminated refuses these calls; nobody is left to be told.
  }
  if (!done) return;
  settled_ = true;
  ReleaseThreadsafeFunction();
  queue_.Finished();
}

void Job::ReportProgress(Napi::Env env, double fraction) {
  if (progress_.IsEmpty() || progress_failure_ || fraction <= reported_fraction_) return;
  reported_fraction_ = fraction;
  try {
    progress_.Call({Napi::Number::New(env, fraction)});
  } catch (const Napi::Error& error) {
    progress_failure_ = error;
    token_->Cancel();
  }
}

void Job::Settle(Napi::Env env) {
  settled_ = true;
  if (progress_failure_) {
    deferred_.Reject(progress_failure_->Value());
  } else if (status_ != SIEVE_STATUS_OK) {
    error_.status = status_;
    deferred_.Reject(MakeStatusError(env, error_).Value());
  } else if (AnyDetached(env, arrays_.Value())) {
    sieve_error error{};
    FillError(
        &error, SIEVE_STATUS_INVALID_ARGUMENT,
        "Expected arrays that stay where they are for the whole call but received one that was transferred "
        "meanwhile");
    deferred_.Reject(MakeStatusError(env, error).Value());
  } else {
    deferred_.Resolve(result_(env));
  }
}

void Job::SettleWithoutRunning() {
  const Napi::HandleScope scope(env_);
  status_ = FillError(&error_, SIEVE_STATUS_CANCELLED, "The operation was cancelled");
  Settle(env_);
  ReleaseThreadsafeFunction();
}

void Job::ReleaseThreadsafeFunction() {
  napi_remove_env_cleanup_hook(env_, CleanupHook, this);
  napi_release_threadsafe_function(threadsafe_function_, napi_tsfn_release);
}

void Job::CleanupHook(void* data) {
  auto* job = static_cast<Job*>(data);
  job->token_->Cancel();
  if (job->thread_.joinable()) job->thread_.join();
  job->settled_ = true;
  job->queue_.Forget(job);
  napi_release_threadsafe_function(job->threadsafe_function_, napi_tsfn_release);
}

}  // namespace sieve_node
