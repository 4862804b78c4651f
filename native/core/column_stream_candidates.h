// Between the passes of a column stream: which rows' neighbours are known by the products' bounds, and of
// which pairs float64 distances are wanted.
#ifndef SIEVE_CORE_COLUMN_STREAM_CANDIDATES_H
#define SIEVE_CORE_COLUMN_STREAM_CANDIDATES_H

#include <cstddef>
#include <cstdint>
#include <vector>

#include "core/column_stream_products.h"
#include "core/column_stream_rows.h"
#include "core/run_context.h"
#include "kernels/nearest_serial.h"

namespace sieve {

struct StreamAnswers {
  size_t order = 1;
  bool wants_neighbours = false;
  std::vector<uint8_t> answered;      // [rows]; rows that are not usable count as answered
  std::vector<uint32_t> same_label;   // [rows]: how many of the `order` nearest bear the row's label
  std::vector<Neighbour> neighbours;  // [rows * order] where wanted; points are rows

  void answer(size_t row, const std::vector<Neighbour>& nearest, const StreamRows& rows);
};

// The rows whose distances to row q are wanted: references[offsets[q]] .. references[offsets[q + 1] - 1].
struct WantedPairs {
  std::vector<size_t> offsets;
  std::vector<uint32_t> references;
  bool too_many = false;  // more than was allowed: the lists are empty
};

// Nothing to compute for the members of large groups of copies.
void answer_copies(const std::vector<std::vector<uint32_t>>& groups, const StreamRows& rows,
                   StreamAnswers& answers);

// Answers what the products decide. O(rows^2).
WantedPairs answer_by_products(const StreamProducts& products, const StreamRows& rows,
                               const std::vector<std::vector<uint32_t>>& groups, size_t most_pairs,
                               StreamAnswers& answers, RunContext& run);

}  // namespace sieve

#endif  // SIEVE_CORE_COLUMN_STREAM_CANDIDATES_H
