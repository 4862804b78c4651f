#include "core/search_problem.h"

#include <algorithm>
#include <string>

#include "core/failure.h"

namespace sieve {
namespace {

bool has_labels(const SearchProblem& problem) { return !problem.queries->labels.empty(); }

}  // namespace

SearchAnswer empty_answer(const SearchProblem& problem) {
  SearchAnswer answer;
  if (has_labels(problem)) answer.same_label.resize(problem.queries->size());
  if (problem.wants_neighbours) answer.neighbours.resize(problem.queries->size() * problem.order);
  return answer;
}

void write_answer(const SearchProblem& problem, size_t query, const std::vector<Neighbour>& nearest,
                  SearchAnswer& answer) {
  if (nearest.size() < problem.order && problem.stop != LabelStop::kNone) {
    answer.same_label[query] = problem.stop == LabelStop::kOwnLabel ? 1 : 0;
    return;
  }
  if (nearest.size() < problem.order) {
    throw Failure(SIEVE_STATUS_INTERNAL, "Expected " + std::to_string(problem.order) +
                                             " neighbours for point " + std::to_string(query) +
                                             " but received " + std::to_string(nearest.size()));
  }
  if (has_labels(problem)) {
    answer.same_label[query] =
        static_cast<uint32_t>(std::count_if(nearest.begin(), nearest.end(), [&](const Neighbour& neighbour) {
          return problem.references->labels[neighbour.point] == problem.queries->labels[query];
        }));
  }
  if (problem.wants_neighbours) {
    std::copy(nearest.begin(), nearest.end(),
              answer.neighbours.begin() + static_cast<std::ptrdiff_t>(query * problem.order));
  }
}

}  // namespace sieve
