// Calls that are cancelled in the middle leave nothing behind: no thread, no allocation, and no growth of the
// process over many of them. Every function that computes for long.
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <new>
#include <thread>

#include "separation_support.h"

#if defined(__linux__)
#include <dirent.h>
#include <unistd.h>
#endif

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SIEVE_TEST_SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SIEVE_TEST_SANITIZED 1
#endif
#endif

namespace {

std::atomic<int64_t> live_allocations{0};

void* allocate(size_t size, size_t alignment) {
  void* memory = alignment <= alignof(std::max_align_t)
                     ? std::malloc(size > 0 ? size : 1)
                     : std::aligned_alloc(alignment, (size + alignment - 1) / alignment * alignment);
  if (memory == nullptr) throw std::bad_alloc();
  ++live_allocations;
  return memory;
}

void release(void* memory) {
  if (memory == nullptr) return;
  --live_allocations;
  std::free(memory);
}

}  // namespace

void* operator new(size_t size) { return allocate(size, 1); }
void* operator new(size_t size, std::align_val_t alignment) {
  return allocate(size, static_cast<size_t>(alignment));
}
// A sanitizer has its own for each of them that is not replaced.
void* operator new(size_t size, const std::nothrow_t&) noexcept {
  try {
    return allocate(size, 1);
  } catch (const std::bad_alloc&) {
    return nullptr;
  }
}
void operator delete(void* memory, const std::nothrow_t&) noexcept { release(memory); }
void operator delete(void* memory) noexcept { release(memory); }
void operator delete(void* memory, size_t) noexcept { release(memory); }
void operator delete(void* memory, std::align_val_t) noexcept { release(memory); }
void operator delete(void* memory, size_t, std::align_val_t) noexcept { release(memory); }

namespace {

using test::Data;

const int kRepeats = test::is_trimmed() ? 15 : 50;

#if defined(__linux__)
int thread_count() {
  int count = 0;
  DIR* directory = opendir("/proc/self/task");
  if (directory == nullptr) return -1;
  while (const dirent* entry = readdir(directory)) count += entry->d_name[0] != '.';
  closedir(directory);
  return count;
}

// A thread that was joined may be listed for another moment.
bool comes_down_to(int threads) {
  for (int i = 0; i < 2000; ++i) {
    if (thread_count() <= threads) return true;
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  return false;
}

double resident_mebibytes() {
  long pages = 0, resident = 0;
  std::FILE* file = std::fopen("/proc/self/statm", "r");
  if (file == nullptr || std::fscanf(file, "%ld %ld", &pages, &resident) != 2) resident = 0;
  if (file != nullptr) std::fclose(file);
  return static_cast<double>(resident) * static_cast<double>(sysconf(_SC_PAGESIZE)) / 1048576.0;
}
#else
int thread_count() { return 0; }
bool comes_down_to(int) { return true; }
double resident_mebibytes() { return 0; }
#endif

struct Verb {
  const char* name;
  std::function<sieve_status(const sieve_run_options*)> call;
};

struct Cancellation {
  sieve_cancel_token* token;
  double at;
  bool reached = false;
};

void on_progress(void* user_data, double fraction) {
  auto* cancellation = static_cast<Cancellation*>(user_data);
  if (fraction < cancellation->at) return;
  cancellation->reached = true;
  sieve_cancel_token_cancel(cancellation->token);
}

// Cancels at a share of the work, from a thread of the library; or after a time, from another one.
sieve_status run_cancelled(const Verb& verb, sieve_backend backend, int repeat) {
  sieve_run_options options{};
  options.backend = backend;
  options.threads = 1 + repeat % 4;
  options.cancel = sieve_cancel_token_create();
  Cancellation cancellation{options.cancel, 0.5 * repeat / kRepeats};
  options.progress_user_data = &cancellation;
  sieve_status status;
  if (repeat % 5 == 4) {
    std::thread canceller([&] {
      std::this_thread::sleep_for(std::chrono::microseconds(100 * repeat));
      sieve_cancel_token_cancel(options.cancel);
    });
    status = verb.call(&options);
    canceller.join();
  } else {
    options.progress = on_progress;
    status = verb.call(&options);
    CHECK(cancellation.reached, "%s never got to %g", verb.name, cancellation.at);
  }
  sieve_cancel_token_destroy(options.cancel);
  return status;
}

void test_verb(const Verb& verb, sieve_backend backend) {
  for (int repeat = 0; repeat < 5; ++repeat) run_cancelled(verb, backend, repeat);
  const int threads = thread_count();
  const int64_t allocations = live_allocations;
  const double resident = resident_mebibytes();
  int cancelled = 0;
  for (int repeat = 0; repeat < kRepeats; ++repeat) {
    const sieve_status status = run_cancelled(verb, backend, repeat);
    CHECK(status == SIEVE_STATUS_CANCELLED || status == SIEVE_STATUS_OK, "%s: %s", verb.name,
          sieve_status_name(status));
    cancelled += status == SIEVE_STATUS_CANCELLED;
    CHECK(live_allocations == allocations, "%s %s: %lld allocations left, run %d", verb.name,
          sieve_backend_name(backend), static_cast<long long>(live_allocations - allocations), repeat);
    CHECK(comes_down_to(threads), "%s: %d threads, %d before", verb.name, thread_count(), threads);
  }
  // A call whose last part runs already may end well; half of the cancellations come in the first quarter.
  CHECK(cancelled >= kRepeats / 2, "%s %s: only %d of %d were cancelled", verb.name,
        sieve_backend_name(backend), cancelled, kRepeats);
#if !defined(SIEVE_TEST_SANITIZED)
  // An emulator's own memory counts as well: there the count of allocations has to do.
  const double growth = test::is_trimmed() ? 0 : resident_mebibytes() - resident;
  CHECK(growth < 16, "%s %s: %.1f MiB more after %d cancellations", verb.name, sieve_backend_name(backend),
        growth, kRepeats);
#else
  static_cast<void>(resident);
#endif
}

// All of a stream's calls, up to the first that does not succeed.
sieve_status run_stream(const Data& data, int32_t index_kind, const sieve_run_options* options) {
  sieve_column_stream_request request{};
  request.rows = data.rows;
  request.labels = data.labels.data();
  request.class_count = data.classes;
  request.index_kind = index_kind;
  request.order = 2;
  sieve_column_stream* stream = nullptr;
  sieve_status status = sieve_column_stream_create(&request, options, &stream, nullptr);
  int32_t needs_another = 1;
  while (status == SIEVE_STATUS_OK && needs_another != 0) {
    for (int block = 0; block < 2 && status == SIEVE_STATUS_OK; ++block) {
      status = sieve_column_stream_add(stream, data.matrix(), options, nullptr);
    }
    if (status == SIEVE_STATUS_OK) {
      status = sieve_column_stream_end_pass(stream, options, &needs_another, nullptr);
    }
  }
  sieve_column_stream_destroy(stream);
  return status;
}

}  // namespace

int main() {
#if !defined(__linux__)
  std::printf("not tested: threads and resident memory (no /proc)\n");
#elif defined(SIEVE_TEST_SANITIZED)
  std::printf("not tested: resident memory (sanitizers keep what is freed)\n");
#endif
  const size_t rows = test::size_unless_trimmed(600, 200), columns = 96, filters = 8;
  const Data data = test::make_data("normal", rows, columns, 1);
  const Data other = test::make_data("normal", rows, columns, 2);
  const sieve_separation_request request = data.request(2);
  std::vector<int64_t> nearest(rows * 2);
  std::vector<double> values(rows * 2);
  std::vector<int32_t> order(filters), members{0, 1, 2, 3, 4, 5};
  std::vector<int64_t> offsets{0, 2, 3, 6};
  sieve_separation_result result{};
  result.nearest = nearest.data();
  sieve_center_result center{};
  using Options = const sieve_run_options*;
  std::vector<Verb> verbs{
      {"separation", [&](Options o) { return sieve_separation_index(&request, o, &result, nullptr); }},
      {"cross",
       [&](Options o) {
         return sieve_cross_separation_index(&request, other.matrix(), other.labels.data(), o, &result,
                                             nullptr);
       }},
      {"centre", [&](Options o) { return sieve_center_separation_index(&request, o, &center, nullptr); }},
      {"centre shard",
       [&](Options o) {
         return sieve_center_separation_shard(&request, 10, rows - 20, o, &center, nullptr);
       }},
      {"smoothness",
       [&](Options o) {
         return sieve_smoothness_index(data.matrix(), other.matrix(), o, values.data(), nullptr);
       }},
      {"neighbours", [&](Options o) {
         return sieve_nearest_neighbours(data.matrix(), 0, other.matrix(), 100, 2, 0, o, nearest.data(),
                                         values.data(), nullptr);
       }}};
  for (const int32_t kind : {SIEVE_INDEX_SEPARATION, SIEVE_INDEX_CENTER}) {
    verbs.push_back({"stream", [&, kind](Options o) { return run_stream(data, kind, o); }});
    verbs.push_back({"filters", [&, kind](Options o) {
                       return sieve_filter_separation(&request, filters, kind, o, values.data(), nullptr);
                     }});
    verbs.push_back({"subsets", [&, kind](Options o) {
                       return sieve_subset_separation(&request, filters, members.data(), offsets.data(), 3,
                                                      kind, o, values.data(), nullptr);
                     }});
    for (const int32_t strategy : {SIEVE_SELECTION_GREEDY, SIEVE_SELECTION_RANK}) {
      verbs.push_back({"selection", [&, kind, strategy](Options o) {
                         return sieve_select_filters(&request, filters, strategy, kind, 0, o, order.data(),
                                                     values.data(), nullptr);
                       }});
    }
  }
  for (const Verb& verb : verbs) {
    for (const sieve_backend backend : {SIEVE_BACKEND_SERIAL, test::backends().back()}) {
      test_verb(verb, backend);
    }
  }
  return test::result("cancel_test");
}
