// The body of the tile kernels. Included by exactly one file per instruction set, INSIDE its anonymous
// namespace and after it has defined `struct Lanes` (the vector type, transpose, comparison, a column of the
// left panel) and kRowPanel / kColumnVectors, so that nothing compiled with an instruction set's flags is
// shared with other translation units.
//
// Multiply: a panel of kRowPanel rows times kColumnVectors vectors of columns stays in registers over the
// whole depth. The left panel (kRowPanel * kPanelDepth floats) lives in the first-level cache, the right
// panels stream from the second level.

template <bool kHasBase>
inline void multiply_panels(const float* left, const float* right, size_t depth, const float* base,
                            float* out, size_t stride) {
  Lanes::Register sum[kRowPanel][kColumnVectors];
#pragma GCC unroll 16
  for (size_t r = 0; r < kRowPanel; ++r) {
#pragma GCC unroll 4
    for (size_t v = 0; v < kColumnVectors; ++v) sum[r][v] = Lanes::zero();
  }
  for (size_t k = 0; k < depth; ++k) {
    Lanes::Register b[kColumnVectors];
#pragma GCC unroll 4
    for (size_t v = 0; v < kColumnVectors; ++v) b[v] = Lanes::load(right + v * Lanes::kWidth);
    const Lanes::LeftColumn a = Lanes::load_left(left);
#pragma GCC unroll 16
    for (size_t r = 0; r < kRowPanel; ++r) {
#pragma GCC unroll 4
      for (size_t v = 0; v < kColumnVectors; ++v) sum[r][v] = Lanes::multiply_add_row(a, r, b[v], sum[r][v]);
    }
    left += kRowPanel;
    right += kColumnPanel;
  }
#pragma GCC unroll 16
  for (size_t r = 0; r < kRowPanel; ++r) {
#pragma GCC unroll 4
    for (size_t v = 0; v < kColumnVectors; ++v) {
      const size_t at = r * stride + v * Lanes::kWidth;
      Lanes::store(out + at, kHasBase ? Lanes::add(Lanes::load(base + at), sum[r][v]) : sum[r][v]);
    }
  }
}

void multiply(const float* left, size_t left_panels, const float* right, size_t right_panels, size_t depth,
              const float* base, float* out, size_t stride, const uint32_t* first_right_panel) {
  for (size_t a = 0; a < left_panels; ++a) {
    const float* left_panel = left + a * depth * kRowPanel;
    const size_t first = first_right_panel != nullptr ? first_right_panel[a] : 0;
    for (size_t b = first; b < right_panels; ++b) {
      const float* right_panel = right + b * depth * kColumnPanel;
      const size_t at = a * kRowPanel * stride + b * kColumnPanel;
      if (base != nullptr) {
        multiply_panels<true>(left_panel, right_panel, depth, base + at, out + at, stride);
      } else {
        multiply_panels<false>(left_panel, right_panel, depth, nullptr, out + at, stride);
      }
    }
  }
}

// A kPanel-wide panel's row group of kUsed <= kWidth rows is transposed in registers. Where kUsed < kWidth
// (the left panel) a full-width store would spill into the next column or panel: only the panel's lanes are
// stored.
template <size_t kPanel, size_t kUsed>
inline void pack_rows(const float* const* rows, size_t count, size_t depth, float scale, const float* center,
                      float* out) {
  constexpr size_t kWidth = Lanes::kWidth;
  const Lanes::Register scale_lanes = Lanes::broadcast(scale);
  Lanes::Register block[kWidth];
  size_t k = 0;
  for (; k + kWidth <= depth; k += kWidth) {
    const Lanes::Register shift = Lanes::load_unaligned(center + k);
#pragma GCC unroll 16
    for (size_t r = 0; r < kWidth; ++r) {
      block[r] = r < count ? Lanes::multiply_subtract(Lanes::load_unaligned(rows[r] + k), scale_lanes, shift)
                           : Lanes::zero();
    }
    Lanes::transpose(block);
#pragma GCC unroll 16
    for (size_t c = 0; c < kWidth; ++c) Lanes::template store_first<kUsed>(out + (k + c) * kPanel, block[c]);
  }
  for (; k < depth; ++k) {
    for (size_t r = 0; r < kUsed; ++r) {
      out[k * kPanel + r] = r < count ? rows[r][k] * scale - center[k] : 0.0f;
    }
  }
}

template <size_t kPanel>
void pack(const float* const* rows, size_t count, size_t depth, float scale, const float* center,
          size_t offset, size_t panel_depth, float* out) {
  constexpr size_t kWidth = Lanes::kWidth;
  constexpr size_t kUsed = kPanel < kWidth ? kPanel : kWidth;
  static_assert(kPanel % kUsed == 0, "row groups fill the panel");
  for (size_t first = 0; first < count; first += kPanel) {
    float* panel = out + (first / kPanel * panel_depth + offset) * kPanel;
    for (size_t r = 0; r < kPanel; r += kUsed) {
      const size_t have = first + r < count ? count - first - r : 0;
      pack_rows<kPanel, kUsed>(rows + (have > 0 ? first + r : 0), have < kUsed ? have : kUsed, depth, scale,
                               center, panel + r);
    }
  }
}

inline size_t lowest_bit(uint64_t bits) {
#if defined(_MSC_VER) && !defined(__clang__)
  unsigned long index;
  _BitScanForward64(&index, bits);
  return index;
#else
  return static_cast<size_t>(__builtin_ctzll(bits));
#endif
}

size_t scan(const float* products, const float* column_norms, const float* column_thresholds, size_t begin,
            size_t end, float row_norm, float row_threshold, TileHit* hits) {
  constexpr size_t kWidth = Lanes::kWidth;
  constexpr size_t kGroup = 64;  // columns looked at between two branches
  constexpr size_t kVectors = kGroup / kWidth;
  const Lanes::Register norm = Lanes::broadcast(row_norm);
  const Lanes::Register threshold = Lanes::broadcast(row_threshold);
  const Lanes::Register minus_two = Lanes::broadcast(-2.0f);
  size_t found = 0;
  for (size_t group = begin / kGroup * kGroup; group < end; group += kGroup) {
    Lanes::Register lower[kVectors];
    uint64_t bits = 0;
#pragma GCC unroll 16
    for (size_t v = 0; v < kVectors; ++v) {
      const size_t j = group + v * kWidth;
      lower[v] = Lanes::multiply_add(minus_two, Lanes::load(products + j),
                                     Lanes::add(norm, Lanes::load(column_norms + j)));
      const Lanes::Register limit = Lanes::maximum(threshold, Lanes::load(column_thresholds + j));
      bits |= Lanes::less_or_equal(lower[v], limit) << (v * kWidth);
    }
    if (group < begin) bits &= ~uint64_t{0} << (begin - group);
    if (end - group < kGroup) bits &= (uint64_t{1} << (end - group)) - 1;
    if (bits == 0) continue;
    alignas(64) float values[kGroup];
    for (size_t v = 0; v < kVectors; ++v) Lanes::store(values + v * kWidth, lower[v]);
    for (; bits != 0; bits &= bits - 1) {
      const size_t lane = lowest_bit(bits);
      hits[found++] = {static_cast<uint32_t>(group + lane), values[lane]};
    }
  }
  return found;
}

const TileKernels kTable = {kRowPanel, kColumnPanel, pack<kRowPanel>, pack<kColumnPanel>, multiply, scan};
