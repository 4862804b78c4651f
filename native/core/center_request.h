// The usable rows of a request and the means of their classes, in one pass over the data.
#ifndef SIEVE_CORE_CENTER_REQUEST_H
#define SIEVE_CORE_CENTER_REQUEST_H

#include "core/class_centers.h"
#include "core/points.h"
#include "core/run_context.h"
#include "kernels/center_kernels.h"
#include "sieve/sieve.h"

namespace sieve {

struct CenterRequest {
  const CenterKernels* kernels;
  Points points;  // without square_norms
  ClassCenters centers;
};

// Fails as request_points does. A second and third pass are made only where a value is not finite.
CenterRequest center_request(const sieve_separation_request& request, RunContext& run);

}  // namespace sieve

#endif  // SIEVE_CORE_CENTER_REQUEST_H
