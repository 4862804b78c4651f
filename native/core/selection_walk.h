// How many of a query's `order` nearest bear its label once a filter f joins the selected set S, from the
// query's ball alone (core/selection_balls.h), or the radius that the ball would need.
//
// The certificate. Members are visited in ascending D_S (those after the sorted ones as they come). Let U be
// the `order`-th smallest upper bound of D_S + D_f among those visited. A point j can be among the `order`
// nearest only if D_S(j) + m_f <= U, so only if D_S(j) is within
//     reach = (U - m_f + eta) / (1 - epsilon).
// The walk ends at the first member beyond its reach, and reach shrinks as it goes. The answer is certain
// where the ball's radius is above the reach: nothing outside can matter. Of the visited, those whose lower
// bound is at most U contend; where they are just `order` or all of one label, that is the answer, else the
// float64 reference decides between them: exactly, with ties to the lowest index. (Fagin's threshold
// algorithm with one sorted list, the other's bound being its first entry.)
#ifndef SIEVE_CORE_SELECTION_WALK_H
#define SIEVE_CORE_SELECTION_WALK_H

#include <cstddef>
#include <cstdint>
#include <vector>

#include "core/aligned_floats.h"
#include "core/points.h"
#include "core/selection_balls.h"
#include "kernels/gather_kernels.h"
#include "kernels/nearest_serial.h"

namespace sieve {

// The columns of one filter, scaled and contiguous: [points, depth], depth a multiple of kGatherLanes.
class FilterSlice {
 public:
  FilterSlice(size_t points, size_t dims);
  // Takes over the rows [begin, end) of a filter.
  void fill(const Points& points, size_t column, float scale, size_t begin, size_t end);

  static size_t bytes(size_t points, size_t dims);
  size_t depth() const { return depth_; }
  const float* data() const { return values_.data(); }
  const float* row(size_t point) const { return values_.data() + point * depth_; }

 private:
  size_t dims_;
  size_t depth_;
  AlignedFloats values_;
};

// Error of the distances that this selection adds up; see selection_balls.h.
struct SelectionError {
  double epsilon;
  double eta;
};

SelectionError selection_error(size_t filters, size_t dims);

struct WalkProblem {
  const Points* points;
  GatherDistances gather;
  size_t order;
  SelectionError error;
};

class BallWalk {
 public:
  explicit BallWalk(const WalkProblem& problem);

  // slice: of f; columns: of S and f; nearest: lower bound of m_f(query). True where the answer is certain:
  // same_label() then has it, else reach() the radius that is needed (infinite: nothing known).
  bool judge(size_t query, const Ball& ball, const FilterSlice& slice, const Columns& columns, float nearest);

  uint32_t same_label() const { return same_label_; }
  float reach() const { return reach_; }

 private:
  void decide(size_t query, const Columns& columns);

  WalkProblem problem_;
  RowReader reader_;
  NearestList nearest_;
  std::vector<uint32_t> points_;  // visited
  std::vector<float> distances_;  // of those, over S and f
  std::vector<float> smallest_;   // the `order` smallest of these, ascending
  std::vector<uint32_t> contenders_;
  std::vector<double> exact_;
  uint32_t same_label_ = 0;
  float reach_ = 0.0f;
};

}  // namespace sieve

#endif  // SIEVE_CORE_SELECTION_WALK_H
