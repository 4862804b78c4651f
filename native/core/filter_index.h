// The index (SI or CSI) of sets of filters, whichever the caller asked for.
#ifndef SIEVE_CORE_FILTER_INDEX_H
#define SIEVE_CORE_FILTER_INDEX_H

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "core/points.h"
#include "core/run_context.h"
#include "core/selection_greedy.h"
#include "sieve/sieve.h"

namespace sieve {

class FilterIndex {
 public:
  virtual ~FilterIndex() = default;

  // Index of base with each of `candidates` added, none of which is in base. base: in any order.
  virtual std::vector<double> with_each(const std::vector<uint32_t>& base,
                                        const std::vector<uint32_t>& candidates, RunContext& run, double from,
                                        double to) const = 0;

  // Index of the first 1, 2, ... filters of `order`.
  virtual std::vector<double> of_prefixes(const std::vector<uint32_t>& order, RunContext& run, double from,
                                          double to) const = 0;

  // Index of each set; sets are ascending and without repeats.
  virtual std::vector<double> of_sets(const std::vector<std::vector<uint32_t>>& sets, RunContext& run,
                                      double from, double to) const = 0;

  // At each step the filter that makes the joint index highest, ties to the lowest; `limit` steps. Here by
  // evaluating every candidate.
  virtual Selection select_greedily(size_t filters, size_t limit, RunContext& run);
};

enum class FilterIndexUse { kValues, kGreedySelection };

// index_kind: sieve_index_kind. The points and the request stay with the caller and outlive the result.
std::unique_ptr<FilterIndex> make_filter_index(const sieve_separation_request& request, const Points& points,
                                               size_t filters, int32_t index_kind, RunContext& run,
                                               FilterIndexUse use = FilterIndexUse::kValues);

}  // namespace sieve

#endif  // SIEVE_CORE_FILTER_INDEX_H
