// A parallel loop on std::thread: blocks are handed out one at a time from an atomic counter, so uneven
// blocks balance themselves. All threads are joined when it returns or throws.
#ifndef SIEVE_CORE_PARALLEL_H
#define SIEVE_CORE_PARALLEL_H

#include <cstddef>
#include <functional>

#include "core/run_context.h"

namespace sieve {

// Workers that parallel_for will use for that many blocks; size per-worker buffers with it. At least 1.
int worker_count(const RunContext& run, size_t blocks);

// Calls body(block, worker) once for each block in [0, blocks), worker in [0, worker_count(run, blocks)); the
// calling thread is worker 0. Checks for cancellation before each block. The first exception stops the loop
// and is thrown here after all threads have ended.
void parallel_for(const RunContext& run, size_t blocks, const std::function<void(size_t, int)>& body);

// parallel_for over [0, count) in ranges of at most `grain` items: body(begin, end, worker).
void parallel_ranges(const RunContext& run, size_t count, size_t grain,
                     const std::function<void(size_t, size_t, int)>& body);

}  // namespace sieve

#endif  // SIEVE_CORE_PARALLEL_H
