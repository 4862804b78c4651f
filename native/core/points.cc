#include "core/points.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <string>

#include "core/backend.h"
#include "core/failure.h"
#include "core/parallel.h"

namespace sieve {
size_t column_count(const Columns& columns) {
  size_t count = 0;
  for (const ColumnRange& range : columns) count += range.count;
  return count;
}

Columns filter_columns(const std::vector<uint32_t>& filters, size_t dims) {
  Columns columns;
  for (const uint32_t filter : filters) {
    const size_t begin = static_cast<size_t>(filter) * dims;
    if (!columns.empty() && columns.back().begin + columns.back().count == begin) {
      columns.back().count += dims;
    } else {
      columns.push_back({begin, dims});
    }
  }
  return columns;
}

Columns joint_columns(const std::vector<uint32_t>& base, uint32_t filter, size_t dims) {
  std::vector<uint32_t> filters = base;
  const auto at = std::lower_bound(filters.begin(), filters.end(), filter);
  if (at == filters.end() || *at != filter) filters.insert(at, filter);
  return filter_columns(filters, dims);
}

RowReader::RowReader(const Points& points, size_t slots)
    : points_(points), decoded_(points.decode != nullptr ? slots * points.columns : 0) {}

const float* RowReader::read(size_t slot, size_t point, const Columns& columns) {
  if (points_.decode == nullptr) return points_.values(point, 0, points_.columns, nullptr);
  float* row = decoded_.data() + slot * points_.columns;
  for (const ColumnRange& range : columns) points_.values(point, range.begin, range.count, row + range.begin);
  return row;
}

Points take_all_points(const sieve_matrix& matrix, const int32_t* labels, int32_t class_count,
                       const char* name, RunContext& run) {
  const std::string subject(name);
  if (matrix.data == nullptr) {
    expected(SIEVE_STATUS_INVALID_ARGUMENT, "a pointer", subject + ".data", "NULL");
  }
  if (matrix.rows == 0 || matrix.rows > 0x7fffffff) {
    expected(SIEVE_STATUS_INVALID_ARGUMENT, "1 to 2^31-1 rows", subject, std::to_string(matrix.rows));
  }
  // 2^27 columns is where the float64 reference itself would stop to be sharper than the float32 bound.
  if (matrix.columns == 0 || matrix.columns > (size_t{1} << 27)) {
    expected(SIEVE_STATUS_INVALID_ARGUMENT, "1 to 2^27 columns", subject, std::to_string(matrix.columns));
  }
  const size_t stride = matrix.row_stride == 0 ? matrix.columns : matrix.row_stride;
  if (stride < matrix.columns || stride > std::numeric_limits<size_t>::max() / sizeof(float) / matrix.rows) {
    expected(SIEVE_STATUS_INVALID_ARGUMENT, "a row stride of at least the columns", subject,
             std::to_string(matrix.row_stride));
  }
  if (matrix.element_type < SIEVE_ELEMENT_FLOAT32 || matrix.element_type > SIEVE_ELEMENT_BFLOAT16) {
    expected(SIEVE_STATUS_INVALID_ARGUMENT, "a sieve_element_type", subject + ".element_type",
             std::to_string(matrix.element_type));
  }
  if (labels != nullptr) {
    for (size_t row = 0; row < matrix.rows; ++row) {
      if (labels[row] < 0 || labels[row] >= class_count) {
        expected(SIEVE_STATUS_INVALID_LABEL, "a class from 0 to " + std::to_string(class_count - 1),
                 "the label of row " + std::to_string(row) + " of " + subject, std::to_string(labels[row]),
                 static_cast<int64_t>(row));
      }
    }
  }

  const sieve_backend backend = resolve_backend(run.requested_backend());
  Points points;
  points.data = matrix.data;
  points.decode = element_decoder(static_cast<sieve_element_type>(matrix.element_type), backend);
  points.columns = matrix.columns;
  points.row_stride = stride;
  points.matrix_rows = matrix.rows;
  points.rows.resize(matrix.rows);
  std::iota(points.rows.begin(), points.rows.end(), 0u);
  if (labels != nullptr) points.labels.assign(labels, labels + matrix.rows);
  return points;
}

void keep_finite_points(Points& points, bool skip_non_finite, const char* name, RunContext& run) {
  const RowKernels& kernels = row_kernels(resolve_backend(run.requested_backend()));
  std::vector<double> norms(points.size());
  parallel_ranges(run, points.size(), 64, [&](size_t begin, size_t end, int) {
    std::vector<float> scratch(points.decode != nullptr ? points.columns : 0);
    for (size_t point = begin; point < end; ++point) {
      norms[point] =
          kernels.square_norm(points.values(point, 0, points.columns, scratch.data()), points.columns);
    }
  });

  size_t kept = 0;
  for (size_t point = 0; point < points.size(); ++point) {
    const uint32_t row = points.rows[point];
    if (!std::isfinite(norms[point])) {
      if (skip_non_finite) continue;
      expected(SIEVE_STATUS_NON_FINITE, "finite values", "row " + std::to_string(row) + " of " + name,
               "NaN or an infinity", row);
    }
    norms[kept] = norms[point];
    points.rows[kept] = row;
    if (!points.labels.empty()) points.labels[kept] = points.labels[point];
    ++kept;
  }
  norms.resize(kept);
  points.rows.resize(kept);
  if (!points.labels.empty()) points.labels.resize(kept);
  points.square_norms = std::move(norms);
}

Points take_points(const sieve_matrix& matrix, const int32_t* labels, int32_t class_count,
                   bool skip_non_finite, const char* name, RunContext& run) {
  Points points = take_all_points(matrix, labels, class_count, name, run);
  keep_finite_points(points, skip_non_finite, name, run);
  return points;
}

}  // namespace sieve
