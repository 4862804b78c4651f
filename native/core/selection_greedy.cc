#include "core/selection_greedy.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <memory>
#include <numeric>

#include "core/parallel.h"
#include "core/scores.h"
#include "core/selection_balls.h"
#include "core/selection_walk.h"

namespace sieve {
namespace {

constexpr size_t kResolvedAtOnce = 16;
constexpr size_t kRowsAtOnce = 1024;                  // balls that may be larger than usual for a while
constexpr size_t kTransientBytes = size_t{16} << 20;  // of those together
constexpr size_t kAbandonGrain = 256;                 // queries between two looks at the other candidates
constexpr size_t kQueryGrain = 64;
constexpr float kReachMargin = 1.001f;  // a new ball has another slack

struct Pending {
  uint32_t query;
  float reach;  // radius that would settle it
};

struct Candidate {
  uint32_t filter;
  uint64_t low = 0;       // credit of the certain queries
  uint64_t possible = 0;  // low, and what the others can add
  std::vector<Pending> pending;
  std::vector<bool> full;  // queries that were found to have all the credit there is
  bool needs_evaluation = false;
};

bool beats(uint64_t credit, uint32_t filter, uint64_t other_credit, uint32_t other_filter) {
  return credit > other_credit || (credit == other_credit && filter < other_filter);
}

class GreedySelection {
 public:
  GreedySelection(const GreedyProblem& problem, const Conditioning& conditioning, RunContext& run)
      : problem_(problem),
        points_(*problem.points),
        conditioning_(conditioning),
        run_(run),
        dims_(points_.columns / problem.filters),
        wanted_(ball_members(points_, problem.order)),
        balls_(points_.size()),
        aged_(points_.size(), 0),
        walk_problem_{&points_, problem.gather, problem.order, selection_error(problem.filters, dims_)},
        value_(problem.single) {
    slices_.resize(static_cast<size_t>(run.threads()));
    remaining_.resize(problem.filters);
    std::iota(remaining_.begin(), remaining_.end(), 0u);
    visit_order_.resize(points_.size());
    std::iota(visit_order_.begin(), visit_order_.end(), 0u);
  }

  Selection select(size_t limit, double from, double to) {
    const auto best = std::max_element(value_.begin(), value_.end()) - value_.begin();
    take(static_cast<uint32_t>(best), value_[static_cast<size_t>(best)]);
    for (size_t step = 1; step < limit; ++step) {
      const auto at = [&](size_t done) {
        return from + (to - from) * static_cast<double>(done - 1) / static_cast<double>(limit - 1);
      };
      run_.begin_phase(at(step), at(step + 1), remaining_.size());
      const auto [filter, credit] = best_candidate();
      take(filter, static_cast<double>(credit) / units());
      if (step + 1 < limit) grow_balls(filter);
    }
    return selection_;
  }

 private:
  double units() const { return static_cast<double>(points_.size() * problem_.order); }
  Columns columns_of(uint32_t filter) const { return {{filter * dims_, dims_}}; }

  void take(uint32_t filter, double value) {
    selection_.order.push_back(filter);
    selection_.curve.push_back(value);
    selected_.insert(std::lower_bound(selected_.begin(), selected_.end(), filter), filter);
    remaining_.erase(std::find(remaining_.begin(), remaining_.end(), filter));
    sums_.add(point_sums(points_, columns_of(filter), conditioning_, run_));
  }

  FilterSlice& slice(size_t worker) {
    if (!slices_[worker]) slices_[worker] = std::make_unique<FilterSlice>(points_.size(), dims_);
    return *slices_[worker];
  }

  void fill_slice(uint32_t filter, FilterSlice& slice) {
    parallel_ranges(run_, points_.size(), 512, [&](size_t begin, size_t end, int) {
      slice.fill(points_, filter * dims_, conditioning_.scale, begin, end);
    });
  }

  // The balls of S + filter from those of S.
  void grow_balls(uint32_t filter) {
    if (balls_.front().radius == 0.0f && balls_.front().members.empty()) return;  // none yet
    FilterSlice& columns = slice(0);
    fill_slice(filter, columns);
    const std::vector<float>& nearest = problem_.nearest[filter];
    parallel_ranges(run_, points_.size(), kQueryGrain, [&](size_t begin, size_t end, int) {
      std::vector<uint32_t> members;
      std::vector<float> added;
      for (size_t query = begin; query < end; ++query) {
        Ball& ball = balls_[query];
        members.clear();
        for (const BallMember& member : ball.members) members.push_back(member.point);
        added.resize(members.size());
        problem_.gather(columns.data(), columns.depth(), columns.row(query), members.data(), members.size(),
                        added.data());
        for (size_t i = 0; i < members.size(); ++i) ball.members[i].distance += added[i];
        ball.radius += nearest[query];
        ball.settle();
        aged_[query] = 1;
      }
    });
  }

  // New balls over the selected columns, of the usual size and of at least the radii (NULL: none) where the
  // capacity allows.
  void fill(const std::vector<uint32_t>& queries, size_t wanted, const std::vector<float>* least,
            size_t capacity) {
    const Columns columns = filter_columns(selected_, dims_);
    const BallSweep sweep{&points_, problem_.kernels, &conditioning_, &columns, &sums_};
    std::vector<float> radii = sampled_radii(sweep, queries, wanted - wanted / 8, run_);
    for (size_t i = 0; i < queries.size(); ++i) {
      if (least != nullptr) radii[i] = std::max(radii[i], (*least)[i]);
      aged_[queries[i]] = 0;
    }
    fill_balls(sweep, queries, radii, capacity, balls_, run_);
  }

  void fill_all() {
    std::vector<uint32_t> queries(points_.size());
    std::iota(queries.begin(), queries.end(), 0u);
    fill(queries, wanted_, nullptr, wanted_ + wanted_ / 4);
  }

  std::pair<uint32_t, uint64_t> best_candidate() {
    std::vector<Candidate> candidates;
    for (const uint32_t filter : remaining_) candidates.push_back(fresh_candidate(filter));
    // The best so far first: what they reach lets the others be abandoned early.
    std::stable_sort(candidates.begin(), candidates.end(), [&](const Candidate& a, const Candidate& b) {
      return value_[a.filter] > value_[b.filter];
    });
    if (selected_.size() == 1) fill_all();
    std::vector<Candidate*> all;
    for (Candidate& candidate : candidates) all.push_back(&candidate);
    best_low_.store(0, std::memory_order_relaxed);
    walk(all, 0, static_cast<uint32_t>(points_.size()));
    run_.advance(candidates.size());

    for (;;) {
      const Candidate& leader = *std::min_element(
          candidates.begin(), candidates.end(),
          [](const Candidate& a, const Candidate& b) { return beats(a.low, a.filter, b.low, b.filter); });
      std::vector<Candidate*> live;
      for (Candidate& candidate : candidates) {
        if (candidate.possible == candidate.low) continue;
        if (&candidate == &leader || beats(candidate.possible, candidate.filter, leader.low, leader.filter)) {
          live.push_back(&candidate);
        }
      }
      if (live.empty()) {
        // Queries that the winner fails first: others will fail them too, and are abandoned sooner.
        std::stable_partition(visit_order_.begin(), visit_order_.end(),
                              [&](uint32_t query) { return !leader.full[query]; });
        for (const Candidate& candidate : candidates) {
          value_[candidate.filter] = 0.5 * static_cast<double>(candidate.low + candidate.possible) / units();
        }
        return {leader.filter, leader.low};
      }
      std::sort(live.begin(), live.end(), [](const Candidate* a, const Candidate* b) {
        return beats(a->possible, a->filter, b->possible, b->filter);
      });
      resolve(live);
    }
  }

  Candidate fresh_candidate(uint32_t filter) const {
    Candidate candidate{};
    candidate.filter = filter;
    candidate.possible = points_.size() * problem_.order;
    candidate.pending.reserve(points_.size());
    for (const uint32_t query : visit_order_) candidate.pending.push_back({query, 0.0f});
    candidate.full.resize(points_.size());
    return candidate;
  }

  // Judges the pending queries in [first, last) of each candidate from the balls as they are.
  void walk(const std::vector<Candidate*>& candidates, uint32_t first, uint32_t last) {
    if (candidates.size() >= 2 * slices_.size()) {
      parallel_for(run_, candidates.size(), [&](size_t i, int worker) {
        FilterSlice& columns = slice(static_cast<size_t>(worker));
        columns.fill(points_, candidates[i]->filter * dims_, conditioning_.scale, 0, points_.size());
        BallWalk walk(walk_problem_);
        walk_candidate(*candidates[i], columns, first, last, walk);
      });
      return;
    }
    for (Candidate* candidate : candidates) {
      FilterSlice& columns = slice(0);
      fill_slice(candidate->filter, columns);
      walk_in_parallel(*candidate, columns, first, last);
    }
  }

  // One thread; gives up where the candidate can not win any more.
  void walk_candidate(Candidate& candidate, const FilterSlice& columns, uint32_t first, uint32_t last,
                      BallWalk& walk) {
    const Columns joint = joint_columns(selected_, candidate.filter, dims_);
    const std::vector<float>& nearest = problem_.nearest[candidate.filter];
    size_t kept = 0, since_look = 0;
    for (size_t i = 0; i < candidate.pending.size(); ++i) {
      Pending pending = candidate.pending[i];
      if (pending.query >= first && pending.query < last) {
        if (walk.judge(pending.query, balls_[pending.query], columns, joint, nearest[pending.query])) {
          settle(candidate, pending.query, walk.same_label());
          if (++since_look == kAbandonGrain) {
            since_look = 0;
            run_.throw_if_cancelled();
            if (candidate.possible < best_low_.load(std::memory_order_relaxed)) {
              candidate.pending.erase(candidate.pending.begin() + static_cast<std::ptrdiff_t>(kept),
                                      candidate.pending.begin() + static_cast<std::ptrdiff_t>(i + 1));
              return;
            }
          }
          continue;
        }
        pending.reach = walk.reach();
      }
      candidate.pending[kept++] = pending;
    }
    candidate.pending.resize(kept);
    raise_best_low(candidate.low);
  }

  void walk_in_parallel(Candidate& candidate, const FilterSlice& columns, uint32_t first, uint32_t last) {
    const Columns joint = joint_columns(selected_, candidate.filter, dims_);
    const std::vector<float>& nearest = problem_.nearest[candidate.filter];
    std::vector<int64_t> answers(candidate.pending.size(), -1);
    parallel_ranges(run_, candidate.pending.size(), kQueryGrain, [&](size_t begin, size_t end, int) {
      BallWalk walk(walk_problem_);
      for (size_t i = begin; i < end; ++i) {
        Pending& pending = candidate.pending[i];
        if (pending.query < first || pending.query >= last) continue;
        if (walk.judge(pending.query, balls_[pending.query], columns, joint, nearest[pending.query])) {
          answers[i] = walk.same_label();
        } else {
          pending.reach = walk.reach();
        }
      }
    });
    size_t kept = 0;
    for (size_t i = 0; i < answers.size(); ++i) {
      if (answers[i] >= 0) {
        settle(candidate, candidate.pending[i].query, static_cast<uint32_t>(answers[i]));
      } else {
        candidate.pending[kept++] = candidate.pending[i];
      }
    }
    candidate.pending.resize(kept);
    raise_best_low(candidate.low);
  }

  void settle(Candidate& candidate, uint32_t query, uint32_t same_label) const {
    const uint64_t earned = query_credit(same_label, problem_.order, problem_.kind);
    candidate.full[query] = earned == problem_.order;
    candidate.low += earned;
    candidate.possible -= problem_.order - earned;
  }

  void raise_best_low(uint64_t low) {
    uint64_t best = best_low_.load(std::memory_order_relaxed);
    while (low > best && !best_low_.compare_exchange_weak(best, low, std::memory_order_relaxed)) {
    }
  }

  // Makes progress with some of the candidates, which all have queries pending and are sorted best first.
  void resolve(const std::vector<Candidate*>& live) {
    const std::vector<Candidate*> candidates(
        live.begin(), live.begin() + static_cast<std::ptrdiff_t>(std::min(live.size(), kResolvedAtOnce)));
    std::vector<float> reach(points_.size(), 0.0f);
    size_t pairs = 0;
    bool evaluate = false;
    for (const Candidate* candidate : candidates) {
      for (const Pending& pending : candidate->pending) {
        reach[pending.query] = std::max(reach[pending.query], pending.reach);
      }
      pairs += candidate->pending.size();
      evaluate = evaluate || candidate->needs_evaluation;
    }
    std::vector<uint32_t> queries;
    size_t aged = 0;
    for (uint32_t query = 0; query < points_.size(); ++query) {
      if (reach[query] == 0.0f) continue;
      queries.push_back(query);
      aged += aged_[query];
    }
    if (4 * aged > points_.size()) {
      fill_all();
      walk(live, 0, static_cast<uint32_t>(points_.size()));
      return;
    }
    if (evaluate || 4 * pairs > candidates.size() * points_.size()) {
      evaluate_fully(candidates);
      return;
    }
    enlarge_balls(candidates, queries, reach);
  }

  void evaluate_fully(const std::vector<Candidate*>& candidates) {
    std::vector<uint32_t> filters;
    for (const Candidate* candidate : candidates) filters.push_back(candidate->filter);
    const std::vector<double> values = problem_.evaluate(selected_, filters);
    for (size_t i = 0; i < candidates.size(); ++i) {
      Candidate& candidate = *candidates[i];
      candidate.low = static_cast<uint64_t>(std::llround(values[i] * units()));
      candidate.possible = candidate.low;
      candidate.pending.clear();
      raise_best_low(candidate.low);
    }
  }

  // Balls as large as the pending queries need, a few at a time; only the usual size is kept.
  void enlarge_balls(const std::vector<Candidate*>& candidates, const std::vector<uint32_t>& queries,
                     const std::vector<float>& reach) {
    // Balls shrink as they grow old: what they left free goes to those that did not suffice.
    size_t members = 0;
    for (const Ball& ball : balls_) members += ball.members.size();
    const size_t room = points_.size() * wanted_ - std::min(points_.size() * wanted_, members);
    const size_t wanted = std::clamp(room / queries.size(), wanted_,
                                     std::max(wanted_, std::min(points_.size() / 5, 2 * wanted_)));
    const size_t capacity = std::max(
        wanted + wanted / 4, kTransientBytes / sizeof(BallMember) / std::min(kRowsAtOnce, queries.size()));
    for (size_t begin = 0; begin < queries.size(); begin += kRowsAtOnce) {
      const size_t end = std::min(queries.size(), begin + kRowsAtOnce);
      const std::vector<uint32_t> some(queries.begin() + static_cast<std::ptrdiff_t>(begin),
                                       queries.begin() + static_cast<std::ptrdiff_t>(end));
      std::vector<float> radii;
      for (const uint32_t query : some) radii.push_back(reach[query] * kReachMargin + 0x1p-100f);
      fill(some, wanted, &radii, capacity);
      walk(candidates, some.front(), some.back() + 1);
      for (const uint32_t query : some) {
        Ball& ball = balls_[query];
        ball.shrink(wanted);
        ball.settle();
        ball.members.shrink_to_fit();
      }
    }
    for (Candidate* candidate : candidates) candidate->needs_evaluation = !candidate->pending.empty();
  }

  const GreedyProblem& problem_;
  const Points& points_;
  const Conditioning& conditioning_;
  RunContext& run_;
  size_t dims_;
  size_t wanted_;
  std::vector<Ball> balls_;
  std::vector<uint8_t> aged_;  // balls that were grown since they were filled
  WalkProblem walk_problem_;
  std::vector<double> value_;  // what each filter was last known to reach
  std::vector<std::unique_ptr<FilterSlice>> slices_;
  std::vector<uint32_t> remaining_;
  std::vector<uint32_t> visit_order_;  // of the queries
  std::vector<uint32_t> selected_;     // ascending
  PointSums sums_;                     // over the selected
  Selection selection_;
  std::atomic<uint64_t> best_low_{0};
};

}  // namespace

bool can_select_with_balls(const Points& points, const Conditioning& conditioning, size_t filters,
                           size_t order, int threads) {
  const size_t dims = points.columns / filters;
  const size_t slices = static_cast<size_t>(threads) * FilterSlice::bytes(points.size(), dims);
  const size_t input = points.size() * points.columns * sizeof(float);
  return filters > 1 && ball_members(points, order) > 0 && slices <= (size_t{8} << 20) + input / 8 &&
         selection_error(filters, dims).epsilon < 1e-3 &&
         oversized_points(points, conditioning, kLargestFloat32Norm).empty();
}

float scaled_nearest(double square_distance, const Conditioning& conditioning) {
  const double scale = conditioning.scale;
  return static_cast<float>(square_distance * scale * scale * (1.0 - 0x1p-20));
}

Selection select_with_balls(const GreedyProblem& problem, const Conditioning& conditioning, size_t limit,
                            RunContext& run, double from, double to) {
  return GreedySelection(problem, conditioning, run).select(limit, from, to);
}

}  // namespace sieve
