// Data on which rounding does its worst.
#ifndef SIEVE_TEST_ROUNDING_DATA_H
#define SIEVE_TEST_ROUNDING_DATA_H

#include <cmath>
#include <functional>
#include <utility>
#include <vector>

#include "separation_support.h"

namespace test {

// Row 2i+1 is row 2i mirrored at the origin, so that the mean is 0 and the search moves nothing. Labels at
// random; an odd last row is 0.
inline Data mirrored(size_t rows, size_t columns, uint64_t seed,
                     const std::function<void(Random&, float*)>& fill) {
  Random random(seed);
  Data data(rows, columns, 3);
  std::vector<float> row(columns);
  for (size_t i = 0; i < rows; ++i) {
    data.labels[i] = static_cast<int32_t>(random.below(3));
    if (i % 2 == 0) fill(random, row.data());
    for (size_t k = 0; k < columns; ++k) {
      data.at(i, k) = i % 2 == 0 ? (i + 1 == rows ? 0.0f : row[k]) : -data.at(i - 1, k);
    }
  }
  return data;
}

// All residuals of rounding to `bits` of mantissa are just below half a unit, and all point along the
// differences of the rows: every distance moves by the sum of the residuals' norms, up or down. Rows lie a
// few units from each other, where the relaxed bound is as sharp as the triangle inequality.
inline Data half_units(int bits, size_t rows, size_t columns, uint64_t seed) {
  const double unit = std::ldexp(1.0, -bits);
  double at = 1.0;
  return mirrored(rows, columns, seed, [&](Random& random, float* row) {
    at += unit * static_cast<double>(2 + random.below(5));
    if (at >= 2.0 - unit) at = 1.0 + unit * static_cast<double>(random.below(5));
    const double tiny = unit * std::ldexp(static_cast<double>(1 + random.below(30)), -10);
    const double offset = unit / 2 + (random.below(2) == 0 ? tiny : -tiny);
    for (size_t k = 0; k < columns; ++k) row[k] = static_cast<float>(at + offset);
  });
}

// Every 32nd column is 1, the others `part` * 2^-12 or, in a third of the rows, 0. Products of the small ones
// are less than what is cut off when they are added to the large one's: float32 sees the rows as if they had
// no small columns in common, and far ones as near as copies. Nothing is lost in 16 bits.
inline Data swallowed(double part, size_t rows, size_t columns, uint64_t seed) {
  return mirrored(rows, columns, seed, [&](Random& random, float* row) {
    const bool zero = random.below(3) == 0;
    const size_t first = random.below(4);  // some rows lack a few of the small ones
    for (size_t k = 0; k < columns; ++k) {
      row[k] = k % 32 == 0 ? 1.0f : zero || k % 32 < first ? 0.0f : static_cast<float>(part * 0x1p-12);
    }
  });
}

inline double cut_to_8_bits(double value) {
  int exponent;
  const double mantissa = std::frexp(value, &exponent);
  return std::ldexp(std::floor(mantissa * 256), exponent - 8);
}

// Rounding errors that add up to the whole bound, up for one pair of rows and down for another. The first
// column of each block of the kernels' is a little more than 1, the other L are a: too little to be added to
// it or taken from it. Row 0 is (1, a .. a, 0); row 2 the same with d in the last column; the others (1, -a
// .. -a, 0). Row 2 is the nearest of row 0 by a hair (d^2 < 4 L a^2), and float32 sees it at d^2 + 2 L a^2,
// the others at 2 L a^2 (where sums are cut off and not rounded: 4 L a^2).
inline Data opposed(double a, size_t block, size_t columns) {
  size_t row_number = 0;
  const double small = static_cast<double>(columns - 1 - (columns + block - 2) / block);
  Data data = mirrored(10, columns, 1, [&](Random&, float* row) {
    for (size_t k = 0; k + 1 < columns; ++k) {
      const double value = k % block == 0 ? 1.0078125 : row_number < 2 ? a : -a;
      row[k] = static_cast<float>(k > 0 && k + 1 < row_number ? 0.0 : value);  // no two rows are equal
    }
    row[columns - 1] =
        row_number == 1 ? static_cast<float>(cut_to_8_bits(2 * a * std::sqrt(small - 10))) : 0.0f;
    ++row_number;
  });
  for (size_t i = 0; i < data.rows; ++i) data.labels[i] = i == 2 || i == 3 ? 1 : 0;
  return data;
}

// Many rows at nearly the same distance from all others, in runs of one label with a single other one
// between: more candidates than a list holds, and which label wins is decided by the last bits.
inline Data crowd(double step, size_t rows, size_t columns, uint64_t seed) {
  Random random(seed);
  Data data(rows, columns, 3);
  for (size_t i = 0; i < rows; ++i) {
    data.labels[i] = random.below(20) == 0 ? 1 : 0;
    for (size_t k = 0; k < columns; ++k) {
      data.at(i, k) =
          static_cast<float>((k == i % columns ? 1.1 + 0.01 * static_cast<double>(i / columns) : 0.3) +
                             step * static_cast<double>(random.below(64)));
    }
  }
  return data;
}

// Whole numbers whose squares add up to just more than float32 can count: `first` in every row, and a few
// small steps.
inline Data large_integers(double first, size_t rows, size_t columns, uint64_t seed) {
  return mirrored(rows, columns, seed, [&](Random& random, float* row) {
    for (size_t k = 0; k < columns; ++k)
      row[k] = static_cast<float>(first + static_cast<double>(random.below(4)));
  });
}

// A third of the rows is so small beside the others that their squares are below float32's normal range.
inline Data tiny_beside(double size, size_t rows, size_t columns, uint64_t seed) {
  return mirrored(rows, columns, seed, [&](Random& random, float* row) {
    const double scale = random.below(3) == 0 ? size : 1.0;
    for (size_t k = 0; k < columns; ++k) row[k] = static_cast<float>(scale * random.normal());
  });
}

// Row 0 is 0, the others the same values in another order each: all are equally far from row 0 but for the
// last bits of the definition's sum, which adds up in the order of the columns.
inline Data permuted(size_t rows, size_t columns, uint64_t seed) {
  Random random(seed);
  Data data(rows, columns, 3);
  std::vector<float> values(columns);
  for (float& value : values) value = static_cast<float>(random.normal());
  for (size_t i = 0; i < rows; ++i) {
    data.labels[i] = static_cast<int32_t>(random.below(3));
    for (size_t k = columns; k > 1; --k) std::swap(values[k - 1], values[random.below(k)]);
    for (size_t k = 0; k < columns; ++k) data.at(i, k) = i == 0 ? 0.0f : values[k];
  }
  return data;
}

}  // namespace test

#endif  // SIEVE_TEST_ROUNDING_DATA_H
