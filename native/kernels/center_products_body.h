// The float32 products of the centre index. Included once per instruction set, inside its anonymous
// namespace, after center_body.h, `struct Lanes` and kRowsAtOnce (rows whose accumulators fit into the
// registers).

template <size_t kCenters, bool kWithNorms>
inline void multiply_panel(const float* const* rows, size_t count, const float* panel,
                           const float* const* next, double* sums, size_t stride, double* norms) {
  constexpr size_t kWidth = Lanes::kWidth;
  constexpr size_t kSums = kCenters + (kWithNorms ? 1 : 0);
  constexpr size_t kStep = (1 + kCenters) * kWidth;
  Lanes::Register total[kSums][kRowsAtOnce];
#pragma GCC unroll 8
  for (size_t c = 0; c < kSums; ++c) {
#pragma GCC unroll 4
    for (size_t r = 0; r < kRowsAtOnce; ++r) total[c][r] = Lanes::zero();
  }
  const auto take = [&](const float* const* from, size_t k, const float* step) {
    Lanes::Register y[kRowsAtOnce];
    const Lanes::Register shift = Lanes::load(step);
#pragma GCC unroll 4
    for (size_t r = 0; r < kRowsAtOnce; ++r) y[r] = Lanes::subtract(Lanes::load(from[r] + k), shift);
#pragma GCC unroll 8
    for (size_t c = 0; c < kCenters; ++c) {
      const Lanes::Register center = Lanes::load(step + (1 + c) * kWidth);
#pragma GCC unroll 4
      for (size_t r = 0; r < kRowsAtOnce; ++r) total[c][r] = Lanes::multiply_add(y[r], center, total[c][r]);
    }
    if constexpr (kWithNorms) {
#pragma GCC unroll 4
      for (size_t r = 0; r < kRowsAtOnce; ++r)
        total[kCenters][r] = Lanes::multiply_add(y[r], y[r], total[kCenters][r]);
    }
  };
  const size_t whole = count - count % kWidth;
  const float* step = panel;
  for (size_t k = 0; k < whole; k += kWidth, step += kStep) {
    if (next != nullptr) {
#pragma GCC unroll 4
      for (size_t r = 0; r < kRowsAtOnce; ++r) prefetch(next[r], k);
    }
    take(rows, k, step);
  }
  if (whole < count) {
    float last[kRowsAtOnce][kWidth] = {};
    const float* from[kRowsAtOnce];
    for (size_t r = 0; r < kRowsAtOnce; ++r) {
      for (size_t k = whole; k < count; ++k) last[r][k - whole] = rows[r][k];
      from[r] = last[r];
    }
    take(from, 0, step);
  }

  // Four registers at a time become four sums.
  constexpr size_t kAll = kSums * kRowsAtOnce;
  float each[(kAll + 3) / 4 * 4];
#pragma GCC unroll 8
  for (size_t i = 0; i < kAll; i += 4) {
    const auto at = [&](size_t j) {
      return j < kAll ? total[j / kRowsAtOnce][j % kRowsAtOnce] : Lanes::zero();
    };
    Lanes::sum_of_each(at(i), at(i + 1), at(i + 2), at(i + 3), each + i);
  }
  for (size_t c = 0; c < kCenters; ++c) {
    for (size_t r = 0; r < kRowsAtOnce; ++r) sums[r * stride + c] += each[c * kRowsAtOnce + r];
  }
  if constexpr (kWithNorms) {
    for (size_t r = 0; r < kRowsAtOnce; ++r) norms[r] += each[kCenters * kRowsAtOnce + r];
  }
}

template <size_t kCenters>
void multiply_rows(const float* const* rows, size_t count, const float* panel, const float* const* next,
                   double* sums, size_t stride, double* norms) {
  for (size_t r = 0; r < kCenterRows; r += kRowsAtOnce) {
    const float* const* next_rows = next != nullptr ? next + r : nullptr;
    if (norms != nullptr) {
      multiply_panel<kCenters, true>(rows + r, count, panel, next_rows, sums + r * stride, stride, norms + r);
    } else {
      multiply_panel<kCenters, false>(rows + r, count, panel, next_rows, sums + r * stride, stride, nullptr);
    }
  }
}

void products(const float* const* rows, size_t count, const float* panel, size_t centers,
              const float* const* next, double* sums, size_t stride, double* norms) {
  static_assert(kPanelCenters == 5, "one case each");
  switch (centers) {
    case 1:
      return multiply_rows<1>(rows, count, panel, next, sums, stride, norms);
    case 2:
      return multiply_rows<2>(rows, count, panel, next, sums, stride, norms);
    case 3:
      return multiply_rows<3>(rows, count, panel, next, sums, stride, norms);
    case 4:
      return multiply_rows<4>(rows, count, panel, next, sums, stride, norms);
    default:
      return multiply_rows<5>(rows, count, panel, next, sums, stride, norms);
  }
}

const CenterKernels kTable = {center_distances, accumulate, Lanes::kWidth, products, margins};
