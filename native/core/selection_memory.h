// What a forward selection keeps in memory: together at most half of the input as float32, which is what the
// rounded copy of a search takes, and 64 MiB.
#ifndef SIEVE_CORE_SELECTION_MEMORY_H
#define SIEVE_CORE_SELECTION_MEMORY_H

#include <cstddef>

#include "core/points.h"

namespace sieve {

struct SelectionMemory {
  size_t ball_members;  // that a ball should have; 0: too few for balls to be of use
  size_t
      table_members;  // the same beside a table of pairs (core/selection_table.h); 0: there is no room for it
};

SelectionMemory selection_memory(const Points& points, size_t filters, size_t order, int threads);

// Beside a table: candidates that may be evaluated at once.
constexpr size_t kEvaluatedAtOnce = 2;
// Bytes that balls may take beyond their usual size for a while.
constexpr size_t kTransientBytesOfTable = size_t{4} << 20;

}  // namespace sieve

#endif  // SIEVE_CORE_SELECTION_MEMORY_H
