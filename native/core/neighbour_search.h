// Exact nearest neighbours over one or many sets of columns, on any backend.
//
// Vector backends: a float32 sweep leaves each query a few candidates (core/tile_sweep.h). Where all
// candidates bear one label, or there are just `order` of them, the labels are certain; else float64 decides
// between them.
#ifndef SIEVE_CORE_NEIGHBOUR_SEARCH_H
#define SIEVE_CORE_NEIGHBOUR_SEARCH_H

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "core/conditioning.h"
#include "core/points.h"
#include "core/rounded_search.h"
#include "core/run_context.h"
#include "core/search_problem.h"
#include "kernels/nearest_serial.h"
#include "kernels/tile_kernels.h"

namespace sieve {

class NeighbourSearch {
 public:
  // Fails where the backend is missing. The points stay with the caller and outlive this.
  NeighbourSearch(const SearchProblem& problem, RunContext& run);

  sieve_backend backend() const { return backend_; }

  // The sums that `set` needs for these columns; empty for the serial backend. Sums of disjoint columns add.
  PointSums sums_of(const Points& points, const Columns& columns, const RunContext& run) const;
  SearchSet set_of(const Columns& columns, const RunContext& run) const;

  // Sets that one search should take at most, for memory.
  size_t sets_at_once() const;

  // base: columns that every set contains, where its `added` lists the others; empty with added = columns.
  // cumulative: a set contains the set before it as well, `added` lists what it has beyond that one.
  std::vector<SearchAnswer> search(const Columns& base, bool cumulative, const std::vector<SearchSet>& sets,
                                   RunContext& run, double from, double to) const;

 private:
  TileColumns tile_columns(const Columns& columns) const;
  size_t spare_candidates() const;
  SearchAnswer search_serially(const SearchSet& set, RunContext& run) const;

  SearchProblem problem_;
  bool leave_one_out_;
  sieve_backend backend_;
  const TileKernels* kernels_;  // NULL: serial
  Conditioning conditioning_;
  std::unique_ptr<RoundedSearch> rounded_;  // NULL: float32
  std::vector<uint32_t> oversized_queries_;
  std::vector<uint32_t> oversized_references_;
};

}  // namespace sieve

#endif  // SIEVE_CORE_NEIGHBOUR_SEARCH_H
