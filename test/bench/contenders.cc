#include "contenders.h"

#include <algorithm>
#include <cstring>
#include <numeric>
#include <stdexcept>
#include <thread>

#include "sieve/sieve.h"

namespace sieve_bench {
namespace {

struct Backend {
  int32_t id;
  std::string name;
};

std::vector<Backend> available_backends() {
  std::vector<Backend> found;
  for (int32_t id = SIEVE_BACKEND_SERIAL;; ++id) {
    const char* name = sieve_backend_name(static_cast<sieve_backend>(id));
    if (std::strcmp(name, "unknown") == 0) return found;
    if (sieve_backend_available(static_cast<sieve_backend>(id)) == 1) found.push_back({id, name});
  }
}

void check(sieve_status status, const sieve_error& error) {
  if (status != SIEVE_STATUS_OK) throw std::runtime_error(error.message);
}

sieve_matrix matrix_of(const Workload& workload, size_t rows) {
  sieve_matrix matrix{};
  matrix.data = workload.features.data();
  matrix.rows = rows;
  matrix.columns = workload.dims;
  return matrix;
}

sieve_separation_request request_of(const Workload& workload, size_t rows) {
  sieve_separation_request request{};
  request.features = matrix_of(workload, rows);
  request.labels = workload.labels.data();
  request.class_count = kClasses;
  return request;
}

sieve_run_options options_of(const Workload& workload, int32_t backend) {
  sieve_run_options options{};
  options.backend = backend;
  options.threads = workload.threads;
  return options;
}

std::vector<double> separation(const Workload& workload, int32_t backend) {
  const sieve_separation_request request = request_of(workload, workload.rows);
  const sieve_run_options options = options_of(workload, backend);
  std::vector<double> per_class(kClasses);
  sieve_separation_result result{};
  result.per_class = per_class.data();
  sieve_error error{};
  check(sieve_separation_index(&request, &options, &result, &error), error);
  per_class.insert(per_class.begin(), result.value);
  return per_class;
}

// The first queries among all rows. They find themselves, so their index says nothing; the work is the same.
std::vector<double> first_queries(const Workload& workload, int32_t backend, size_t queries) {
  const sieve_separation_request request = request_of(workload, queries);
  const sieve_run_options options = options_of(workload, backend);
  sieve_separation_result result{};
  sieve_error error{};
  check(sieve_cross_separation_index(&request, matrix_of(workload, workload.rows), workload.labels.data(),
                                     &options, &result, &error),
        error);
  return {};
}

std::vector<double> center_separation(const Workload& workload, int32_t backend) {
  const sieve_separation_request request = request_of(workload, workload.rows);
  const sieve_run_options options = options_of(workload, backend);
  sieve_center_result result{};
  sieve_error error{};
  check(sieve_center_separation_index(&request, &options, &result, &error), error);
  return {result.value};
}

std::vector<double> filter_separation(const Workload& workload, int32_t backend) {
  const sieve_separation_request request = request_of(workload, workload.rows);
  const sieve_run_options options = options_of(workload, backend);
  std::vector<double> values(workload.filters);
  sieve_error error{};
  check(sieve_filter_separation(&request, workload.filters, SIEVE_INDEX_SEPARATION, &options, values.data(),
                                &error),
        error);
  return values;
}

std::vector<double> subsets(const Workload& workload, int32_t backend, const std::vector<int32_t>& members,
                            const std::vector<int64_t>& offsets) {
  const sieve_separation_request request = request_of(workload, workload.rows);
  const sieve_run_options options = options_of(workload, backend);
  std::vector<double> values(offsets.size() - 1);
  sieve_error error{};
  check(sieve_subset_separation(&request, workload.filters, members.data(), offsets.data(), values.size(),
                                SIEVE_INDEX_SEPARATION, &options, values.data(), &error),
        error);
  return values;
}

std::vector<double> first_filters(const Workload& workload, int32_t backend, size_t filters) {
  std::vector<int32_t> members(filters);
  std::vector<int64_t> offsets(filters + 1);
  std::iota(members.begin(), members.end(), 0);
  std::iota(offsets.begin(), offsets.end(), int64_t{0});
  return subsets(workload, backend, members, offsets);
}

size_t steps_of(const Workload& workload) {
  return workload.limit == 0 ? workload.filters : std::min(workload.limit, workload.filters);
}

// Order and curve in turn: filter, index of the set so far.
std::vector<double> selection(const Workload& workload, int32_t backend) {
  const sieve_separation_request request = request_of(workload, workload.rows);
  const sieve_run_options options = options_of(workload, backend);
  std::vector<int32_t> order(workload.filters);
  std::vector<double> curve(workload.filters);
  sieve_error error{};
  check(sieve_select_filters(&request, workload.filters, SIEVE_SELECTION_GREEDY, SIEVE_INDEX_SEPARATION,
                             workload.limit, &options, order.data(), curve.data(), &error),
        error);
  std::vector<double> answer;
  for (size_t step = 0; step < steps_of(workload); ++step) {
    answer.push_back(order[step]);
    answer.push_back(curve[step]);
  }
  return answer;
}

// The same selection by the definition: at every step the index of the chosen filters with each other one.
std::vector<double> reevaluation(const Workload& workload, int32_t backend) {
  std::vector<int32_t> chosen, rest(workload.filters);
  std::iota(rest.begin(), rest.end(), 0);
  std::vector<double> answer;
  while (chosen.size() < steps_of(workload)) {
    std::vector<int32_t> members;
    std::vector<int64_t> offsets{0};
    for (const int32_t candidate : rest) {
      members.insert(members.end(), chosen.begin(), chosen.end());
      members.push_back(candidate);
      offsets.push_back(static_cast<int64_t>(members.size()));
    }
    const std::vector<double> values = subsets(workload, backend, members, offsets);
    // The first of the highest is the one with the lowest id: `rest` ascends.
    const auto best = std::max_element(values.begin(), values.end());
    const auto taken = rest.begin() + (best - values.begin());
    answer.push_back(*taken);
    answer.push_back(*best);
    chosen.push_back(*taken);
    rest.erase(taken);
  }
  return answer;
}

// Integer sums of the bits, which a compiler vectorises without leave to reorder floating-point additions.
std::vector<double> plain_read(const Workload& workload) {
  const size_t count = workload.features.size();
  const size_t threads = workload.threads > 0 ? static_cast<size_t>(workload.threads)
                                              : std::max(1u, std::thread::hardware_concurrency());
  std::vector<uint32_t> sums(threads);
  std::vector<std::thread> workers;
  for (size_t t = 0; t < threads; ++t) {
    workers.emplace_back([&, t] {
      uint32_t sum = 0;
      for (size_t i = count * t / threads; i < count * (t + 1) / threads; ++i) {
        uint32_t bits;
        std::memcpy(&bits, &workload.features[i], sizeof(bits));
        sum += bits;
      }
      sums[t] = sum;
    });
  }
  for (std::thread& worker : workers) worker.join();
  volatile uint32_t total = std::accumulate(sums.begin(), sums.end(), 0u);
  static_cast<void>(total);
  return {};
}

// `part` of `whole` that `share` allows, in portions that keep all threads busy.
size_t affordable(size_t whole, double share, size_t portion) {
  const size_t count = static_cast<size_t>(share * static_cast<double>(whole)) / portion * portion;
  return std::min(whole, std::max(portion, count));
}

using Kernel = std::vector<double> (*)(const Workload&, int32_t);

Kernel kernel_of(const std::string& name) {
  if (name == "si") return separation;
  if (name == "csi") return center_separation;
  if (name == "filters") return filter_separation;
  if (name == "select") return selection;
  throw std::runtime_error("Expected si, csi, filters or select for --kernel but received " + name);
}

}  // namespace

std::vector<Contender> contenders_of(const Workload& workload, bool reevaluate, double serial_operations) {
  const Kernel kernel = kernel_of(workload.kernel);
  const double share = serial_operations / operations_of(workload);
  std::vector<Contender> contenders;
  for (const auto& [id, name] : available_backends()) {
    const int32_t backend = id;
    Contender contender{name, [&workload, kernel, backend] { return kernel(workload, backend); }};
    contender.measured_rows = workload.rows;
    contender.measured_filters = workload.filters;
    if (id == SIEVE_BACKEND_SERIAL && share < 1) {
      if (workload.kernel == "select") continue;
      if (workload.kernel == "si") {
        const size_t portion = 32 * std::max<size_t>(1, static_cast<size_t>(workload.threads));
        const size_t queries = affordable(workload.rows, share, portion);
        contender.run = [&workload, backend, queries] { return first_queries(workload, backend, queries); };
        contender.measured_rows = queries;
        contender.scale = static_cast<double>(workload.rows) / static_cast<double>(queries);
      }
      if (workload.kernel == "filters") {
        const size_t filters = affordable(workload.filters, share, 1);
        contender.run = [&workload, backend, filters] { return first_filters(workload, backend, filters); };
        contender.measured_filters = filters;
        contender.scale = static_cast<double>(workload.filters) / static_cast<double>(filters);
      }
    }
    contenders.push_back(contender);
    if (reevaluate && workload.kernel == "select" && id != SIEVE_BACKEND_SERIAL) {
      contender.name = "reevaluate:" + name;
      contender.run = [&workload, backend] { return reevaluation(workload, backend); };
      contenders.push_back(contender);
    }
  }
  if (workload.kernel == "csi") {
    Contender read{"read", [&workload] { return plain_read(workload); }};
    read.measured_rows = workload.rows;
    read.measured_filters = workload.filters;
    contenders.push_back(read);
  }
  return contenders;
}

double operations_of(const Workload& workload) {
  const double rows = static_cast<double>(workload.rows), dims = static_cast<double>(workload.dims);
  if (workload.kernel == "csi") return 2 * rows * kClasses * dims;
  const double index = 2 * rows * rows * dims;
  if (workload.kernel != "select") return index;
  // Step k adds the distances of each of the filters - k others to those of the chosen ones.
  const double filters = static_cast<double>(workload.filters),
               steps = static_cast<double>(steps_of(workload));
  return index * (steps - steps * (steps - 1) / (2 * filters));
}

}  // namespace sieve_bench
