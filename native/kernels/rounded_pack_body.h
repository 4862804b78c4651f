// Rounding and packing with AVX-512. Included by each rounding file inside its anonymous namespace, after
// kernels/avx512_transpose.h and `struct Format` with
//   static __m256i round(__m512 values);   to 16-bit elements, ties to even, 0 below the normal range
//   static __m512 value(__m256i rounded);  back, exact

// Sums of 16 points in lanes. Sixteen columns at a time are added up in float32 (their error is within the
// room that beta has), blocks of them in float64.
struct LaneSums {
  __m512d norms[2] = {_mm512_setzero_pd(), _mm512_setzero_pd()};
  __m512d residuals[2] = {_mm512_setzero_pd(), _mm512_setzero_pd()};
  __m512i hashes[2] = {_mm512_setzero_si512(), _mm512_setzero_si512()};

  static void add_to(__m512d (&sums)[2], __m512 values) {
    sums[0] = _mm512_add_pd(sums[0], _mm512_cvtps_pd(_mm512_castps512_ps256(values)));
    sums[1] = _mm512_add_pd(sums[1], _mm512_cvtps_pd(_mm512_extractf32x8_ps(values, 1)));
  }

  void write(RoundedSums* sums) const {
    alignas(64) double norm[16], residual[16];
    alignas(64) uint32_t low[16], high[16];
    for (int half = 0; half < 2; ++half) {
      _mm512_store_pd(norm + 8 * half, norms[half]);
      _mm512_store_pd(residual + 8 * half, residuals[half]);
    }
    _mm512_store_si512(low, hashes[0]);
    _mm512_store_si512(high, hashes[1]);
    for (int i = 0; i < 16; ++i) {
      sums[i].square_norm += norm[i];
      sums[i].square_residual += residual[i];
      sums[i].hash += low[i] + (static_cast<uint64_t>(high[i]) << 32);
    }
  }
};

void pack(const float* const* rows, size_t depth, float scale, const float* center, const uint32_t* weights,
          size_t pairs, uint32_t* panel, RoundedSums* sums) {
  const __m512 scale_lanes = _mm512_set1_ps(scale);
  const __m512 zero = _mm512_setzero_ps();
  LaneSums lanes;
  for (size_t k = 0; k < 2 * pairs; k += 16) {
    const size_t used = k < depth ? (depth - k < 16 ? depth - k : 16) : 0;
    const auto mask = static_cast<__mmask16>((1u << used) - 1u);
    const __m512 shift = _mm512_maskz_loadu_ps(mask, center + (used > 0 ? k : 0));
    __m512 block[16];
#pragma GCC unroll 16
    for (int r = 0; r < 16; ++r) {
      const bool present = rows[r] != nullptr && used > 0;
      const __m512 values = present ? _mm512_maskz_loadu_ps(mask, rows[r] + k) : zero;
      // The sum with 0 makes -0 and 0 one.
      block[r] =
          present ? _mm512_maskz_add_ps(mask, _mm512_fmsub_ps(values, scale_lanes, shift), zero) : zero;
    }
    transpose_block(block);
    __m512 norm = zero, residual = zero;
    __m512i halves[16];
#pragma GCC unroll 16
    for (int c = 0; c < 16; ++c) {
      const __m256i half = Format::round(block[c]);
      const __m512 rounded = Format::value(half);
      const __m512 lost = _mm512_sub_ps(block[c], rounded);
      norm = _mm512_fmadd_ps(rounded, rounded, norm);
      residual = _mm512_fmadd_ps(lost, lost, residual);
      halves[c] = _mm512_cvtepu16_epi32(half);
    }
    for (size_t c = 0; c < used; ++c) {
      const __m512i bits = _mm512_castps_si512(block[c]);
      const auto weight = [&](size_t at) { return _mm512_set1_epi32(static_cast<int32_t>(weights[at])); };
      lanes.hashes[0] = _mm512_add_epi32(lanes.hashes[0], _mm512_mullo_epi32(bits, weight(2 * (k + c))));
      lanes.hashes[1] = _mm512_add_epi32(lanes.hashes[1], _mm512_mullo_epi32(bits, weight(2 * (k + c) + 1)));
    }
    LaneSums::add_to(lanes.norms, norm);
    LaneSums::add_to(lanes.residuals, residual);
    if (panel == nullptr) continue;
#pragma GCC unroll 8
    for (int p = 0; p < 8; ++p) {
      if (k / 2 + static_cast<size_t>(p) >= pairs) break;
      _mm512_store_si512(panel + (k / 2 + static_cast<size_t>(p)) * kRoundedPanel,
                         _mm512_or_si512(halves[2 * p], _mm512_slli_epi32(halves[2 * p + 1], 16)));
    }
  }
  lanes.write(sums);
}
