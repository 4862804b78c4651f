// sieve_center_separation_shard.
#include <algorithm>
#include <string>
#include <vector>

#include "core/center_request.h"
#include "core/center_search.h"
#include "core/failure.h"
#include "core/request.h"
#include "core/scores.h"
#include "sieve/sieve.h"

namespace sieve {
namespace {

size_t first_point_from(const Points& points, size_t row) {
  return static_cast<size_t>(std::lower_bound(points.rows.begin(), points.rows.end(), row) -
                             points.rows.begin());
}

}  // namespace
}  // namespace sieve

extern "C" sieve_status sieve_center_separation_shard(const sieve_separation_request* request,
                                                      size_t first_query, size_t query_rows,
                                                      const sieve_run_options* options,
                                                      sieve_center_result* result, sieve_error* error) {
  using namespace sieve;
  return guarded(error, [&] {
    check_request(request);
    require(result != nullptr, "a pointer", "result", "NULL");
    const size_t rows = request->features.rows;
    require(query_rows >= 1 && first_query < rows && query_rows <= rows - first_query,
            "a range of the rows, not empty", "first_query and query_rows",
            std::to_string(first_query) + " and " + std::to_string(query_rows));
    RunContext run(options);
    const auto [kernels, points, centers] = center_request(*request, run);
    const size_t first = first_point_from(points, first_query);
    const size_t last = first_point_from(points, first_query + query_rows);
    require(last > first, "at least 1 usable row", "the range of queries", "0");

    run.begin_phase(0.4, 1.0, last - first);
    const std::vector<int32_t> nearest = nearest_centers(points, centers, *kernels, first, last, run);
    const std::vector<int32_t> labels(points.labels.begin() + static_cast<std::ptrdiff_t>(first),
                                      points.labels.begin() + static_cast<std::ptrdiff_t>(last));
    result->value = center_score(nearest, labels, request->class_count, result->per_class);
    result->rows_used = static_cast<int64_t>(nearest.size());
    if (result->nearest != nullptr) {
      std::fill_n(result->nearest, query_rows, -1);
      for (size_t i = 0; i < nearest.size(); ++i) {
        result->nearest[points.rows[first + i] - first_query] = nearest[i];
      }
    }
    if (result->centers != nullptr) centers.write(result->centers);
    run.finish();
  });
}
