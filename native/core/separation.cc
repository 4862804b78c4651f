// sieve_separation_index, sieve_cross_separation_index, sieve_smoothness_index.
#include <algorithm>
#include <cmath>
#include <limits>
#include <string>

#include "core/failure.h"
#include "core/neighbour_search.h"
#include "core/parallel.h"
#include "core/points.h"
#include "core/request.h"
#include "core/run_context.h"
#include "core/scores.h"
#include "sieve/sieve.h"

namespace sieve {
namespace {

void write_neighbours(const SearchProblem& problem, const SearchAnswer& answer,
                      sieve_separation_result* result) {
  const size_t order = problem.order;
  const size_t slots = problem.queries->matrix_rows * order;
  std::fill_n(result->nearest, slots, int64_t{-1});
  if (result->nearest_distance != nullptr) {
    std::fill_n(result->nearest_distance, slots, std::numeric_limits<double>::quiet_NaN());
  }
  for (size_t query = 0; query < problem.queries->size(); ++query) {
    const size_t at = static_cast<size_t>(problem.queries->rows[query]) * order;
    for (size_t i = 0; i < order; ++i) {
      const Neighbour& neighbour = answer.neighbours[query * order + i];
      result->nearest[at + i] = problem.references->rows[neighbour.point];
      if (result->nearest_distance != nullptr) result->nearest_distance[at + i] = neighbour.distance;
    }
  }
}

void run_separation(const sieve_separation_request& request, const Points& queries, const Points& references,
                    RunContext& run, sieve_separation_result* result) {
  const size_t order = checked_order(request, references.size() - (&queries == &references ? 1 : 0));
  const bool wants_neighbours = result->nearest != nullptr;
  const SearchProblem problem{
      &queries, &references, order, wants_neighbours, 0, label_stop(request.kind, order, wants_neighbours)};
  const NeighbourSearch search(problem, run);
  const Columns columns{{0, queries.columns}};
  std::vector<SearchSet> sets;
  sets.push_back(search.set_of(columns, run));
  const SearchAnswer answer = std::move(search.search({}, false, sets, run, 0.0, 1.0).front());
  result->value = separation_score(answer.same_label, queries.labels, order, request.kind,
                                   request.class_count, result->per_class);
  result->rows_used = static_cast<int64_t>(queries.size());
  result->backend = search.backend();
  if (result->nearest != nullptr) write_neighbours(problem, answer, result);
  run.finish();
}

void check_result(const sieve_separation_result* result) {
  require(result != nullptr, "a pointer", "result", "NULL");
  require(result->nearest_distance == nullptr || result->nearest != nullptr, "result->nearest beside it",
          "result->nearest_distance", "NULL");
}

// The share of the span of target distances that the input-space neighbour saves, for one query. `distances`
// are squared; the index is linear in the distances themselves.
double smoothness_of(const Points& targets, const std::vector<double>& distances, size_t query,
                     size_t neighbour) {
  double least = std::numeric_limits<double>::infinity();
  double greatest = 0.0;
  for (size_t other = 0; other < targets.size(); ++other) {
    if (other == query) continue;
    least = std::min(least, distances[other]);
    greatest = std::max(greatest, distances[other]);
  }
  const double low = std::sqrt(least), high = std::sqrt(greatest);
  return high > low ? (high - std::sqrt(distances[neighbour])) / (high - low) : 1.0;
}

}  // namespace
}  // namespace sieve

extern "C" {

sieve_status sieve_separation_index(const sieve_separation_request* request, const sieve_run_options* options,
                                    sieve_separation_result* result, sieve_error* error) {
  using namespace sieve;
  return guarded(error, [&] {
    check_request(request);
    check_result(result);
    RunContext run(options);
    const Points points = request_points(*request, run);
    run_separation(*request, points, points, run, result);
  });
}

sieve_status sieve_cross_separation_index(const sieve_separation_request* request, sieve_matrix reference,
                                          const int32_t* reference_labels, const sieve_run_options* options,
                                          sieve_separation_result* result, sieve_error* error) {
  using namespace sieve;
  return guarded(error, [&] {
    check_request(request);
    check_result(result);
    require(reference_labels != nullptr, "a pointer", "reference_labels", "NULL");
    require(reference.columns == request->features.columns, "as many columns as the queries have",
            "reference", std::to_string(reference.columns));
    RunContext run(options);
    const Points queries = take_points(request->features, request->labels, request->class_count,
                                       request->skip_non_finite != 0, "features", run);
    const Points references = take_points(reference, reference_labels, request->class_count,
                                          request->skip_non_finite != 0, "reference", run);
    require(queries.size() >= 1, "at least 1 usable row", "features", "0");
    require(references.size() >= 1, "at least 1 usable row", "reference", "0");
    run_separation(*request, queries, references, run, result);
  });
}

sieve_status sieve_smoothness_index(sieve_matrix features, sieve_matrix targets,
                                    const sieve_run_options* options, double* value, sieve_error* error) {
  using namespace sieve;
  return guarded(error, [&] {
    require(value != nullptr, "a pointer", "value", "NULL");
    require(targets.rows == features.rows, "as many rows as the features have", "targets",
            std::to_string(targets.rows));
    RunContext run(options);
    const Points points = take_points(features, nullptr, 0, false, "features", run);
    const Points target_points = take_points(targets, nullptr, 0, false, "targets", run);
    require(points.size() >= 2, "at least 2 rows", "features", std::to_string(points.size()));

    const SearchProblem problem{&points, &points, 1, true};
    const NeighbourSearch search(problem, run);
    std::vector<SearchSet> sets;
    sets.push_back(search.set_of({{0, points.columns}}, run));
    const SearchAnswer answer = std::move(search.search({}, false, sets, run, 0.0, 0.7).front());

    const Columns target_columns{{0, target_points.columns}};
    std::vector<double> smoothness(points.size());
    run.begin_phase(0.7, 1.0, points.size());
    parallel_ranges(run, points.size(), 8, [&](size_t begin, size_t end, int) {
      RowReader reader(target_points, 1);
      std::vector<double> distances(target_points.size());
      for (size_t query = begin; query < end; ++query) {
        distances_to_all(reader.read(0, query, target_columns), target_points, target_columns,
                         distances.data());
        smoothness[query] = smoothness_of(target_points, distances, query, answer.neighbours[query].point);
        run.advance();
      }
    });
    double sum = 0.0;
    for (const double share : smoothness) sum += share;
    *value = sum / static_cast<double>(points.size());
    run.finish();
  });
}

}  // extern "C"
