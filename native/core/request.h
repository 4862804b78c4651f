// Checks of a sieve_separation_request that several functions share.
#ifndef SIEVE_CORE_REQUEST_H
#define SIEVE_CORE_REQUEST_H

#include <cstddef>

#include "core/candidate_lists.h"
#include "core/points.h"
#include "core/run_context.h"
#include "sieve/sieve.h"

namespace sieve {

// Pointers, class count, kind; not the data.
void check_request(const sieve_separation_request* request);

// The order to use (0 means 1); fails above `available`.
size_t checked_order(const sieve_separation_request& request, size_t available);

// Fails below 2 usable rows.
void require_points(const Points& points);

// Which label ends the search for the `order` nearest early.
LabelStop label_stop(int32_t kind, size_t order, bool wants_neighbours);

// The usable rows of features and labels, at least 2.
Points request_points(const sieve_separation_request& request, RunContext& run);

}  // namespace sieve

#endif  // SIEVE_CORE_REQUEST_H
