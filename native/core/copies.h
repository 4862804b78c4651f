// Rows that are equal by value. Their distance is exactly 0, ties go to the lowest index: nothing to compute,
// and left in the search they would make every copy a candidate of every other.
#ifndef SIEVE_CORE_COPIES_H
#define SIEVE_CORE_COPIES_H

#include <cstddef>
#include <cstdint>
#include <vector>

#include "core/points.h"

namespace sieve {

// Groups of at least `smallest` points that are equal in the columns, each ascending. hashes: equal for equal
// points (PointSums). O(points log points) and one comparison a point of a group.
std::vector<std::vector<uint32_t>> groups_of_copies(const Points& points, const Columns& columns,
                                                    const std::vector<uint64_t>& hashes, size_t smallest);

}  // namespace sieve

#endif  // SIEVE_CORE_COPIES_H
