#include "core/selection_walk.h"

#include <algorithm>
#include <limits>

namespace sieve {
namespace {

constexpr size_t kStep = 8;  // members between two looks at the reach
constexpr size_t kExactStep = 8;

size_t padded(size_t dims) { return (dims + kGatherLanes - 1) / kGatherLanes * kGatherLanes; }

}  // namespace

FilterSlice::FilterSlice(size_t points, size_t dims)
    : dims_(dims), depth_(padded(dims)), values_(points * padded(dims)) {}

size_t FilterSlice::bytes(size_t points, size_t dims) { return points * padded(dims) * sizeof(float); }

void FilterSlice::fill(const Points& points, size_t column, float scale, size_t begin, size_t end) {
  std::vector<float> scratch(points.decode != nullptr ? dims_ : 0);
  for (size_t point = begin; point < end; ++point) {
    const float* values = points.values(point, column, dims_, scratch.data());
    float* row = values_.data() + point * depth_;
    for (size_t k = 0; k < dims_; ++k) row[k] = values[k] * scale;
  }
}

SelectionError selection_error(size_t filters, size_t dims) {
  const double columns = static_cast<double>(filters) * static_cast<double>(dims);
  // A gathered distance (+ 4 for its scaled operands), one addition a filter, and the reference's own error.
  const double roundings =
      static_cast<double>(padded(dims)) / kGatherLanes + 24.0 + static_cast<double>(filters);
  return {1.01 * (roundings * 0x1p-24 + (columns + 3.0) * 0x1p-51), (columns + 1.0) * 0x1p-100};
}

BallWalk::BallWalk(const WalkProblem& problem)
    : problem_(problem), reader_(*problem.points, 1), nearest_(problem.order) {}

bool BallWalk::judge(size_t query, const Ball& ball, const FilterSlice& slice, const Columns& columns,
                     float nearest) {
  const auto [epsilon, eta] = problem_.error;
  const size_t order = problem_.order;
  const std::vector<BallMember>& members = ball.members;
  if (points_.size() < members.size()) {
    points_.resize(members.size());
    distances_.resize(members.size());
  }
  smallest_.assign(order, std::numeric_limits<float>::infinity());
  double reach = std::numeric_limits<double>::infinity();
  double least_upper = reach;
  size_t next = 0, visited = 0;
  while (next < members.size()) {
    // A few that are within reach; in the sorted part the first beyond it ends the walk.
    size_t end = visited;
    for (; next < members.size() && end < visited + kStep; ++next) {
      if (members[next].distance <= reach) {
        points_[end] = members[next].point;
        distances_[end++] = members[next].distance;
      } else if (next < Ball::kSortedMembers) {
        next = members.size();
        break;
      }
    }
    float added[kStep];
    problem_.gather(slice.data(), slice.depth(), slice.row(query), points_.data() + visited, end - visited,
                    added);
    const float before = smallest_.back();
    for (size_t i = visited; i < end; ++i) {
      const float joint = distances_[i] + added[i - visited];
      distances_[i] = joint;
      if (joint < smallest_.back()) {
        smallest_.pop_back();
        smallest_.insert(std::upper_bound(smallest_.begin(), smallest_.end(), joint), joint);
      }
    }
    visited = end;
    if (smallest_.back() < before) {
      least_upper = (static_cast<double>(smallest_.back()) + ball.slack) * (1.0 + epsilon) + eta;
      reach = std::max(0.0, (least_upper - nearest + eta) * (1.0 + 1.5 * epsilon));
    }
  }
  reach_ = static_cast<float>(std::min(reach * (1.0 + 0x1p-20), 3e38));
  if (!(ball.radius > reach) || visited < order) return false;

  const double limit = (least_upper + eta) * (1.0 + 1.5 * epsilon);
  contenders_.clear();
  for (size_t i = 0; i < visited; ++i) {
    if (distances_[i] <= limit) contenders_.push_back(points_[i]);
  }
  decide(query, columns);
  return true;
}

void BallWalk::decide(size_t query, const Columns& columns) {
  const std::vector<int32_t>& labels = problem_.points->labels;
  const int32_t own = labels[query];
  const auto matching = static_cast<size_t>(std::count_if(
      contenders_.begin(), contenders_.end(), [&](uint32_t point) { return labels[point] == own; }));
  if (contenders_.size() == problem_.order) {
    same_label_ = static_cast<uint32_t>(matching);
    return;
  }
  if (matching == contenders_.size()) {
    same_label_ = static_cast<uint32_t>(problem_.order);
    return;
  }
  if (matching == 0) {
    same_label_ = 0;
    return;
  }
  // In the order of their indices: once `order` copies of the query are found, no later point can replace
  // one.
  std::sort(contenders_.begin(), contenders_.end());
  nearest_.clear();
  exact_.resize(kExactStep);
  const float* row = reader_.read(0, query, columns);
  for (size_t begin = 0; begin < contenders_.size(); begin += kExactStep) {
    const size_t count = std::min(kExactStep, contenders_.size() - begin);
    distances_to(row, *problem_.points, contenders_.data() + begin, count, columns, exact_.data());
    for (size_t i = 0; i < count; ++i) nearest_.offer({exact_[i], contenders_[begin + i]});
    const std::vector<Neighbour>& found = nearest_.neighbours();
    if (found.size() == problem_.order && found.back().distance == 0.0) break;
  }
  same_label_ = static_cast<uint32_t>(
      std::count_if(nearest_.neighbours().begin(), nearest_.neighbours().end(),
                    [&](const Neighbour& neighbour) { return labels[neighbour.point] == own; }));
}

}  // namespace sieve
