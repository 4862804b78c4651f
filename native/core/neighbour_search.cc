#include "core/neighbour_search.h"

#include <algorithm>
#include <cfloat>
#include <cmath>
#include <limits>
#include <memory>
#include <mutex>
#include <string>
#include <utility>

#include "core/backend.h"
#include "core/candidate_judge.h"
#include "core/copies.h"
#include "core/failure.h"
#include "core/parallel.h"
#include "core/tile_product.h"
#include "core/tile_sweep.h"

namespace sieve {
namespace {

constexpr size_t kQueryGrain = 32;
constexpr size_t kSpareCandidates = 3;  // in float32 few pairs are undecided

bool nothing_rounded_off(const PointSums& sums) {
  return std::all_of(sums.square_residuals.begin(), sums.square_residuals.end(),
                     [](double residual) { return residual == 0.0; });
}

// One set on its way through a vector search.
struct SetState {
  PointBounds query_bounds;
  PointBounds reference_bounds;  // empty where leave one out
  CandidateLists lists;
  std::vector<std::vector<uint32_t>> copies;  // of references, more than `order` each
  std::vector<uint8_t> answered;              // queries that need no candidates
};

// What prepare_set needs to know of the search.
struct Preparation {
  const SearchProblem* problem;
  const Conditioning* conditioning;
  const RoundedSearch* rounded;  // NULL: float32
  bool leave_one_out;
  const std::vector<uint32_t>* oversized_queries;
  const std::vector<uint32_t>* oversized_references;
};

// Queries whose nearest are copies of themselves are answered here; references that `order` lower copies make
// unnecessary, and points that the kernels can not hold, take no part in the sweep.
SetState prepare_set(const Preparation& search, const SearchSet& set, const TileColumns& columns,
                     size_t chain, size_t spare, SearchAnswer& answer) {
  const SearchProblem& problem = *search.problem;
  const Points& references = *problem.references;
  const PointSums& reference_sums = search.leave_one_out ? set.query_sums : set.reference_sums;
  SetState state{{},
                 {},
                 CandidateLists(problem.queries->size(), {problem.order, spare, problem.stop},
                                references.labels.empty() ? nullptr : references.labels.data()),
                 groups_of_copies(references, set.columns, reference_sums.hashes, problem.order + 1),
                 std::vector<uint8_t>(problem.queries->size(), 0)};
  for (size_t query = 0; query < problem.queries->labels.size(); ++query) {
    state.lists.set_query_label(query, problem.queries->labels[query]);
  }
  std::vector<uint8_t> left_out(references.size(), 0);
  std::vector<Neighbour> nearest;
  for (const std::vector<uint32_t>& group : state.copies) {
    for (size_t rank = 0; rank < group.size(); ++rank) {
      if (search.leave_one_out) {
        nearest.clear();
        for (size_t other = 0; nearest.size() < problem.order; ++other) {
          if (other != rank) nearest.push_back({0.0, group[other]});
        }
        write_answer(problem, group[rank], nearest, answer);
        state.answered[group[rank]] = 1;
        state.lists.close(group[rank]);
      }
      if (rank >= problem.order) left_out[group[rank]] = 1;
    }
  }
  for (const uint32_t point : *search.oversized_references) left_out[point] = 1;

  const bool rounded_off = !nothing_rounded_off(set.query_sums) || !nothing_rounded_off(reference_sums);
  const double quotient =
      rounded_off ? search.rounded->quotient(columns, set.query_sums, reference_sums, left_out) : 0.0;
  const size_t dims = column_count(set.columns);
  state.query_bounds = point_bounds(set.query_sums, dims, chain, *search.conditioning, quotient);
  if (!search.leave_one_out) {
    state.reference_bounds = point_bounds(reference_sums, dims, chain, *search.conditioning, quotient);
  }
  PointBounds& bounds = search.leave_one_out ? state.query_bounds : state.reference_bounds;
  for (size_t point = 0; point < left_out.size(); ++point) {
    if (left_out[point] != 0) bounds.lower_norms[point] = std::numeric_limits<float>::infinity();
  }
  for (const uint32_t point : *search.oversized_queries) {
    state.query_bounds.lower_norms[point] = std::numeric_limits<float>::infinity();
    state.lists.close(point);
  }
  return state;
}

// Points that can still be a candidate (or, where they are queries too, have one) in some set.
std::vector<uint32_t> points_in_sweep(size_t count, const std::vector<const PointBounds*>& bounds) {
  std::vector<uint32_t> points;
  for (size_t point = 0; point < count; ++point) {
    const bool takes_part = std::any_of(bounds.begin(), bounds.end(), [&](const PointBounds* of) {
      return of->lower_norms[point] < std::numeric_limits<float>::infinity();
    });
    if (takes_part) points.push_back(static_cast<uint32_t>(point));
  }
  return points;
}

// Oversized references within reach of a query: its distance is at least (|z_reference| - |z_query|)^2.
void reachable_oversized(const std::vector<uint32_t>& oversized, const PointSums& query_sums,
                         const PointSums& reference_sums, size_t query, bool leave_one_out, float threshold,
                         std::vector<uint32_t>& reachable) {
  const double norm = std::sqrt(query_sums.square_norms[query]);
  for (const uint32_t reference : oversized) {
    if (leave_one_out && reference == query) continue;
    const double gap = std::sqrt(reference_sums.square_norms[reference]) - norm;
    if (threshold == FLT_MAX || !(gap > 0.0) || !(gap * gap * (1.0 - 1e-5) > threshold)) {
      reachable.push_back(reference);
    }
  }
}

}  // namespace

NeighbourSearch::NeighbourSearch(const SearchProblem& problem, RunContext& run)
    : problem_(problem),
      leave_one_out_(problem.queries == problem.references),
      backend_(resolve_backend(run.requested_backend())),
      kernels_(tile_kernels(backend_)) {
  if (kernels_ == nullptr) return;
  std::vector<const Points*> sets{problem.queries};
  if (!leave_one_out_) sets.push_back(problem.references);
  conditioning_ = condition(sets, run);
  const size_t columns = problem.queries->columns;
  const size_t segment = problem.segment == 0 ? columns : problem.segment;
  const RoundedKernels* rounded = rounded_kernels(backend_);
  const bool rounds =
      rounded != nullptr && !problem.keeps_float32 && RoundedSearch::pays(*rounded, columns, segment);
  const double largest_norm = rounds ? rounded->largest_norm : kLargestFloat32Norm;
  oversized_queries_ = oversized_points(*problem.queries, conditioning_, largest_norm);
  oversized_references_ = oversized_points(*problem.references, conditioning_, largest_norm);
  if (rounds) {
    rounded_ = std::make_unique<RoundedSearch>(*rounded, conditioning_, *problem.queries, *problem.references,
                                               segment, oversized_queries_, oversized_references_, run);
  }
}

TileColumns NeighbourSearch::tile_columns(const Columns& columns) const {
  return rounded_ != nullptr ? rounded_->tile_columns(columns) : TileColumns{columns, {}};
}

size_t NeighbourSearch::spare_candidates() const {
  return rounded_ != nullptr ? rounded_->kernels().spare_candidates : kSpareCandidates;
}

PointSums NeighbourSearch::sums_of(const Points& points, const Columns& columns,
                                   const RunContext& run) const {
  if (kernels_ == nullptr) return PointSums{};
  return rounded_ != nullptr ? rounded_->sums_of(points, columns, run)
                             : point_sums(points, columns, conditioning_, run);
}

SearchSet NeighbourSearch::set_of(const Columns& columns, const RunContext& run) const {
  return {columns, columns, sums_of(*problem_.queries, columns, run),
          leave_one_out_ ? PointSums{} : sums_of(*problem_.references, columns, run)};
}

size_t NeighbourSearch::sets_at_once() const {
  const size_t points = problem_.queries->size() + (leave_one_out_ ? 0 : problem_.references->size());
  const size_t per_point = 2 * sizeof(double) + sizeof(uint64_t) + 2 * sizeof(float);
  const size_t per_set =
      points * per_point +
      problem_.queries->size() * CandidateLists::bytes_per_query(problem_.order, spare_candidates());
  const size_t input = points * problem_.queries->columns * sizeof(float);
  return std::max<size_t>(1, ((size_t{20} << 20) + input / 8) / per_set);
}

std::vector<SearchAnswer> NeighbourSearch::search(const Columns& base, bool cumulative,
                                                  const std::vector<SearchSet>& sets, RunContext& run,
                                                  double from, double to) const {
  std::vector<SearchAnswer> answers;
  if (kernels_ == nullptr) {
    run.begin_phase(from, to, sets.size() * problem_.queries->size());
    for (const SearchSet& set : sets) answers.push_back(search_serially(set, run));
    return answers;
  }

  for (size_t s = 0; s < sets.size(); ++s) answers.push_back(empty_answer(problem_));
  const TileColumns base_columns = tile_columns(base);
  std::vector<TileColumns> added, whole;
  std::vector<size_t> chains;
  for (size_t s = 0; s < sets.size(); ++s) {
    added.push_back(tile_columns(sets[s].added));
    whole.push_back(tile_columns(sets[s].columns));
    const size_t before = cumulative && s > 0 ? chains.back() : product_chain(base_columns);
    chains.push_back(before + product_chain(added[s]));
  }
  const Preparation preparation{&problem_,      &conditioning_,      rounded_.get(),
                                leave_one_out_, &oversized_queries_, &oversized_references_};
  std::vector<std::unique_ptr<SetState>> states(sets.size());
  const bool exact = conditioning_.exact && std::all_of(sets.begin(), sets.end(), [](const SearchSet& set) {
                       return nothing_rounded_off(set.query_sums) && nothing_rounded_off(set.reference_sums);
                     });
  const size_t spare = exact ? 0 : spare_candidates();
  parallel_for(run, sets.size(), [&](size_t s, int) {
    states[s] =
        std::make_unique<SetState>(prepare_set(preparation, sets[s], whole[s], chains[s], spare, answers[s]));
  });

  Sweep sweep{};
  sweep.kernels = kernels_;
  sweep.conditioning = &conditioning_;
  sweep.left = problem_.queries;
  sweep.right = problem_.references;
  sweep.symmetric = leave_one_out_;
  sweep.lists = {problem_.order, spare, problem_.stop};
  sweep.base = &base_columns;
  sweep.cumulative = cumulative;
  std::vector<SweepSet> sweep_sets;
  std::vector<const PointBounds*> query_bounds, reference_bounds;
  for (size_t s = 0; s < sets.size(); ++s) {
    SetState& state = *states[s];
    const PointBounds& right = leave_one_out_ ? state.query_bounds : state.reference_bounds;
    query_bounds.push_back(&state.query_bounds);
    reference_bounds.push_back(&right);
    sweep_sets.push_back({&added[s], &state.query_bounds, &right, &state.lists});
  }
  sweep.right_points = points_in_sweep(problem_.references->size(), reference_bounds);
  if (!leave_one_out_) sweep.left_points = points_in_sweep(problem_.queries->size(), query_bounds);
  if (rounded_ != nullptr) {
    const bool only_set = sets.size() == 1;
    sweep.right_points = rounded_->settle_references(std::move(sweep.right_points), only_set, run);
    if (!leave_one_out_) {
      sweep.left_points = rounded_->settle_queries(std::move(sweep.left_points), only_set, run);
    }
    sweep.rounded = &rounded_->sides();
  }
  sweep_tiles(sweep, sweep_sets, run, from, from + 0.9 * (to - from));

  const std::vector<uint8_t> oversized_query = [&] {
    std::vector<uint8_t> flags(problem_.queries->size(), 0);
    for (const uint32_t point : oversized_queries_) flags[point] = 1;
    return flags;
  }();
  run.begin_phase(from + 0.9 * (to - from), to, sets.size());
  for (size_t s = 0; s < sets.size(); ++s) {
    const SearchSet& set = sets[s];
    SetState& state = *states[s];
    const PointSums& reference_sums = leave_one_out_ ? set.query_sums : set.reference_sums;
    std::vector<uint32_t> unsettled;
    std::mutex mutex;
    parallel_ranges(run, problem_.queries->size(), kQueryGrain, [&](size_t begin, size_t end, int) {
      CandidateJudge judge(problem_, set, state.lists, row_kernels(backend_), state.query_bounds.unit);
      std::vector<uint32_t> reachable;
      for (size_t query = begin; query < end; ++query) {
        if (state.answered[query] != 0) continue;
        if (oversized_query[query] != 0) {
          NearestList nearest(problem_.order);
          nearest_serial(RowReader(*problem_.queries, 1).read(0, query, set.columns), *problem_.references,
                         leave_one_out_ ? query : kNoPoint, set.columns, nearest);
          write_answer(problem_, query, nearest.neighbours(), answers[s]);
          continue;
        }
        state.lists.finish(query);
        reachable.clear();
        reachable_oversized(oversized_references_, set.query_sums, reference_sums, query, leave_one_out_,
                            state.lists.threshold(query), reachable);
        if (judge.answer(query, reachable, answers[s]) == Certainty::kNeedsSweep) {
          const std::lock_guard<std::mutex> lock(mutex);
          unsettled.push_back(static_cast<uint32_t>(query));
        }
      }
    });
    if (!unsettled.empty()) {
      std::sort(unsettled.begin(), unsettled.end());
      std::vector<NearestList> settled = settle_queries(sweep, sweep_sets[s], whole[s], unsettled, run);
      CandidateJudge judge(problem_, set, state.lists, row_kernels(backend_), state.query_bounds.unit);
      for (size_t i = 0; i < unsettled.size(); ++i) {
        judge.offer(unsettled[i], oversized_references_, settled[i]);
        write_answer(problem_, unsettled[i], settled[i].neighbours(), answers[s]);
      }
    }
    run.advance();
  }
  return answers;
}

SearchAnswer NeighbourSearch::search_serially(const SearchSet& set, RunContext& run) const {
  SearchAnswer answer = empty_answer(problem_);
  parallel_for(run, problem_.queries->size(), [&](size_t query, int) {
    NearestList nearest(problem_.order);
    RowReader reader(*problem_.queries, 1);
    nearest_serial(reader.read(0, query, set.columns), *problem_.references,
                   leave_one_out_ ? query : kNoPoint, set.columns, nearest);
    write_answer(problem_, query, nearest.neighbours(), answer);
    run.advance();
  });
  return answer;
}

}  // namespace sieve
