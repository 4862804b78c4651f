// What a neighbour search is asked and what it answers, as plain values.
#ifndef SIEVE_CORE_SEARCH_PROBLEM_H
#define SIEVE_CORE_SEARCH_PROBLEM_H

#include <cstddef>
#include <cstdint>
#include <vector>

#include "core/candidate_lists.h"
#include "core/conditioning.h"
#include "core/points.h"
#include "kernels/nearest_serial.h"

namespace sieve {

struct SearchProblem {
  const Points* queries;
  const Points* references;  // the same object: leave one out
  size_t order;              // 1 .. references that a query can have
  bool wants_neighbours;
  size_t segment = 0;  // columns that all sets are made of in one piece (a filter's); 0: all columns
  // Where a label stops, same_label only tells whether it is `order` (kOtherLabel) or 0 (kOwnLabel). Not with
  // neighbours wanted.
  LabelStop stop = LabelStop::kNone;
  bool keeps_float32 = false;  // no rounded copy, which takes half the memory of the data
};

// A set of columns whose neighbours are wanted.
struct SearchSet {
  Columns columns;
  Columns added;  // those beyond the base that all sets of a search share
  PointSums query_sums;
  PointSums reference_sums;  // empty where the references are the queries
};

struct SearchAnswer {
  std::vector<uint32_t> same_label;   // [queries]: how many of the `order` nearest bear the query's label
  std::vector<Neighbour> neighbours;  // [queries * order] where wanted
};

// Writes what the `order` nearest of a query, in order, make of its answer. Fewer where a label stopped the
// search: the one that did is among the `order` nearest then.
void write_answer(const SearchProblem& problem, size_t query, const std::vector<Neighbour>& nearest,
                  SearchAnswer& answer);

// Arrays of the right size for the problem.
SearchAnswer empty_answer(const SearchProblem& problem);

}  // namespace sieve

#endif  // SIEVE_CORE_SEARCH_PROBLEM_H
