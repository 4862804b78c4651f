// Squared distances of one row to a few others that lie scattered over a matrix, in float32.
#ifndef SIEVE_KERNELS_GATHER_KERNELS_H
#define SIEVE_KERNELS_GATHER_KERNELS_H

#include <cstddef>
#include <cstdint>

namespace sieve {

// Rows of such a matrix are padded with zeros to a multiple of this many floats, and start on one.
constexpr size_t kGatherLanes = 16;

// distances[i] = |query - rows[members[i] * depth ...]|^2 over `depth` floats, a multiple of 16. Differences
// are taken as they are, so the error is relative: in any order of the 16 lanes' sums, whose chains have
// depth/16 and 16 additions, it is below (depth/16 + 20) 2^-24 where nothing underflows.
using GatherDistances = void (*)(const float* rows, size_t depth, const float* query, const uint32_t* members,
                                 size_t count, float* distances);

GatherDistances gather_distances_serial();
// NULL where this build does not have them.
GatherDistances gather_distances_avx2();
GatherDistances gather_distances_avx512();

}  // namespace sieve

#endif  // SIEVE_KERNELS_GATHER_KERNELS_H
