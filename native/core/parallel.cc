#include "core/parallel.h"

#include <algorithm>
#include <atomic>
#include <exception>
#include <mutex>
#include <system_error>
#include <thread>
#include <vector>

namespace sieve {

int worker_count(const RunContext& run, size_t blocks) {
  return static_cast<int>(std::max<size_t>(1, std::min<size_t>(blocks, static_cast<size_t>(run.threads()))));
}

void parallel_for(const RunContext& run, size_t blocks, const std::function<void(size_t, int)>& body) {
  std::atomic<size_t> next{0};
  std::atomic<bool> stop{false};
  std::mutex failure_mutex;
  std::exception_ptr failure;

  const auto work = [&](int worker) noexcept {
    try {
      while (!stop.load(std::memory_order_relaxed)) {
        const size_t block = next.fetch_add(1, std::memory_order_relaxed);
        if (block >= blocks) return;
        run.throw_if_cancelled();
        body(block, worker);
      }
    } catch (...) {
      stop.store(true, std::memory_order_relaxed);
      const std::lock_guard<std::mutex> lock(failure_mutex);
      if (!failure) failure = std::current_exception();
    }
  };

  const int workers = worker_count(run, blocks);
  std::vector<std::thread> threads;
  threads.reserve(static_cast<size_t>(workers - 1));
  for (int worker = 1; worker < workers; ++worker) {
    try {
      threads.emplace_back(work, worker);
    } catch (const std::system_error&) {
      break;  // fewer threads do the same work
    }
  }
  work(0);
  for (std::thread& thread : threads) thread.join();
  if (failure) std::rethrow_exception(failure);
}

void parallel_ranges(const RunContext& run, size_t count, size_t grain,
                     const std::function<void(size_t, size_t, int)>& body) {
  const size_t step = std::max<size_t>(grain, 1);
  parallel_for(run, (count + step - 1) / step, [&](size_t block, int worker) {
    body(block * step, std::min(count, (block + 1) * step), worker);
  });
}

}  // namespace sieve
