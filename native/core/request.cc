#include "core/request.h"

#include <string>

#include "core/failure.h"

namespace sieve {

void check_request(const sieve_separation_request* request) {
  require(request != nullptr, "a pointer", "request", "NULL");
  require(request->labels != nullptr, "a pointer", "request->labels", "NULL");
  require(request->class_count >= 1, "at least 1 class", "request->class_count",
          std::to_string(request->class_count));
  require(request->kind >= SIEVE_SEPARATION_HARD && request->kind <= SIEVE_SEPARATION_ANTI,
          "a sieve_separation_kind", "request->kind", std::to_string(request->kind));
}

size_t checked_order(const sieve_separation_request& request, size_t available) {
  const bool fits = request.order >= 0 && static_cast<size_t>(request.order) <= available;
  if (!fits) {
    expected(SIEVE_STATUS_INVALID_ARGUMENT, "1 to " + std::to_string(available) + " neighbours",
             "request->order", std::to_string(request.order));
  }
  return request.order == 0 ? 1 : static_cast<size_t>(request.order);
}

void require_points(const Points& points) {
  require(points.size() >= 2, "at least 2 usable rows", "features", std::to_string(points.size()));
}

LabelStop label_stop(int32_t kind, size_t order, bool wants_neighbours) {
  if (wants_neighbours || order == 1 || kind == SIEVE_SEPARATION_SOFT) return LabelStop::kNone;
  return kind == SIEVE_SEPARATION_HARD ? LabelStop::kOtherLabel : LabelStop::kOwnLabel;
}

Points request_points(const sieve_separation_request& request, RunContext& run) {
  Points points = take_points(request.features, request.labels, request.class_count,
                              request.skip_non_finite != 0, "features", run);
  require_points(points);
  return points;
}

}  // namespace sieve
