// bfloat16 products with AVX-512 BF16: 8 x 48 products in 24 registers, 3 for the right panels. vdpbf16ps
// adds the two products of a pair to each lane; it rounds to nearest and flushes denormals.
#include "kernels/rounded_kernels.h"

#if defined(__AVX512BF16__) && defined(__AVX512F__) && defined(__AVX512BW__) && defined(__AVX512DQ__)

#include <cstring>

#include "kernels/avx512_intrinsics.h"

namespace sieve {
namespace {

#include "kernels/avx512_transpose.h"
#include "kernels/bfloat16_format.h"
#include "kernels/rounded_pack_body.h"

constexpr size_t kRows = 8;
constexpr size_t kPanels = 3;

inline __m512bh as_pairs(__m512i bits) {
  __m512bh pairs;
  static_assert(sizeof(pairs) == sizeof(bits), "a register of pairs");
  std::memcpy(&pairs, &bits, sizeof(pairs));
  return pairs;
}

// 8 points of a left panel against 3 right panels.
template <bool kHasBase>
inline void multiply_panels(const uint32_t* left, const uint32_t* right, size_t right_stride,
                            const PairRun* runs, size_t run_count, const float* base, float* out,
                            size_t stride) {
  __m512 sum[kRows][kPanels];
#pragma GCC unroll 8
  for (size_t r = 0; r < kRows; ++r) {
#pragma GCC unroll 3
    for (size_t v = 0; v < kPanels; ++v) sum[r][v] = _mm512_setzero_ps();
  }
  for (size_t run = 0; run < run_count; ++run) {
    const uint32_t* a = left + runs[run].begin * kRoundedPanel;
    const uint32_t* b = right + runs[run].begin * kRoundedPanel;
    for (size_t p = 0; p < runs[run].count; ++p) {
      __m512i columns[kPanels];
#pragma GCC unroll 3
      for (size_t v = 0; v < kPanels; ++v)
        columns[v] = _mm512_load_si512(b + v * right_stride * kRoundedPanel);
#pragma GCC unroll 8
      for (size_t r = 0; r < kRows; ++r) {
        const __m512i row = _mm512_set1_epi32(static_cast<int32_t>(a[r]));
#pragma GCC unroll 3
        for (size_t v = 0; v < kPanels; ++v) {
          sum[r][v] = _mm512_dpbf16_ps(sum[r][v], as_pairs(row), as_pairs(columns[v]));
        }
      }
      a += kRoundedPanel;
      b += kRoundedPanel;
    }
  }
#pragma GCC unroll 8
  for (size_t r = 0; r < kRows; ++r) {
#pragma GCC unroll 3
    for (size_t v = 0; v < kPanels; ++v) {
      const size_t at = r * stride + v * kRoundedPanel;
      _mm512_store_ps(out + at, kHasBase ? _mm512_add_ps(_mm512_load_ps(base + at), sum[r][v]) : sum[r][v]);
    }
  }
}

void multiply(RoundedPanels left, RoundedPanels right, const PairRun* runs, size_t run_count,
              const float* base, float* out, size_t stride, const uint32_t* first_right_panel,
              RoundedPanels) {
  for (size_t a = 0; a < left.count; ++a) {
    const size_t first = first_right_panel != nullptr ? first_right_panel[a] / kPanels * kPanels : 0;
    for (size_t half = 0; half < kRoundedPanel; half += kRows) {
      const uint32_t* left_panel = left.data + a * left.stride * kRoundedPanel + half;
      for (size_t b = first; b < right.count; b += kPanels) {
        const uint32_t* right_panel = right.data + b * right.stride * kRoundedPanel;
        const size_t at = (a * kRoundedPanel + half) * stride + b * kRoundedPanel;
        if (base != nullptr) {
          multiply_panels<true>(left_panel, right_panel, right.stride, runs, run_count, base + at, out + at,
                                stride);
        } else {
          multiply_panels<false>(left_panel, right_panel, right.stride, runs, run_count, nullptr, out + at,
                                 stride);
        }
      }
    }
  }
}

const RoundedKernels kTable = {1, 24, 0x1p40, 28, 480, pack, nullptr, multiply};

}  // namespace

const RoundedKernels* rounded_kernels_avx512_bf16() { return &kTable; }

}  // namespace sieve

#else

namespace sieve {
const RoundedKernels* rounded_kernels_avx512_bf16() { return nullptr; }
}  // namespace sieve

#endif
