// How calls run: arguments that are refused, cancellation, progress, threads, the choice of the backend.
#include <atomic>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <thread>

#include "separation_support.h"

namespace {

void test_refused_arguments() {
  test::Data data = test::make_data("normal", 10, 4, 1);
  sieve_separation_result result{};
  sieve_error error{};
  const auto status_of = [&](sieve_separation_request request) {
    error = sieve_error{};
    return sieve_separation_index(&request, nullptr, &result, &error);
  };
  sieve_separation_request good = data.request();
  CHECK(status_of(good) == SIEVE_STATUS_OK, "%s", error.message);

  sieve_separation_request request = good;
  request.features.rows = 1;
  CHECK(status_of(request) == SIEVE_STATUS_INVALID_ARGUMENT, "one row");
  CHECK(std::strstr(error.message, "Expected at least 2 usable rows for features but received 1") != nullptr,
        "%s", error.message);
  request.features.rows = 0;
  CHECK(status_of(request) == SIEVE_STATUS_INVALID_ARGUMENT, "no row");
  request = good;
  request.features.columns = 0;
  CHECK(status_of(request) == SIEVE_STATUS_INVALID_ARGUMENT, "no column");
  request = good;
  request.features.row_stride = 3;
  CHECK(status_of(request) == SIEVE_STATUS_INVALID_ARGUMENT, "stride below the columns");
  request = good;
  request.features.data = nullptr;
  CHECK(status_of(request) == SIEVE_STATUS_INVALID_ARGUMENT, "no data");
  request = good;
  request.labels = nullptr;
  CHECK(status_of(request) == SIEVE_STATUS_INVALID_ARGUMENT, "no labels");
  request = good;
  request.class_count = 0;
  CHECK(status_of(request) == SIEVE_STATUS_INVALID_ARGUMENT, "no class");
  request = good;
  request.kind = 3;
  CHECK(status_of(request) == SIEVE_STATUS_INVALID_ARGUMENT, "kind 3");
  for (const int32_t order : {-1, 10, 1000}) {
    request = good;
    request.order = order;
    CHECK(status_of(request) == SIEVE_STATUS_INVALID_ARGUMENT, "order %d", order);
  }
  data.labels[7] = 4;
  CHECK(status_of(good) == SIEVE_STATUS_INVALID_LABEL && error.row == 7, "label 4 of 4 classes");
  data.labels[7] = -1;
  CHECK(status_of(good) == SIEVE_STATUS_INVALID_LABEL && error.row == 7, "label -1");
  data.labels[7] = 0;
  data.at(3, 1) = std::numeric_limits<float>::infinity();
  CHECK(status_of(good) == SIEVE_STATUS_NON_FINITE && error.row == 3, "infinity in row 3");
  CHECK(sieve_separation_index(&good, nullptr, &result, nullptr) == SIEVE_STATUS_NON_FINITE,
        "without an error");
  data.at(3, 1) = 0;

  double distance[10];
  result.nearest_distance = distance;
  CHECK(status_of(good) == SIEVE_STATUS_INVALID_ARGUMENT, "distances without neighbours");
  CHECK(sieve_separation_index(&good, nullptr, nullptr, &error) == SIEVE_STATUS_INVALID_ARGUMENT,
        "no result");
  CHECK(sieve_separation_index(nullptr, nullptr, &result, &error) == SIEVE_STATUS_INVALID_ARGUMENT,
        "no request");
  result.nearest_distance = nullptr;
  sieve_run_options options{};
  options.threads = -1;
  CHECK(sieve_separation_index(&good, &options, &result, &error) == SIEVE_STATUS_INVALID_ARGUMENT,
        "-1 threads");
  options.threads = 0;
  options.backend = 17;
  CHECK(sieve_separation_index(&good, &options, &result, &error) == SIEVE_STATUS_INVALID_ARGUMENT,
        "backend 17");
}

struct Watch {
  sieve_cancel_token* token = nullptr;
  double cancel_at = 2;
  double last = -1;
  int calls = 0;
  int decreased = 0;
  std::atomic<int> inside{0};
  int overlapped = 0;
};

void on_progress(void* user_data, double fraction) {
  Watch* watch = static_cast<Watch*>(user_data);
  if (watch->inside.fetch_add(1) != 0) ++watch->overlapped;
  if (fraction < watch->last || fraction < 0 || fraction > 1) ++watch->decreased;
  watch->last = fraction;
  ++watch->calls;
  if (fraction >= watch->cancel_at) sieve_cancel_token_cancel(watch->token);
  watch->inside.fetch_sub(1);
}

// Calls each function with these options; returns the statuses.
std::vector<sieve_status> run_all(const test::Data& data, const sieve_run_options& options, Watch& watch,
                                  double cancel_at) {
  const size_t filters = 4;
  sieve_separation_request request = data.request();
  sieve_separation_result result{};
  sieve_center_result center{};
  double values[4];
  int32_t order[4];
  double smoothness = 0;
  std::vector<sieve_status> statuses;
  const auto add = [&](auto&& call) {
    watch.token = sieve_cancel_token_create();
    watch.last = -1;
    watch.calls = 0;
    watch.cancel_at = cancel_at;
    sieve_run_options own = options;
    own.cancel = watch.token;
    statuses.push_back(call(&own));
    CHECK(watch.calls > 0, "no progress from call %zu", statuses.size());
    if (cancel_at > 1) CHECK(watch.last == 1.0, "call %zu ended at %g", statuses.size(), watch.last);
    sieve_cancel_token_destroy(watch.token);
  };
  add([&](const sieve_run_options* o) { return sieve_separation_index(&request, o, &result, nullptr); });
  add([&](const sieve_run_options* o) {
    return sieve_cross_separation_index(&request, data.matrix(), data.labels.data(), o, &result, nullptr);
  });
  add([&](const sieve_run_options* o) {
    return sieve_center_separation_index(&request, o, &center, nullptr);
  });
  add([&](const sieve_run_options* o) {
    return sieve_smoothness_index(data.matrix(), data.matrix(), o, &smoothness, nullptr);
  });
  for (const int32_t kind : {SIEVE_INDEX_SEPARATION, SIEVE_INDEX_CENTER}) {
    add([&](const sieve_run_options* o) {
      return sieve_filter_separation(&request, filters, kind, o, values, nullptr);
    });
    for (const int32_t strategy : {SIEVE_SELECTION_GREEDY, SIEVE_SELECTION_RANK}) {
      add([&](const sieve_run_options* o) {
        return sieve_select_filters(&request, filters, strategy, kind, 0, o, order, values, nullptr);
      });
    }
  }
  return statuses;
}

void test_progress_and_cancel() {
  const test::Data data = test::make_data("normal", 700, 64, 2);
  for (const sieve_backend backend : test::backends()) {
    for (const int32_t threads : {1, 4}) {
      Watch watch;
      sieve_run_options options{};
      options.backend = backend;
      options.threads = threads;
      options.progress = on_progress;
      options.progress_user_data = &watch;
      for (const sieve_status status : run_all(data, options, watch, 2.0)) {
        CHECK(status == SIEVE_STATUS_OK, "%d", status);
      }
      for (const sieve_status status : run_all(data, options, watch, 0.0)) {
        CHECK(status == SIEVE_STATUS_CANCELLED, "%s: %d", sieve_backend_name(backend), status);
      }
      CHECK(watch.decreased == 0, "progress went back %d times", watch.decreased);
      CHECK(watch.overlapped == 0, "progress from two threads at once");
    }
  }
  // Before the call, and from another thread in the middle of it.
  sieve_separation_request request = data.request();
  sieve_separation_result result{};
  sieve_error error{};
  sieve_run_options options{};
  options.cancel = sieve_cancel_token_create();
  sieve_cancel_token_cancel(options.cancel);
  CHECK(sieve_separation_index(&request, &options, &result, &error) == SIEVE_STATUS_CANCELLED,
        "not cancelled");
  CHECK(error.status == SIEVE_STATUS_CANCELLED && error.row == -1, "%d", error.status);
  sieve_cancel_token_destroy(options.cancel);
  sieve_cancel_token_cancel(nullptr);
  sieve_cancel_token_destroy(nullptr);

  options.cancel = sieve_cancel_token_create();
  options.backend = SIEVE_BACKEND_SERIAL;
  const test::Data large = test::make_data("normal", 2500, 600, 2);
  request = large.request();
  std::thread canceller([&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    sieve_cancel_token_cancel(options.cancel);
  });
  CHECK(sieve_separation_index(&request, &options, &result, &error) == SIEVE_STATUS_CANCELLED,
        "ran to its end");
  canceller.join();
  sieve_cancel_token_destroy(options.cancel);
}

void test_threads_agree() {
  const test::Data data = test::make_data("clustered", 900, 30, 2);
  sieve_separation_request request = data.request(2, SIEVE_SEPARATION_SOFT);
  for (const sieve_backend backend : test::backends()) {
    std::vector<int64_t> first;
    for (const int32_t threads : {1, 2, 3, 7, 64, 100000}) {
      sieve_run_options options{};
      options.backend = backend;
      options.threads = threads;
      std::vector<int64_t> nearest(data.rows * 2);
      sieve_separation_result result{};
      result.nearest = nearest.data();
      CHECK(sieve_separation_index(&request, &options, &result, nullptr) == SIEVE_STATUS_OK, "%d threads",
            threads);
      if (first.empty()) first = nearest;
      CHECK(nearest == first, "%d threads", threads);
    }
  }
}

void test_calls_at_once() {
  const test::Data data = test::make_data("normal", 300, 20, 2);
  const sieve_separation_request request = data.request();
  sieve_separation_result alone{};
  CHECK(sieve_separation_index(&request, nullptr, &alone, nullptr) == SIEVE_STATUS_OK, "alone");
  std::vector<double> values(6);
  std::vector<std::thread> threads;
  for (double& value : values) {
    threads.emplace_back([&] {
      sieve_separation_result result{};
      value =
          sieve_separation_index(&request, nullptr, &result, nullptr) == SIEVE_STATUS_OK ? result.value : -1;
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (const double value : values) CHECK(value == alone.value, "%g", value);
}

void test_backend_choice() {
  sieve_backend resolved = SIEVE_BACKEND_AUTO;
  sieve_error error{};
#if defined(__aarch64__) || defined(_M_ARM64)
  constexpr int kIsArm64 = 1;
#else
  constexpr int kIsArm64 = 0;
#endif
  CHECK(sieve_backend_available(SIEVE_BACKEND_NEON) == kIsArm64, "NEON is for arm64, and always there");
  CHECK(kIsArm64 == 0 || sieve_backend_available(SIEVE_BACKEND_AVX2) == 0, "AVX2 on arm64");
  unsetenv("SIEVE_BACKEND");
  CHECK(sieve_backend_resolve(SIEVE_BACKEND_AUTO, &resolved, &error) == SIEVE_STATUS_OK, "%s", error.message);
  CHECK(resolved == test::backends().back(), "auto is %d", resolved);
  for (const sieve_backend backend : test::backends()) {
    setenv("SIEVE_BACKEND", sieve_backend_name(backend), 1);
    CHECK(sieve_backend_resolve(SIEVE_BACKEND_AUTO, &resolved, &error) == SIEVE_STATUS_OK &&
              resolved == backend,
          "%s from the environment", sieve_backend_name(backend));
    CHECK(sieve_backend_resolve(SIEVE_BACKEND_SERIAL, &resolved, &error) == SIEVE_STATUS_OK &&
              resolved == SIEVE_BACKEND_SERIAL,
          "the environment overrode an explicit backend");
  }
  setenv("SIEVE_BACKEND", "quantum", 1);
  CHECK(sieve_backend_resolve(SIEVE_BACKEND_AUTO, &resolved, &error) == SIEVE_STATUS_UNSUPPORTED_BACKEND,
        "an unknown name passed");
  CHECK(std::strstr(error.message, "quantum") != nullptr, "%s", error.message);
  unsetenv("SIEVE_BACKEND");
  CHECK(sieve_backend_resolve(SIEVE_BACKEND_AUTO, nullptr, &error) == SIEVE_STATUS_INVALID_ARGUMENT, "NULL");
  CHECK(std::strcmp(sieve_status_name(SIEVE_STATUS_CANCELLED), "CANCELLED") == 0, "status name");
  CHECK(std::strlen(sieve_version_string()) >= 5, "%s", sieve_version_string());
}

}  // namespace

int main() {
  test_refused_arguments();
  test_progress_and_cancel();
  test_threads_agree();
  test_calls_at_once();
  test_backend_choice();
  return test::result("run_test");
}
