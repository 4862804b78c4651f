#include "core/filter_index.h"

#include <algorithm>
#include <functional>
#include <numeric>
#include <utility>

#include "core/backend.h"
#include "core/center_margins.h"
#include "core/neighbour_search.h"
#include "core/request.h"
#include "core/scores.h"

namespace sieve {
namespace {

std::vector<uint32_t> sorted(std::vector<uint32_t> filters) {
  std::sort(filters.begin(), filters.end());
  return filters;
}

class SeparationFilterIndex final : public FilterIndex {
 public:
  SeparationFilterIndex(const sieve_separation_request& request, const Points& points, size_t filters,
                        RunContext& run, FilterIndexUse use)
      : request_(request),
        points_(points),
        dims_(points.columns / filters),
        order_(checked_order(request, points.size() - 1)),
        search_(make_search(use == FilterIndexUse::kGreedySelection, false, run)) {
    const size_t bytes = filters * points.size() * (sizeof(double) + sizeof(uint64_t));
    const size_t input_bytes = points.size() * points.columns * sizeof(float);
    if (bytes > (size_t{16} << 20) + input_bytes / 8) return;
    for (size_t filter = 0; filter < filters; ++filter) {
      filter_sums_.push_back(search_->sums_of(points, {{filter * dims_, dims_}}, run));
    }
  }

  std::vector<double> with_each(const std::vector<uint32_t>& base, const std::vector<uint32_t>& candidates,
                                RunContext& run, double from, double to) const override {
    const std::vector<uint32_t> base_filters = sorted(base);
    const Columns base_columns = filter_columns(base_filters, dims_);
    PointSums base_sums;
    for (const uint32_t filter : base_filters) base_sums.add(filter_sums(filter, run));
    const auto make = [&](size_t i) {
      const Columns added = filter_columns({candidates[i]}, dims_);
      PointSums sums = base_sums;
      sums.add(filter_sums(candidates[i], run));
      return SearchSet{joint_columns(base_filters, candidates[i], dims_), added, std::move(sums), {}};
    };
    return in_batches(
        candidates.size(), [&](size_t) { return base_columns; }, false, make, run, from, to);
  }

  std::vector<double> of_prefixes(const std::vector<uint32_t>& order, RunContext& run, double from,
                                  double to) const override {
    PointSums sums;
    std::vector<uint32_t> taken;
    const auto make = [&](size_t i) {
      const Columns added = filter_columns({order[i]}, dims_);
      sums.add(filter_sums(order[i], run));
      taken.insert(std::lower_bound(taken.begin(), taken.end(), order[i]), order[i]);
      return SearchSet{filter_columns(taken, dims_), added, sums, {}};
    };
    const auto base_of = [&](size_t first) {
      return filter_columns(sorted({order.begin(), order.begin() + static_cast<std::ptrdiff_t>(first)}),
                            dims_);
    };
    return in_batches(order.size(), base_of, true, make, run, from, to);
  }

  std::vector<double> of_sets(const std::vector<std::vector<uint32_t>>& sets, RunContext& run, double from,
                              double to) const override {
    const auto make = [&](size_t i) { return search_->set_of(filter_columns(sets[i], dims_), run); };
    return in_batches(
        sets.size(), [](size_t) { return Columns{}; }, false, make, run, from, to);
  }

  Selection select_greedily(size_t filters, size_t limit, RunContext& run) override {
    const GatherDistances gather = gather_distances(search_->backend());
    if (gather == nullptr) return FilterIndex::select_greedily(filters, limit, run);
    const Conditioning conditioning = condition({&points_}, run);
    if (!can_select_with_balls(points_, conditioning, filters, order_, run.threads())) {
      return FilterIndex::select_greedily(filters, limit, run);
    }
    const double singles_end = limit == 1 ? 1.0 : std::max(0.3, 1.0 / static_cast<double>(limit));
    GreedyProblem problem{&points_, filters, order_, request_.kind, tile_kernels(search_->backend()), gather,
                          {},       {},      {}};
    const auto make = [&](size_t filter) {
      const Columns columns = {{filter * dims_, dims_}};
      return SearchSet{columns, columns, filter_sums(static_cast<uint32_t>(filter), run), {}};
    };
    problem.single = in_batches(
        filters, [](size_t) { return Columns{}; }, false, make, run, 0.0, singles_end,
        [&](const SearchAnswer& answer) {
          std::vector<float> nearest;
          for (size_t point = 0; point < points_.size(); ++point) {
            nearest.push_back(scaled_nearest(answer.neighbours[point * order_].distance, conditioning));
          }
          problem.nearest.push_back(std::move(nearest));
        });
    // The balls take the place of the rounded copy.
    filter_sums_.clear();
    search_.reset();
    search_ = make_search(false, true, run);
    problem.evaluate = [&](const std::vector<uint32_t>& base, const std::vector<uint32_t>& candidates) {
      return with_each(base, candidates, run, 0.0, 0.0);  // progress is the steps'
    };
    return select_with_balls(problem, conditioning, limit, run, singles_end, 1.0);
  }

 private:
  std::unique_ptr<NeighbourSearch> make_search(bool wants_neighbours, bool keeps_float32,
                                               RunContext& run) const {
    const LabelStop stop = label_stop(request_.kind, order_, wants_neighbours);
    return std::make_unique<NeighbourSearch>(
        SearchProblem{&points_, &points_, order_, wants_neighbours, dims_, stop, keeps_float32}, run);
  }

  PointSums filter_sums(uint32_t filter, const RunContext& run) const {
    return filter_sums_.empty() ? search_->sums_of(points_, {{filter * dims_, dims_}}, run)
                                : filter_sums_[filter];
  }

  // make(i) is called once for each i, ascending.
  std::vector<double> in_batches(size_t count, const std::function<Columns(size_t)>& base_of, bool cumulative,
                                 const std::function<SearchSet(size_t)>& make, RunContext& run, double from,
                                 double to,
                                 const std::function<void(const SearchAnswer&)>& visit = {}) const {
    std::vector<double> values;
    const size_t batch = search_->sets_at_once();
    for (size_t first = 0; first < count; first += batch) {
      const size_t last = std::min(count, first + batch);
      std::vector<SearchSet> sets;
      for (size_t i = first; i < last; ++i) sets.push_back(make(i));
      const auto at = [&](size_t i) {
        return from + (to - from) * static_cast<double>(i) / static_cast<double>(count);
      };
      for (const SearchAnswer& answer :
           search_->search(base_of(first), cumulative, sets, run, at(first), at(last))) {
        values.push_back(separation_score(answer.same_label, points_.labels, order_, request_.kind,
                                          request_.class_count, nullptr));
        if (visit) visit(answer);
      }
    }
    return values;
  }

  const sieve_separation_request& request_;
  const Points& points_;
  size_t dims_;
  size_t order_;
  std::unique_ptr<NeighbourSearch> search_;
  std::vector<PointSums> filter_sums_;  // of each filter; empty where they would take too much memory
};

class CenterFilterIndex final : public FilterIndex {
 public:
  CenterFilterIndex(const sieve_separation_request& request, const Points& points, size_t filters,
                    RunContext& run)
      : points_(points), margins_(points, request.class_count, points.columns / filters, run) {}

  std::vector<double> with_each(const std::vector<uint32_t>& base, const std::vector<uint32_t>& candidates,
                                RunContext& run, double from, double to) const override {
    run.begin_phase(from, to, points_.size());
    return shares(margins_.hits_with_each(sorted(base), candidates, run));
  }

  std::vector<double> of_prefixes(const std::vector<uint32_t>& order, RunContext& run, double from,
                                  double to) const override {
    std::vector<std::vector<uint32_t>> sets;
    for (size_t i = 0; i < order.size(); ++i) {
      sets.push_back(sorted({order.begin(), order.begin() + static_cast<std::ptrdiff_t>(i + 1)}));
    }
    return of_sets(sets, run, from, to);
  }

  std::vector<double> of_sets(const std::vector<std::vector<uint32_t>>& sets, RunContext& run, double from,
                              double to) const override {
    run.begin_phase(from, to, points_.size());
    return shares(margins_.hits_of_sets(sets, run));
  }

 private:
  std::vector<double> shares(const std::vector<uint64_t>& hits) const {
    std::vector<double> shares;
    for (const uint64_t count : hits) {
      shares.push_back(static_cast<double>(count) / static_cast<double>(points_.size()));
    }
    return shares;
  }

  const Points& points_;
  CenterMargins margins_;
};

}  // namespace

Selection FilterIndex::select_greedily(size_t filters, size_t limit, RunContext& run) {
  Selection selection;
  std::vector<uint32_t> remaining(filters);
  std::iota(remaining.begin(), remaining.end(), 0u);
  for (size_t step = 0; step < limit; ++step) {
    const double done = static_cast<double>(step) / static_cast<double>(limit);
    const std::vector<double> values =
        with_each(selection.order, remaining, run, done, done + 1.0 / static_cast<double>(limit));
    // max_element takes the first of equals: the lowest id.
    const auto best = std::max_element(values.begin(), values.end()) - values.begin();
    selection.curve.push_back(values[static_cast<size_t>(best)]);
    selection.order.push_back(remaining[static_cast<size_t>(best)]);
    remaining.erase(remaining.begin() + best);
  }
  return selection;
}

std::unique_ptr<FilterIndex> make_filter_index(const sieve_separation_request& request, const Points& points,
                                               size_t filters, int32_t index_kind, RunContext& run,
                                               FilterIndexUse use) {
  if (index_kind == SIEVE_INDEX_CENTER) {
    return std::make_unique<CenterFilterIndex>(request, points, filters, run);
  }
  return std::make_unique<SeparationFilterIndex>(request, points, filters, run, use);
}

}  // namespace sieve
