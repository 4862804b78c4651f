// Random arguments for the C ABI: matrices of any layout, wrong values here and there, and what they must
// lead to.
#ifndef SIEVE_TEST_FUZZ_SUPPORT_H
#define SIEVE_TEST_FUZZ_SUPPORT_H

#include <algorithm>
#include <cstring>
#include <string>
#include <vector>

#include "half_values.h"
#include "separation_support.h"

namespace test {

// The statuses that wrong arguments may lead to; none: the call must succeed.
class Faults {
 public:
  explicit Faults(Random& random) : random_(random) {}
  // True, rarely, for the caller to do something wrong that leads to this status.
  bool inject(sieve_status status, size_t one_in = 60) {
    if (random_.below(one_in) != 0) return false;
    add(status);
    return true;
  }
  void add(sieve_status status) { statuses_.push_back(status); }
  bool none() const { return statuses_.empty(); }
  bool explains(sieve_status status) const {
    return std::find(statuses_.begin(), statuses_.end(), status) != statuses_.end();
  }

 private:
  Random& random_;
  std::vector<sieve_status> statuses_;
};

// A matrix in memory of exactly its size, so that sanitizers see every step outside, and the same as numbers.
// Elements are aligned, and nothing more.
class RandomMatrix {
 public:
  Data decoded;

  RandomMatrix(Random& random, size_t rows, size_t columns) : decoded(rows, columns, 4) {
    const auto& kinds = data_kinds();
    decoded = make_data(kinds[random.below(kinds.size())], rows, columns, random.below(1000));
    type_ = static_cast<int32_t>(random.below(3));
    stride_ = random.below(2) == 0 ? columns : columns + random.below(40);
    names_stride_ = stride_ != columns || random.below(2) == 0;
    lead_ = random.below(8);
    fill(random);
  }

  // Makes values NaN or infinite; returns whether any is.
  bool spoil(Random& random) {
    const size_t count = 1 + random.below(3);
    for (size_t i = 0; i < count; ++i) {
      const size_t row = random.below(decoded.rows), column = random.below(decoded.columns);
      const double values[] = {NAN, INFINITY, -INFINITY};
      const uint16_t halves[] = {0x7e00, 0x7c00, 0xfc00}, brains[] = {0x7fc0, 0x7f80, 0xff80};
      const size_t which = random.below(3);
      decoded.at(row, column) = static_cast<float>(values[which]);
      const size_t at = lead_ + row * stride_ + column;
      if (type_ == SIEVE_ELEMENT_FLOAT32) floats_[at] = static_cast<float>(values[which]);
      if (type_ == SIEVE_ELEMENT_FLOAT16) bits_[at] = halves[which];
      if (type_ == SIEVE_ELEMENT_BFLOAT16) bits_[at] = brains[which];
    }
    return true;
  }

  sieve_matrix matrix() const {
    const void* data = type_ == SIEVE_ELEMENT_FLOAT32 ? static_cast<const void*>(floats_.data() + lead_)
                                                      : static_cast<const void*>(bits_.data() + lead_);
    return {data, decoded.rows, decoded.columns, names_stride_ ? stride_ : 0, type_};
  }

  // The rows that take part, as numbers; `rows_of` says which they are.
  Data finite_rows(std::vector<size_t>& rows_of) const {
    rows_of.clear();
    for (size_t row = 0; row < decoded.rows; ++row) {
      bool finite = true;
      for (size_t k = 0; k < decoded.columns; ++k) finite = finite && std::isfinite(decoded.at(row, k));
      if (finite) rows_of.push_back(row);
    }
    Data kept(rows_of.size(), decoded.columns, decoded.classes);
    for (size_t i = 0; i < rows_of.size(); ++i) {
      kept.labels[i] = decoded.labels[rows_of[i]];
      for (size_t k = 0; k < decoded.columns; ++k) kept.at(i, k) = decoded.at(rows_of[i], k);
    }
    return kept;
  }

 private:
  // 16-bit elements hold the upper bits of the value where they can, else bits in the middle of the range.
  void fill(Random& random) {
    const size_t size = lead_ + (decoded.rows - 1) * stride_ + decoded.columns;
    if (type_ == SIEVE_ELEMENT_FLOAT32) {
      floats_.assign(size, std::numeric_limits<float>::quiet_NaN());
    } else {
      bits_.assign(size, 0x7fff);  // NaN in both formats
    }
    const bool few_values = random.below(2) == 0;
    for (size_t row = 0; row < decoded.rows; ++row) {
      for (size_t k = 0; k < decoded.columns; ++k) {
        const size_t at = lead_ + row * stride_ + k;
        float& value = decoded.at(row, k);
        if (type_ == SIEVE_ELEMENT_FLOAT32) floats_[at] = value;
        if (type_ == SIEVE_ELEMENT_BFLOAT16) {
          uint32_t wide;
          std::memcpy(&wide, &value, sizeof(wide));
          bits_[at] = static_cast<uint16_t>(wide >> 16);
          value = value_of_bfloat16(bits_[at]);
        }
        if (type_ == SIEVE_ELEMENT_FLOAT16) {
          const uint64_t some = random.bits();
          bits_[at] = static_cast<uint16_t>((some & (few_values ? 0x8600u : 0xbbffu)) | 0x3000u);
          value = value_of_float16(bits_[at]);
        }
      }
    }
  }

  int32_t type_ = SIEVE_ELEMENT_FLOAT32;
  size_t stride_ = 0, lead_ = 0;
  bool names_stride_ = false;
  std::vector<float> floats_;
  std::vector<uint16_t> bits_;
};

}  // namespace test

#endif  // SIEVE_TEST_FUZZ_SUPPORT_H
