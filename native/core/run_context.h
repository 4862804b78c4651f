// What one call carries along: how many threads, the cancel token, and progress that never decreases.
#ifndef SIEVE_CORE_RUN_CONTEXT_H
#define SIEVE_CORE_RUN_CONTEXT_H

#include <atomic>
#include <cstddef>
#include <mutex>

#include "sieve/sieve.h"

struct sieve_cancel_token {
  std::atomic<bool> cancelled{false};
};

namespace sieve {

// CPUs in this process's affinity mask, at least 1.
int available_cpus();

class RunContext {
 public:
  // options may be NULL. Fails on a negative thread count or an unknown backend number.
  explicit RunContext(const sieve_run_options* options);
  RunContext(const RunContext&) = delete;
  RunContext& operator=(const RunContext&) = delete;

  int threads() const { return threads_; }
  sieve_backend requested_backend() const { return backend_; }

  bool cancelled() const { return cancel_ != nullptr && cancel_->cancelled.load(std::memory_order_relaxed); }
  // Throws Failure with SIEVE_STATUS_CANCELLED. Call it at least every few milliseconds of work.
  void throw_if_cancelled() const;

  // What follows fills the part [from, to] of the whole call, in `units` equal steps. Call it from the thread
  // that owns the context, while no parallel loop runs.
  void begin_phase(double from, double to, size_t units);
  // Any thread. Calls the user's callback for steps of at least 1/512, one thread at a time.
  void advance(size_t units = 1);
  // Reports 1.0. Call it once, when the call has succeeded.
  void finish();

 private:
  void report(double fraction);

  int threads_ = 1;
  sieve_backend backend_ = SIEVE_BACKEND_AUTO;
  sieve_cancel_token* cancel_ = nullptr;
  sieve_progress_callback progress_ = nullptr;
  void* progress_user_data_ = nullptr;

  double phase_from_ = 0.0;
  double phase_to_ = 1.0;
  size_t phase_units_ = 1;
  std::atomic<size_t> phase_done_{0};
  std::mutex report_mutex_;
  double reported_ = -1.0;
};

}  // namespace sieve

#endif  // SIEVE_CORE_RUN_CONTEXT_H
