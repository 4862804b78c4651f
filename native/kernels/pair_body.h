// Included once per instruction set, inside its anonymous namespace: plain loops that the compiler turns into
// vectors.

void add(const float* products, const float* column_norms, float row_norm, float per_unit, size_t count,
         uint16_t* row) {
  constexpr float kLimit = static_cast<float>(kPairLimit);
  for (size_t j = 0; j < count; ++j) {
    const float lower = ((row_norm + column_norms[j]) - 2.0f * products[j]) * per_unit;
    const float positive = lower > 0.0f ? lower : 0.0f;
    const float limited = positive < kLimit ? positive : kLimit;
    const int32_t sum = static_cast<int32_t>(row[j]) + static_cast<int32_t>(limited);
    row[j] = static_cast<uint16_t>(sum < kPairLimit ? sum : kPairLimit);
  }
}

size_t below(const uint16_t* row, const uint16_t* column_limits, uint16_t row_limit, size_t begin, size_t end,
             uint32_t* found) {
  constexpr size_t kGroup = 64;  // columns looked at between two branches
  size_t count = 0;
  for (; begin < end; begin += kGroup) {
    const size_t last = end - begin < kGroup ? end : begin + kGroup;
    uint16_t any = 0;
    if (last - begin == kGroup) {
      for (size_t j = 0; j < kGroup; ++j) {
        const uint16_t column_limit = column_limits[begin + j];
        const uint16_t limit = column_limit > row_limit ? column_limit : row_limit;
        any = static_cast<uint16_t>(any | (row[begin + j] < limit ? 1 : 0));
      }
      if (any == 0) continue;
    }
    // Without a branch: what is below is all but random.
    for (size_t j = begin; j < last; ++j) {
      const uint16_t limit = column_limits[j] > row_limit ? column_limits[j] : row_limit;
      found[count] = static_cast<uint32_t>(j);
      count += row[j] < limit ? 1 : 0;
    }
  }
  return count;
}

const PairKernels kTable = {add, below};
