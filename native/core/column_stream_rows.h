// What a column stream learns about its rows, block by block.
#ifndef SIEVE_CORE_COLUMN_STREAM_ROWS_H
#define SIEVE_CORE_COLUMN_STREAM_ROWS_H

#include <cstddef>
#include <cstdint>
#include <vector>

#include "core/points.h"
#include "core/run_context.h"
#include "sieve/sieve.h"

namespace sieve {

struct StreamRows {
  StreamRows(const int32_t* row_labels, size_t count);

  size_t size() const { return labels.size(); }
  size_t usable_count() const;

  std::vector<int32_t> labels;
  std::vector<uint8_t> usable;    // no NaN or infinity so far
  std::vector<uint32_t> copy_of;  // of usable rows: the lowest one that equals it in all columns so far
};

// A block's points that the stream may use, and all its rows, so that point i is row i.
struct StreamBlock {
  Points usable;
  Points all;
};

// Checks a block. A non-finite row is no longer usable where skip_non_finite, else an error; `rows` changes
// only where the call succeeds.
StreamBlock take_block(const sieve_matrix& block, bool skip_non_finite, StreamRows& rows, RunContext& run);

// Splits the groups of copies by the values of one block. usable: the block's usable points, hashes: theirs,
// equal for equal rows. O(points log points), and one comparison of rows a copy.
void refine_copies(const Points& usable, const std::vector<uint64_t>& hashes, StreamRows& rows);

// The groups of more than `order` copies, each ascending: their members' `order` nearest are among
// themselves.
std::vector<std::vector<uint32_t>> large_groups(const StreamRows& rows, size_t order);

// Tells two passes over other values apart: the same blocks give each usable row the same digest.
class StreamDigest {
 public:
  explicit StreamDigest(size_t rows) : digests_(rows, 0) {}
  void add(const Points& usable, const std::vector<uint64_t>& hashes);
  bool equals(const StreamDigest& other, const StreamRows& rows) const;

 private:
  std::vector<uint64_t> digests_;
};

// Equal for equal rows of this block.
std::vector<uint64_t> block_hashes(const Points& points, const RunContext& run);

}  // namespace sieve

#endif  // SIEVE_CORE_COLUMN_STREAM_ROWS_H
