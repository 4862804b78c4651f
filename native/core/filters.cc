// sieve_filter_separation, sieve_subset_separation, sieve_select_filters.
#include <algorithm>
#include <limits>
#include <numeric>
#include <string>

#include "core/failure.h"
#include "core/filter_index.h"
#include "core/request.h"
#include "sieve/sieve.h"

namespace sieve {
namespace {

void check_filter_problem(const sieve_separation_request* request, size_t filters, int32_t index_kind) {
  check_request(request);
  const bool divides = filters >= 1 && filters <= 0x7fffffff && request->features.columns >= filters &&
                       request->features.columns % filters == 0;
  require(divides, "a count of filters that divides the columns", "filters", std::to_string(filters));
  require(index_kind == SIEVE_INDEX_SEPARATION || index_kind == SIEVE_INDEX_CENTER, "a sieve_index_kind",
          "index_kind", std::to_string(index_kind));
}

std::vector<uint32_t> all_filters(size_t filters) {
  std::vector<uint32_t> all(filters);
  std::iota(all.begin(), all.end(), 0u);
  return all;
}

std::vector<std::vector<uint32_t>> checked_sets(const int32_t* members, const int64_t* offsets,
                                                size_t subset_count, size_t filters) {
  std::vector<std::vector<uint32_t>> sets(subset_count);
  for (size_t s = 0; s < subset_count; ++s) {
    const std::string subject = "subset " + std::to_string(s);
    if (offsets[s] < 0 || offsets[s + 1] <= offsets[s]) {
      expected(SIEVE_STATUS_INVALID_ARGUMENT, "at least one filter", subject,
               "offsets " + std::to_string(offsets[s]) + " to " + std::to_string(offsets[s + 1]));
    }
    for (int64_t at = offsets[s]; at < offsets[s + 1]; ++at) {
      const int32_t filter = members[at];
      if (filter < 0 || static_cast<size_t>(filter) >= filters) {
        expected(SIEVE_STATUS_INVALID_ARGUMENT, "filters from 0 to " + std::to_string(filters - 1), subject,
                 std::to_string(filter));
      }
      sets[s].push_back(static_cast<uint32_t>(filter));
    }
    std::sort(sets[s].begin(), sets[s].end());
    const auto repeated = std::adjacent_find(sets[s].begin(), sets[s].end());
    if (repeated != sets[s].end()) {
      expected(SIEVE_STATUS_INVALID_ARGUMENT, "each filter once", subject,
               std::to_string(*repeated) + " twice");
    }
  }
  return sets;
}

Selection select_by_rank(const FilterIndex& index, size_t filters, size_t limit, RunContext& run) {
  const std::vector<double> values = index.with_each({}, all_filters(filters), run, 0.0, 0.5);
  Selection selection;
  selection.order = all_filters(filters);
  std::stable_sort(selection.order.begin(), selection.order.end(),
                   [&](uint32_t a, uint32_t b) { return values[a] > values[b]; });
  selection.order.resize(limit);
  selection.curve = index.of_prefixes(selection.order, run, 0.5, 1.0);
  return selection;
}

}  // namespace
}  // namespace sieve

extern "C" {

sieve_status sieve_filter_separation(const sieve_separation_request* request, size_t filters,
                                     int32_t index_kind, const sieve_run_options* options, double* values,
                                     sieve_error* error) {
  using namespace sieve;
  return guarded(error, [&] {
    check_filter_problem(request, filters, index_kind);
    require(values != nullptr, "a pointer", "values", "NULL");
    RunContext run(options);
    const Points points = request_points(*request, run);
    const auto index = make_filter_index(*request, points, filters, index_kind, run);
    const std::vector<double> each = index->with_each({}, all_filters(filters), run, 0.0, 1.0);
    std::copy(each.begin(), each.end(), values);
    run.finish();
  });
}

sieve_status sieve_subset_separation(const sieve_separation_request* request, size_t filters,
                                     const int32_t* members, const int64_t* offsets, size_t subset_count,
                                     int32_t index_kind, const sieve_run_options* options, double* values,
                                     sieve_error* error) {
  using namespace sieve;
  return guarded(error, [&] {
    check_filter_problem(request, filters, index_kind);
    require(subset_count >= 1, "at least 1 subset", "subset_count", "0");
    require(members != nullptr, "a pointer", "members", "NULL");
    require(offsets != nullptr, "a pointer", "offsets", "NULL");
    require(values != nullptr, "a pointer", "values", "NULL");
    const std::vector<std::vector<uint32_t>> sets = checked_sets(members, offsets, subset_count, filters);
    RunContext run(options);
    const Points points = request_points(*request, run);
    const auto index = make_filter_index(*request, points, filters, index_kind, run);
    const std::vector<double> each = index->of_sets(sets, run, 0.0, 1.0);
    std::copy(each.begin(), each.end(), values);
    run.finish();
  });
}

sieve_status sieve_select_filters(const sieve_separation_request* request, size_t filters, int32_t strategy,
                                  int32_t index_kind, size_t limit, const sieve_run_options* options,
                                  int32_t* order, double* curve, sieve_error* error) {
  using namespace sieve;
  return guarded(error, [&] {
    check_filter_problem(request, filters, index_kind);
    require(strategy == SIEVE_SELECTION_GREEDY || strategy == SIEVE_SELECTION_RANK,
            "a sieve_selection_strategy", "strategy", std::to_string(strategy));
    require(limit <= filters, "at most as many as there are filters", "limit", std::to_string(limit));
    require(order != nullptr, "a pointer", "order", "NULL");
    require(curve != nullptr, "a pointer", "curve", "NULL");
    RunContext run(options);
    const Points points = request_points(*request, run);
    const auto index = make_filter_index(
        *request, points, filters, index_kind, run,
        strategy == SIEVE_SELECTION_GREEDY ? FilterIndexUse::kGreedySelection : FilterIndexUse::kValues);
    const size_t wanted = limit == 0 ? filters : limit;
    const Selection selection = strategy == SIEVE_SELECTION_GREEDY
                                    ? index->select_greedily(filters, wanted, run)
                                    : select_by_rank(*index, filters, wanted, run);
    std::fill_n(order, filters, -1);
    std::fill_n(curve, filters, std::numeric_limits<double>::quiet_NaN());
    std::copy(selection.order.begin(), selection.order.end(), order);
    std::copy(selection.curve.begin(), selection.curve.end(), curve);
    run.finish();
  });
}

}  // extern "C"
