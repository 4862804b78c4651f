#include "core/run_context.h"

#include <algorithm>
#include <new>
#include <string>
#include <thread>

#include "core/failure.h"

#if defined(__linux__)
#include <sched.h>
#endif

namespace sieve {

int available_cpus() {
#if defined(__linux__)
  cpu_set_t set;
  CPU_ZERO(&set);
  if (sched_getaffinity(0, sizeof(set), &set) == 0) return std::max(1, CPU_COUNT(&set));
#endif
  return std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
}

RunContext::RunContext(const sieve_run_options* options) {
  if (options != nullptr) {
    require(options->threads >= 0, "a count of 0 or more", "options->threads",
            std::to_string(options->threads));
    require(options->backend >= SIEVE_BACKEND_AUTO && options->backend < SIEVE_BACKEND_COUNT,
            "a sieve_backend", "options->backend", std::to_string(options->backend));
    threads_ = options->threads;
    backend_ = static_cast<sieve_backend>(options->backend);
    cancel_ = options->cancel;
    progress_ = options->progress;
    progress_user_data_ = options->progress_user_data;
  } else {
    threads_ = 0;
  }
  if (threads_ == 0) threads_ = available_cpus();
  // More threads than this only cost memory; none of the loops has that much independent work.
  threads_ = std::min(threads_, 1024);
  throw_if_cancelled();
}

void RunContext::throw_if_cancelled() const {
  if (cancelled()) {
    throw Failure(SIEVE_STATUS_CANCELLED, "Expected the call to run to its end but received a cancellation");
  }
}

void RunContext::begin_phase(double from, double to, size_t units) {
  phase_from_ = from;
  phase_to_ = to;
  phase_units_ = std::max<size_t>(units, 1);
  phase_done_.store(0, std::memory_order_relaxed);
}

void RunContext::advance(size_t units) {
  const size_t done = phase_done_.fetch_add(units, std::memory_order_relaxed) + units;
  if (progress_ == nullptr) return;
  const double share = std::min(1.0, static_cast<double>(done) / static_cast<double>(phase_units_));
  report(phase_from_ + (phase_to_ - phase_from_) * share);
}

void RunContext::finish() {
  if (progress_ != nullptr) report(1.0);
}

void RunContext::report(double fraction) {
  const std::lock_guard<std::mutex> lock(report_mutex_);
  const bool last = fraction >= 1.0 && reported_ < 1.0;
  if (!last && fraction < reported_ + 1.0 / 512.0) return;
  reported_ = fraction;
  progress_(progress_user_data_, fraction);
}

}  // namespace sieve

extern "C" {

sieve_cancel_token* sieve_cancel_token_create(void) { return new (std::nothrow) sieve_cancel_token; }

void sieve_cancel_token_cancel(sieve_cancel_token* token) {
  if (token != nullptr) token->cancelled.store(true, std::memory_order_relaxed);
}

void sieve_cancel_token_destroy(sieve_cancel_token* token) { delete token; }

}  // extern "C"
