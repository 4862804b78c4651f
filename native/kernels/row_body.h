// Included once per instruction set, inside its anonymous namespace and after `struct Lanes`: float64
// registers of kWidth values. Four sums side by side hide the latency of an addition.

template <typename Term>
inline double sum_of_squares(size_t count, const Term& term) {
  constexpr size_t kSums = 4;
  constexpr size_t kStep = kSums * Lanes::kWidth;
  Lanes::Register sums[kSums];
#pragma GCC unroll 4
  for (size_t s = 0; s < kSums; ++s) sums[s] = Lanes::zero();
  size_t k = 0;
  for (; k + kStep <= count; k += kStep) {
#pragma GCC unroll 4
    for (size_t s = 0; s < kSums; ++s) {
      const Lanes::Register value = term.lanes(k + s * Lanes::kWidth);
      sums[s] = Lanes::multiply_add(value, value, sums[s]);
    }
  }
  double total = 0.0;
  for (; k < count; ++k) total += term.value(k) * term.value(k);
  return total + Lanes::sum(Lanes::add(Lanes::add(sums[0], sums[1]), Lanes::add(sums[2], sums[3])));
}

struct RowTerm {
  const float* row;
  Lanes::Register lanes(size_t k) const { return Lanes::load(row + k); }
  double value(size_t k) const { return row[k]; }
};

struct DifferenceTerm {
  const float* a;
  const float* b;
  Lanes::Register lanes(size_t k) const { return Lanes::subtract(Lanes::load(a + k), Lanes::load(b + k)); }
  double value(size_t k) const { return static_cast<double>(a[k]) - static_cast<double>(b[k]); }
};

double square_norm(const float* row, size_t count) { return sum_of_squares(count, RowTerm{row}); }

double square_distance(const float* a, const float* b, size_t count) {
  return sum_of_squares(count, DifferenceTerm{a, b});
}

const RowKernels kRows = {square_norm, square_distance};
