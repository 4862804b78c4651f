// Class sums and margins of the centre index. Included once per instruction set, inside its anonymous
// namespace and after its prefetch(const float* row, size_t column). Plain loops: the compiler turns them
// into vectors, and every operation is rounded on its own, so all instruction sets agree bit for bit.

// The sums are read and written once for kRows rows.
template <size_t kRows>
void accumulate_rows(const float* const* rows, size_t columns, double* __restrict sums) {
  constexpr size_t kLine = 16;    // floats of a cache line
  constexpr size_t kAhead = 512;  // floats
  size_t k = 0;
  for (; k + kLine <= columns; k += kLine) {
    if (k + kAhead < columns) {
#pragma GCC unroll 8
      for (size_t r = 0; r < kRows; ++r) prefetch(rows[r], k + kAhead);
    }
    double line[kLine];
    for (size_t i = 0; i < kLine; ++i) line[i] = sums[k + i];
#pragma GCC unroll 8
    for (size_t r = 0; r < kRows; ++r) {
      const float* values = rows[r] + k;
      for (size_t i = 0; i < kLine; ++i) line[i] += values[i];
    }
    for (size_t i = 0; i < kLine; ++i) sums[k + i] = line[i];
  }
  for (; k < columns; ++k) {
    for (size_t r = 0; r < kRows; ++r) sums[k] += rows[r][k];
  }
}

void accumulate(const float* const* rows, size_t count, size_t columns, double* sums) {
  size_t r = 0;
  for (; r + kSummedRows <= count; r += kSummedRows) accumulate_rows<kSummedRows>(rows + r, columns, sums);
  for (; r + 2 <= count; r += 2) accumulate_rows<2>(rows + r, columns, sums);
  if (r < count) accumulate_rows<1>(rows + r, columns, sums);
}

void margins(const float* base, const float* added, size_t centers, float* least) {
  float lowest[kMarginRows];
  for (size_t q = 0; q < kMarginRows; ++q) lowest[q] = base[q] + added[q];
  for (size_t c = 1; c < centers; ++c) {
    for (size_t q = 0; q < kMarginRows; ++q) {
      const float margin = base[c * kMarginRows + q] + added[c * kMarginRows + q];
      lowest[q] = margin < lowest[q] ? margin : lowest[q];
    }
  }
  for (size_t q = 0; q < kMarginRows; ++q) least[q] = lowest[q];
}
