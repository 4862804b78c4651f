// From neighbours to indices.
#ifndef SIEVE_CORE_SCORES_H
#define SIEVE_CORE_SCORES_H

#include <cstddef>
#include <cstdint>
#include <vector>

#include "sieve/sieve.h"

namespace sieve {

// What one query with so many of its `order` nearest of its own label counts, in units of 1/order: an
// integer, so that every sum is exact.
uint64_t query_credit(uint32_t same_label, size_t order, int32_t kind);

// same_label[q]: how many of query q's `order` nearest bear its label. per_class: optional [class_count], NaN
// for a class without queries. Returns the mean over all queries.
double separation_score(const std::vector<uint32_t>& same_label, const std::vector<int32_t>& labels,
                        size_t order, int32_t kind, int32_t class_count, double* per_class);

// nearest[q]: the class of query q's nearest centre. Returns the share of the queries whose label it is.
// per_class: as above.
double center_score(const std::vector<int32_t>& nearest, const std::vector<int32_t>& labels,
                    int32_t class_count, double* per_class);

}  // namespace sieve

#endif  // SIEVE_CORE_SCORES_H
