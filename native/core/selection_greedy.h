// Greedy forward selection on the joint separation index, exact at every step, without evaluating every
// candidate with every query.
//
// Two things are saved. Only the winner's index has to be exact: for each candidate f the queries that are
// certain give low <= index(S + f) <= high, and a candidate is done with once its high can not beat the best
// low (ties go to the lower filter). And a query is certain, mostly, from its ball alone
// (core/selection_balls.h, core/selection_walk.h), at the cost of a few distances over f's columns. Queries
// that are not, of candidates that can still win, get larger balls or, where they are many, leave the
// candidate to a full evaluation.
//
// Same result as evaluating every candidate, bit for bit: indices are quotients of integers.
#ifndef SIEVE_CORE_SELECTION_GREEDY_H
#define SIEVE_CORE_SELECTION_GREEDY_H

#include <cstddef>
#include <cstdint>
#include <functional>
#include <vector>

#include "core/conditioning.h"
#include "core/points.h"
#include "core/run_context.h"
#include "kernels/gather_kernels.h"
#include "kernels/tile_kernels.h"

namespace sieve {

struct Selection {
  std::vector<uint32_t> order;
  std::vector<double> curve;
};

struct GreedyProblem {
  const Points* points;
  size_t filters;
  size_t order;
  int32_t kind;  // sieve_separation_kind
  const TileKernels* kernels;
  GatherDistances gather;
  // The index of base with each of the candidates added.
  std::function<std::vector<double>(const std::vector<uint32_t>& base,
                                    const std::vector<uint32_t>& candidates)>
      evaluate;
  std::vector<double> single;               // index of each filter alone
  std::vector<std::vector<float>> nearest;  // [filters][points] m_f, scaled as in selection_balls.h
};

// False where balls would take too much memory, or float32 can not hold the data.
bool can_select_with_balls(const Points& points, const Conditioning& conditioning, size_t filters,
                           size_t order, int threads);

// What a distance to the nearest over one filter, as the reference has it, is worth as a lower bound.
float scaled_nearest(double square_distance, const Conditioning& conditioning);

// Progress: [from, to]. At most `limit` filters, at least 1.
Selection select_with_balls(const GreedyProblem& problem, const Conditioning& conditioning, size_t limit,
                            RunContext& run, double from, double to);

}  // namespace sieve

#endif  // SIEVE_CORE_SELECTION_GREEDY_H
