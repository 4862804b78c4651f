// sieve_center_separation_index.
#include <algorithm>
#include <vector>

#include "core/center_request.h"
#include "core/center_search.h"
#include "core/failure.h"
#include "core/request.h"
#include "core/scores.h"
#include "sieve/sieve.h"

extern "C" sieve_status sieve_center_separation_index(const sieve_separation_request* request,
                                                      const sieve_run_options* options,
                                                      sieve_center_result* result, sieve_error* error) {
  using namespace sieve;
  return guarded(error, [&] {
    check_request(request);
    require(result != nullptr, "a pointer", "result", "NULL");
    RunContext run(options);
    const auto [kernels, points, centers] = center_request(*request, run);
    run.begin_phase(0.4, 1.0, points.size());
    const std::vector<int32_t> nearest = nearest_centers(points, centers, *kernels, 0, points.size(), run);
    result->value = center_score(nearest, points.labels, request->class_count, result->per_class);
    result->rows_used = static_cast<int64_t>(points.size());
    if (result->nearest != nullptr) {
      std::fill_n(result->nearest, points.matrix_rows, -1);
      for (size_t point = 0; point < points.size(); ++point) {
        result->nearest[points.rows[point]] = nearest[point];
      }
    }
    if (result->centers != nullptr) centers.write(result->centers);
    run.finish();
  });
}
