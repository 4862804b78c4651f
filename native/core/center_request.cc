#include "core/center_request.h"

#include <utility>

#include "core/backend.h"
#include "core/request.h"

namespace sieve {

CenterRequest center_request(const sieve_separation_request& request, RunContext& run) {
  const CenterKernels& kernels = center_kernels(resolve_backend(run.requested_backend()));
  Points points = take_all_points(request.features, request.labels, request.class_count, "features", run);
  ClassCenters centers = class_centers(points, request.class_count, kernels, run);
  // The means tell whether all values are finite; only where they are not, the rows are looked at.
  if (points.size() < 2 || !centers.finite()) {
    keep_finite_points(points, request.skip_non_finite != 0, "features", run);
    require_points(points);
    centers = class_centers(points, request.class_count, kernels, run);
  }
  return {&kernels, std::move(points), std::move(centers)};
}

}  // namespace sieve
