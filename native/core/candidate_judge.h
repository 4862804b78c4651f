// Answers one query after the other from the candidates that a sweep left.
#ifndef SIEVE_CORE_CANDIDATE_JUDGE_H
#define SIEVE_CORE_CANDIDATE_JUDGE_H

#include <cstddef>
#include <cstdint>
#include <vector>

#include "core/candidate_lists.h"
#include "core/points.h"
#include "core/search_problem.h"
#include "kernels/nearest_serial.h"
#include "kernels/row_kernels.h"

namespace sieve {

enum class Certainty { kAnswered, kNeedsSweep };

// For one thread. Where all candidates bear one label, or there are just `order` of them, labels are certain;
// else float64 decides, in any order of summation first and in the reference's where that is too close.
class CandidateJudge {
 public:
  // unit: PointBounds::unit of the queries.
  CandidateJudge(const SearchProblem& problem, const SearchSet& set, const CandidateLists& lists,
                 const RowKernels& kernels, double unit);

  // oversized: references that no list knows of. kNeedsSweep where the list lost candidates that matter.
  Certainty answer(size_t query, const std::vector<uint32_t>& oversized, SearchAnswer& answer);

  // Offers the reference distances to these points.
  void offer(size_t query, const std::vector<uint32_t>& points, NearestList& nearest);

 private:
  struct Contender {
    double lower;  // in the unit of the bounds
    double distance;
    uint32_t point;
  };

  uint32_t count_same_label(size_t query) const;
  void keep_contenders(size_t query);
  double distance_to(const float* row, uint32_t reference);

  const SearchProblem& problem_;
  const SearchSet& set_;
  const CandidateLists& lists_;
  const RowKernels& kernels_;
  double unit_;
  RowReader query_reader_;
  RowReader reference_reader_;
  NearestList nearest_;
  std::vector<uint32_t> points_;
  std::vector<Contender> contenders_;
  std::vector<double> distances_;
  std::vector<double> nearest_distances_;
};

}  // namespace sieve

#endif  // SIEVE_CORE_CANDIDATE_JUDGE_H
