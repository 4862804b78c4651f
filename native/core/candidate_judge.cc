#include "core/candidate_judge.h"

#include <algorithm>
#include <limits>

namespace sieve {

CandidateJudge::CandidateJudge(const SearchProblem& problem, const SearchSet& set,
                               const CandidateLists& lists, const RowKernels& kernels, double unit)
    : problem_(problem),
      set_(set),
      lists_(lists),
      kernels_(kernels),
      unit_(unit),
      query_reader_(*problem.queries, 1),
      reference_reader_(*problem.references, 1),
      nearest_(problem.order) {}

Certainty CandidateJudge::answer(size_t query, const std::vector<uint32_t>& oversized, SearchAnswer& answer) {
  const float threshold = lists_.threshold(query);
  points_.assign(oversized.begin(), oversized.end());
  contenders_.clear();
  for (const uint32_t point : oversized) {
    contenders_.push_back({-std::numeric_limits<double>::infinity(), 0.0, point});
  }
  for (const Candidate* c = lists_.begin(query); c != lists_.end(query); ++c) {
    if (c->lower > threshold) continue;
    points_.push_back(c->point);
    contenders_.push_back({c->lower, 0.0, c->point});
  }
  const bool complete = lists_.complete(query);
  if (!problem_.wants_neighbours) {
    const std::vector<int32_t>& labels = problem_.references->labels;
    const int32_t own = problem_.queries->labels[query];
    const int32_t first = points_.empty() ? CandidateLists::kNoLabel : labels[points_.front()];
    const bool one_label =
        std::all_of(points_.begin(), points_.end(), [&](uint32_t point) { return labels[point] == first; }) &&
        (complete || lists_.dropped_label(query) == first);
    if (one_label && points_.size() >= problem_.order) {
      answer.same_label[query] = first == own ? static_cast<uint32_t>(problem_.order) : 0;
      return Certainty::kAnswered;
    }
    if (complete && points_.size() == problem_.order) {
      answer.same_label[query] = count_same_label(query);
      return Certainty::kAnswered;
    }
  }
  if (!complete) return Certainty::kNeedsSweep;
  if (points_.size() < problem_.order && problem_.stop != LabelStop::kNone) {
    write_answer(problem_, query, {}, answer);
    return Certainty::kAnswered;
  }
  keep_contenders(query);
  if (!problem_.wants_neighbours && points_.size() == problem_.order) {
    answer.same_label[query] = count_same_label(query);
    return Certainty::kAnswered;
  }
  nearest_.clear();
  offer(query, points_, nearest_);
  write_answer(problem_, query, nearest_.neighbours(), answer);
  return Certainty::kAnswered;
}

void CandidateJudge::offer(size_t query, const std::vector<uint32_t>& points, NearestList& nearest) {
  distances_.resize(points.size());
  distances_to(query_reader_.read(0, query, set_.columns), *problem_.references, points.data(), points.size(),
               set_.columns, distances_.data());
  for (size_t i = 0; i < points.size(); ++i) nearest.offer({distances_[i], points[i]});
}

uint32_t CandidateJudge::count_same_label(size_t query) const {
  const int32_t own = problem_.queries->labels[query];
  return static_cast<uint32_t>(std::count_if(points_.begin(), points_.end(), [&](uint32_t point) {
    return problem_.references->labels[point] == own;
  }));
}

// Drops from points_ what float64 in any order can tell to be beyond the `order` nearest. The most
// promising first: what they are at spares the others a look.
void CandidateJudge::keep_contenders(size_t query) {
  if (points_.size() <= problem_.order) return;
  std::sort(contenders_.begin(), contenders_.end(),
            [](const Contender& a, const Contender& b) { return a.lower < b.lower; });
  // Two orders of summation differ by less than 2 (dims + 3) 2^-53 of the sum; twice that, on both sides.
  const double tolerance = 8.0 * (static_cast<double>(column_count(set_.columns)) + 8.0) * 0x1p-53;
  const float* row = query_reader_.read(0, query, set_.columns);
  double limit = std::numeric_limits<double>::infinity();
  nearest_distances_.clear();
  size_t looked_at = 0;
  for (; looked_at < contenders_.size(); ++looked_at) {
    Contender& contender = contenders_[looked_at];
    if (contender.lower > limit * unit_) break;
    contender.distance = distance_to(row, contender.point);
    const auto at =
        std::upper_bound(nearest_distances_.begin(), nearest_distances_.end(), contender.distance);
    nearest_distances_.insert(at, contender.distance);
    if (nearest_distances_.size() > problem_.order) nearest_distances_.pop_back();
    if (nearest_distances_.size() == problem_.order) limit = nearest_distances_.back() * (1.0 + tolerance);
  }
  points_.clear();
  for (size_t i = 0; i < looked_at; ++i) {
    if (contenders_[i].distance <= limit) points_.push_back(contenders_[i].point);
  }
}

double CandidateJudge::distance_to(const float* row, uint32_t reference) {
  const float* other = reference_reader_.read(0, reference, set_.columns);
  double distance = 0.0;
  for (const ColumnRange& range : set_.columns) {
    distance += kernels_.square_distance(row + range.begin, other + range.begin, range.count);
  }
  return distance;
}

}  // namespace sieve
