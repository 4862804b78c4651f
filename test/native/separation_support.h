// What the tests of the separation indices share: seeded data that is hard for float32, and a naive float64
// implementation that knows nothing of the library's.
#ifndef SIEVE_TEST_SEPARATION_SUPPORT_H
#define SIEVE_TEST_SEPARATION_SUPPORT_H

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <limits>
#include <numeric>
#include <string>
#include <utility>
#include <vector>

#include "sieve/sieve.h"
#include "support.h"

namespace test {

// Rows with room between and before them: a row stride above the columns and a pointer off every alignment.
struct Data {
  size_t rows = 0, columns = 0, stride = 0;
  std::vector<float> storage;
  std::vector<int32_t> labels;
  int32_t classes = 1;

  Data(size_t row_count, size_t column_count, int32_t class_count)
      : rows(row_count),
        columns(column_count),
        stride(column_count + 3),
        storage(row_count * (column_count + 3) + 1, std::numeric_limits<float>::quiet_NaN()),
        labels(row_count),
        classes(class_count) {}
  float& at(size_t row, size_t column) { return storage[1 + row * stride + column]; }
  float at(size_t row, size_t column) const { return storage[1 + row * stride + column]; }
  sieve_matrix matrix() const { return {storage.data() + 1, rows, columns, stride, SIEVE_ELEMENT_FLOAT32}; }
  sieve_separation_request request(int32_t order = 1, int32_t kind = SIEVE_SEPARATION_HARD) const {
    sieve_separation_request request{};
    request.features = matrix();
    request.labels = labels.data();
    request.class_count = classes;
    request.order = order;
    request.kind = kind;
    return request;
  }
};

// Each kind is a way to go wrong in float32, in the certificate, or in the ties.
inline const std::vector<std::string>& data_kinds() {
  static const std::vector<std::string> kinds{"normal",      "clustered", "far-clusters",    "integers",
                                              "binary",      "copies",    "copies-of-float", "all-equal",
                                              "half-zero",   "huge-row",  "huge-all",        "denormal",
                                              "tiny-normal", "one-class", "lone-class",      "mixed-scales",
                                              "near-ties",   "opposites", "constant-column"};
  return kinds;
}

inline Data make_data(const std::string& kind, size_t rows, size_t columns, uint64_t seed) {
  Random random(seed * 1000 + rows * 31 + columns);
  Data data(rows, columns, 4);
  std::vector<float> centers(8 * columns);
  for (float& value : centers) value = static_cast<float>(random.normal());
  for (size_t row = 0; row < rows; ++row) {
    data.labels[row] = static_cast<int32_t>(random.below(3));  // class 3 stays empty
    const size_t blob = random.below(8);
    const double row_scale = std::pow(10.0, static_cast<double>(random.below(9)) - 4.0);
    const bool zero_row = random.below(2) == 0;
    for (size_t k = 0; k < columns; ++k) {
      const double noise = random.normal();
      double value = noise;
      if (kind == "clustered") value = centers[blob * columns + k] * 3 + noise * 0.1;
      if (kind == "far-clusters") value = centers[blob * columns + k] * 1e4 + noise * 1e-2;
      if (kind == "integers") value = static_cast<double>(random.below(5)) - 2;
      if (kind == "binary") value = static_cast<double>(random.below(2)) * 0.25;
      if (kind == "copies") value = centers[blob * columns + k];
      if (kind == "copies-of-float") value = row > 0 && zero_row ? data.at(row / 2, k) : noise;
      if (kind == "all-equal") value = 0.1;
      if (kind == "half-zero") value = zero_row ? 0 : std::max(0.0, noise);
      if (kind == "huge-row") value = row == rows / 2 ? noise * 1e37 : noise;
      if (kind == "huge-all") value = noise * 5e37;
      if (kind == "denormal") value = noise * 1e-42;
      if (kind == "tiny-normal") value = noise * 1e-30;
      if (kind == "mixed-scales") value = noise * row_scale;
      if (kind == "near-ties")
        value = 1.0 + static_cast<double>(random.below(3)) * 6e-8 + (k == 0 ? 100.0 : 0.0);
      if (kind == "opposites") value = (row % 2 == 0 ? 1 : -1) * (1e3 + noise);
      if (kind == "constant-column") value = k % 2 == 0 ? 12345.678 : noise;
      data.at(row, k) = static_cast<float>(value);
    }
    if (kind == "clustered") data.labels[row] = static_cast<int32_t>(blob % 3);
    if (kind == "one-class") data.labels[row] = 2;
    if (kind == "lone-class") data.labels[row] = row == rows - 1 ? 1 : 0;
  }
  return data;
}

// Rows about 1, and from 2^5 to 2^60 pairs on both sides of each power of two, one label each: wherever the
// norms begin that float32 products can not hold, the nearest of a row below is a row above.
inline Data straddling_powers(size_t columns, uint64_t seed) {
  constexpr size_t kPairs = 56, kOthers = 300;
  Random random(seed);
  Data data(2 * kPairs + kOthers, columns, 3);
  for (size_t row = 0; row < data.rows; ++row) {
    const bool paired = row < 2 * kPairs;
    data.labels[row] = paired ? static_cast<int32_t>(row / 2 % 2) : 2;
    const double size = paired ? std::ldexp(row % 2 == 0 ? 0.99 : 1.01, static_cast<int>(5 + row / 2)) : 0.0;
    for (size_t k = 0; k < columns; ++k)
      data.at(row, k) = static_cast<float>(k == 0 && paired ? size : random.normal());
  }
  return data;
}

struct Neighbour {
  double distance;
  size_t row;
  bool operator<(const Neighbour& other) const {
    return distance < other.distance || (distance == other.distance && row < other.row);
  }
};

inline std::vector<size_t> all_columns(size_t count) {
  std::vector<size_t> columns(count);
  std::iota(columns.begin(), columns.end(), size_t{0});
  return columns;
}

inline double square_distance(const Data& a, size_t i, const Data& b, size_t j,
                              const std::vector<size_t>& columns) {
  double sum = 0;
  for (const size_t k : columns) {
    const double difference = static_cast<double>(a.at(i, k)) - static_cast<double>(b.at(j, k));
    sum += difference * difference;
  }
  return sum;
}

// The first `order` of all reference rows, sorted. Leave one out where the two are the same object.
inline std::vector<std::vector<Neighbour>> neighbours_naively(const Data& queries, const Data& references,
                                                              size_t order,
                                                              const std::vector<size_t>& columns) {
  std::vector<std::vector<Neighbour>> all(queries.rows);
  for (size_t i = 0; i < queries.rows; ++i) {
    for (size_t j = 0; j < references.rows; ++j) {
      if (&queries == &references && i == j) continue;
      all[i].push_back({square_distance(queries, i, references, j, columns), j});
    }
    std::partial_sort(all[i].begin(), all[i].begin() + static_cast<std::ptrdiff_t>(order), all[i].end());
    all[i].resize(order);
  }
  return all;
}

struct Scores {
  double value = 0;
  std::vector<double> per_class;
};

inline Scores scores_naively(const Data& queries, const Data& references,
                             const std::vector<std::vector<Neighbour>>& neighbours, size_t order,
                             int32_t kind) {
  Scores scores;
  std::vector<double> sums(static_cast<size_t>(queries.classes), 0), counts = sums;
  for (size_t i = 0; i < queries.rows; ++i) {
    size_t same = 0;
    for (size_t n = 0; n < order; ++n) same += references.labels[neighbours[i][n].row] == queries.labels[i];
    double credit = same == order;
    if (kind == SIEVE_SEPARATION_SOFT) credit = static_cast<double>(same) / static_cast<double>(order);
    if (kind == SIEVE_SEPARATION_ANTI) credit = same == 0;
    sums[static_cast<size_t>(queries.labels[i])] += credit;
    counts[static_cast<size_t>(queries.labels[i])] += 1;
    scores.value += credit / static_cast<double>(queries.rows);
  }
  for (size_t c = 0; c < sums.size(); ++c) scores.per_class.push_back(sums[c] / counts[c]);
  return scores;
}

// Scores are sums of integers over one denominator; only the order of a division or two may differ.
inline bool same_score(double a, double b) {
  return (std::isnan(a) && std::isnan(b)) || std::abs(a - b) <= 1e-12;
}

}  // namespace test

#endif  // SIEVE_TEST_SEPARATION_SUPPORT_H
