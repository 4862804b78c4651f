#include "core/column_stream_candidates.h"

#include <algorithm>
#include <atomic>
#include <cfloat>
#include <cmath>
#include <limits>
#include <memory>
#include <string>

#include "core/aligned_floats.h"
#include "core/candidate_lists.h"
#include "core/failure.h"
#include "core/parallel.h"

namespace sieve {
namespace {

constexpr float kNever = std::numeric_limits<float>::infinity();
constexpr size_t kSpareCandidates = 3;  // as in core/neighbour_search.cc

class ProductJudge {
 public:
  ProductJudge(const StreamProducts& products, const StreamRows& rows,
               const std::vector<std::vector<uint32_t>>& groups, StreamAnswers& answers)
      : products_(products),
        rows_(rows),
        answers_(answers),
        bounds_(products.bounds()),
        lists_(rows.size(), {answers.order, products.exact() ? 0 : kSpareCandidates, LabelStop::kNone},
               rows.labels.data()) {
    for (const std::vector<uint32_t>& group : groups) {
      // Nobody needs more than the lowest `order` of a group.
      for (size_t rank = answers.order; rank < group.size(); ++rank)
        bounds_.lower_norms[group[rank]] = kNever;
    }
    for (size_t row = 0; row < rows.size(); ++row) {
      if (rows.usable[row] == 0) {
        bounds_.lower_norms[row] = kNever;
      } else if (products.oversized(row)) {
        if (bounds_.lower_norms[row] != kNever) oversized_.push_back(static_cast<uint32_t>(row));
        bounds_.lower_norms[row] = kNever;
      } else {
        in_products_ = in_products_ || answers.answered[row] == 0;
      }
      if (answers.answered[row] != 0 || products.oversized(row)) lists_.close(row);
    }
  }

  // Fills the lists of all rows that want one.
  void collect(RunContext& run, double from, double to) {
    if (!in_products_) return;
    for_each_hit(run, from, to, true, [&](size_t query, const TileHit& hit, uint32_t reference) {
      const float upper = bounds_.growth * (hit.lower + (bounds_.slacks[query] + bounds_.slacks[reference]));
      lists_.insert(query, {hit.lower, upper, reference});
    });
    for (size_t row = 0; row < rows_.size(); ++row) lists_.finish(row);
  }

  // Answers a row, or gives the rows that its distances are wanted to; `complete` is false where those in the
  // lists are not all.
  std::vector<uint32_t> judge(size_t query, bool& complete) {
    complete = true;
    std::vector<uint32_t> candidates;
    if (products_.oversized(query)) {
      for (size_t row = 0; row < rows_.size(); ++row) {
        if (row != query && rows_.usable[row] != 0) candidates.push_back(static_cast<uint32_t>(row));
      }
      return candidates;
    }
    if (products_.exact()) {
      NearestList nearest(answers_.order);
      for (const Candidate* c = lists_.begin(query); c != lists_.end(query); ++c) {
        nearest.offer({std::ldexp(static_cast<double>(c->lower), -2 * products_.scale_exponent()), c->point});
      }
      answers_.answer(query, nearest.neighbours(), rows_);
      return {};
    }
    const float threshold = lists_.threshold(query);
    add_reachable_oversized(query, candidates);
    for (const Candidate* c = lists_.begin(query); c != lists_.end(query); ++c) {
      if (c->lower <= threshold) candidates.push_back(c->point);
    }
    complete = lists_.complete(query);
    if (!answers_.wants_neighbours && certain(query, candidates, complete)) return {};
    if (!complete) candidates.clear();
    return candidates;
  }

  // All rows within the thresholds of some rows; at most `most` of them, else fewer and false.
  bool collect_all(const std::vector<uint32_t>& queries, size_t most,
                   std::vector<std::vector<uint32_t>>& found, RunContext& run, double from, double to) {
    if (queries.empty()) return true;
    std::vector<uint8_t> wanted(rows_.size(), 0);
    for (const uint32_t query : queries) {
      wanted[query] = 1;
      add_reachable_oversized(query, found[query]);
    }
    for (size_t row = 0; row < rows_.size(); ++row) {
      if (wanted[row] == 0) lists_.close(row);
    }
    std::atomic<size_t> total{0};
    for_each_hit(run, from, to, false, [&](size_t query, const TileHit&, uint32_t reference) {
      if (total.fetch_add(1, std::memory_order_relaxed) < most) found[query].push_back(reference);
    });
    return total.load() <= most;
  }

 private:
  // The label or labels of the nearest are known without the distances.
  bool certain(size_t query, const std::vector<uint32_t>& candidates, bool complete) {
    const int32_t own = rows_.labels[query];
    const size_t order = answers_.order;
    if (candidates.size() < order) return false;
    const int32_t first = rows_.labels[candidates.front()];
    const bool one_label = std::all_of(candidates.begin(), candidates.end(),
                                       [&](uint32_t row) { return rows_.labels[row] == first; }) &&
                           (complete || lists_.dropped_label(query) == first);
    if (one_label) {
      answers_.same_label[query] = first == own ? static_cast<uint32_t>(order) : 0;
    } else if (complete && candidates.size() == order) {
      answers_.same_label[query] = static_cast<uint32_t>(std::count_if(
          candidates.begin(), candidates.end(), [&](uint32_t row) { return rows_.labels[row] == own; }));
    } else {
      return false;
    }
    answers_.answered[query] = 1;
    return true;
  }

  // As in core/neighbour_search.cc: a distance is at least the difference of the norms, squared.
  void add_reachable_oversized(size_t query, std::vector<uint32_t>& reachable) const {
    const float threshold = lists_.threshold(query);
    const double norm = std::sqrt(products_.square_norms()[query]);
    for (const uint32_t row : oversized_) {
      const double gap = std::sqrt(products_.square_norms()[row]) - norm;
      if (threshold == FLT_MAX || !(gap > 0.0) || !(gap * gap * (1.0 - 1e-5) > threshold)) {
        reachable.push_back(row);
      }
    }
  }

  // Calls visit(query, hit, reference) for the pairs within the query's threshold, a query in one thread.
  template <typename Visit>
  void for_each_hit(RunContext& run, double from, double to, bool learns, const Visit& visit) {
    struct Worker {
      explicit Worker(const StreamProducts& products)
          : scratch(products.buffer_floats()),
            norms((products.edge() + 63) / 64 * 64),
            closed((products.edge() + 63) / 64 * 64, -kNever),
            hits(products.edge()) {}
      AlignedFloats scratch, norms, closed;
      std::vector<TileHit> hits;
    };
    const size_t tiles = products_.tile_count();
    std::vector<std::unique_ptr<Worker>> workers(static_cast<size_t>(worker_count(run, tiles)));
    run.begin_phase(from, to, tiles);
    parallel_for(run, tiles, [&](size_t a, int worker_index) {
      std::unique_ptr<Worker>& slot = workers[static_cast<size_t>(worker_index)];
      if (!slot) slot = std::make_unique<Worker>(products_);
      Worker& worker = *slot;
      for (size_t b = 0; b < tiles; ++b) {
        run.throw_if_cancelled();
        const float* tile = products_.tile(a, b, worker.scratch.data());
        const size_t first = b * products_.edge(), count = products_.rows_of(b);
        for (size_t j = 0; j < count; ++j) worker.norms.data()[j] = bounds_.lower_norms[first + j];
        for (size_t i = 0; i < products_.rows_of(a); ++i) {
          const size_t query = a * products_.edge() + i;
          if (lists_.threshold(query) == -kNever) continue;
          // A row that knows nothing yet takes everything: a short start teaches it a threshold.
          size_t step = learns && lists_.threshold(query) == FLT_MAX ? 64 : count;
          for (size_t j = 0; j < count; j += step, step = count) {
            const size_t found = products_.kernels().scan(tile + i * products_.stride(), worker.norms.data(),
                                                          worker.closed.data(), j, std::min(count, j + step),
                                                          bounds_.lower_norms[query], lists_.threshold(query),
                                                          worker.hits.data());
            for (size_t h = 0; h < found; ++h) {
              const uint32_t reference = static_cast<uint32_t>(first + worker.hits[h].column);
              if (reference != query) visit(query, worker.hits[h], reference);
            }
          }
        }
      }
      run.advance();
    });
  }

  const StreamProducts& products_;
  const StreamRows& rows_;
  StreamAnswers& answers_;
  PointBounds bounds_;  // a lower norm of infinity keeps a row from being a candidate
  CandidateLists lists_;
  std::vector<uint32_t> oversized_;
  bool in_products_ = false;
};

}  // namespace

void StreamAnswers::answer(size_t row, const std::vector<Neighbour>& nearest, const StreamRows& rows) {
  if (nearest.size() != order) {
    throw Failure(SIEVE_STATUS_INTERNAL, "Expected " + std::to_string(order) + " neighbours for row " +
                                             std::to_string(row) + " but received " +
                                             std::to_string(nearest.size()));
  }
  same_label[row] =
      static_cast<uint32_t>(std::count_if(nearest.begin(), nearest.end(), [&](const Neighbour& neighbour) {
        return rows.labels[neighbour.point] == rows.labels[row];
      }));
  if (wants_neighbours) {
    std::copy(nearest.begin(), nearest.end(), neighbours.begin() + static_cast<std::ptrdiff_t>(row * order));
  }
  answered[row] = 1;
}

void answer_copies(const std::vector<std::vector<uint32_t>>& groups, const StreamRows& rows,
                   StreamAnswers& answers) {
  std::vector<Neighbour> nearest;
  for (const std::vector<uint32_t>& group : groups) {
    for (const uint32_t row : group) {
      nearest.clear();
      for (size_t other = 0; nearest.size() < answers.order; ++other) {
        if (group[other] != row) nearest.push_back({0.0, group[other]});
      }
      answers.answer(row, nearest, rows);
    }
  }
}

WantedPairs answer_by_products(const StreamProducts& products, const StreamRows& rows,
                               const std::vector<std::vector<uint32_t>>& groups, size_t most_pairs,
                               StreamAnswers& answers, RunContext& run) {
  ProductJudge judge(products, rows, groups, answers);
  judge.collect(run, 0.0, 0.6);
  std::vector<std::vector<uint32_t>> found(rows.size());
  std::vector<uint32_t> incomplete;
  WantedPairs pairs;
  size_t total = 0;
  for (size_t row = 0; row < rows.size() && total <= most_pairs; ++row) {
    if (answers.answered[row] != 0) continue;
    bool complete = false;
    found[row] = judge.judge(row, complete);
    if (!complete) incomplete.push_back(static_cast<uint32_t>(row));
    total += found[row].size();
  }
  pairs.too_many =
      total > most_pairs || !judge.collect_all(incomplete, most_pairs - total, found, run, 0.6, 1.0);
  pairs.offsets.assign(rows.size() + 1, 0);
  if (pairs.too_many) return pairs;
  for (size_t row = 0; row < rows.size(); ++row) {
    pairs.offsets[row + 1] = pairs.offsets[row] + found[row].size();
  }
  pairs.references.reserve(pairs.offsets.back());
  for (std::vector<uint32_t>& references : found) {
    pairs.references.insert(pairs.references.end(), references.begin(), references.end());
    references = {};
  }
  return pairs;
}

}  // namespace sieve
