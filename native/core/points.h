// The rows of a matrix that take part in a computation, and sets of its columns.
#ifndef SIEVE_CORE_POINTS_H
#define SIEVE_CORE_POINTS_H

#include <cstddef>
#include <cstdint>
#include <vector>

#include "core/run_context.h"
#include "kernels/decode_kernels.h"
#include "sieve/sieve.h"

namespace sieve {

struct ColumnRange {
  size_t begin;
  size_t count;
};

// Disjoint ranges, ascending.
using Columns = std::vector<ColumnRange>;

size_t column_count(const Columns& columns);

// Columns of a set of filters, filter f owning dims columns from f*dims on. filters: ascending, without
// repeats.
Columns filter_columns(const std::vector<uint32_t>& filters, size_t dims);

// The columns of `base` (ascending) and of one filter more, which may be among them.
Columns joint_columns(const std::vector<uint32_t>& base, uint32_t filter, size_t dims);

// Point p is row rows[p] of the matrix; rows ascend, so the order of points is the order of rows.
struct Points {
  const void* data = nullptr;
  DecodeHalf decode = nullptr;  // of 16-bit elements; NULL: they are float32
  size_t columns = 0;
  size_t row_stride = 0;
  size_t matrix_rows = 0;
  std::vector<uint32_t> rows;
  std::vector<int32_t> labels;       // of each point; empty for data without labels
  std::vector<double> square_norms;  // of each point, over all columns

  size_t size() const { return rows.size(); }

  // `count` values of a point from column `begin` on: those of the matrix itself where it is float32, else
  // decoded into scratch [count].
  const float* values(size_t point, size_t begin, size_t count, float* scratch) const {
    const size_t at = static_cast<size_t>(rows[point]) * row_stride + begin;
    if (decode == nullptr) return static_cast<const float*>(data) + at;
    decode(static_cast<const uint16_t*>(data) + at, count, scratch);
    return scratch;
  }
};

// Whole rows of points as float32, `slots` of them at a time.
class RowReader {
 public:
  RowReader(const Points& points, size_t slots);

  // A row that is valid in these columns, until the slot is read again.
  const float* read(size_t slot, size_t point, const Columns& columns);

 private:
  const Points& points_;
  std::vector<float> decoded_;  // [slots, columns]; empty for float32
};

// Checks a matrix and its labels (NULL: none) and takes all rows, without looking at their values and without
// square_norms. `name` is the matrix's name in messages.
Points take_all_points(const sieve_matrix& matrix, const int32_t* labels, int32_t class_count,
                       const char* name, RunContext& run);

// Sets square_norms and keeps the usable rows. The first row with NaN or an infinity fails with its number;
// where skip_non_finite, all such rows are left out. One pass over the data.
void keep_finite_points(Points& points, bool skip_non_finite, const char* name, RunContext& run);

// Both.
Points take_points(const sieve_matrix& matrix, const int32_t* labels, int32_t class_count,
                   bool skip_non_finite, const char* name, RunContext& run);

}  // namespace sieve

#endif  // SIEVE_CORE_POINTS_H
