// Tile kernels for AVX-512 (F, BW, DQ, VL): 12 x 32 products in 24 registers, 2 for the right panel, 1
// broadcast.
#include "kernels/tile_kernels.h"

#if defined(__AVX512F__) && defined(__AVX512BW__) && defined(__AVX512DQ__) && defined(__AVX512VL__)

// GCC 12 takes the undefined source operand of its own unmasked AVX-512 intrinsics for a use (GCC bug
// 105593).
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#pragma GCC diagnostic ignored "-Wuninitialized"
#endif

#include <immintrin.h>
#if defined(_MSC_VER)
#include <intrin.h>
#endif

namespace sieve {
namespace {

struct Lanes {
  using Register = __m512;
  static constexpr size_t kWidth = 16;
  static Register zero() { return _mm512_setzero_ps(); }
  static Register broadcast(float value) { return _mm512_set1_ps(value); }
  static Register load(const float* at) { return _mm512_load_ps(at); }
  static Register load_unaligned(const float* at) { return _mm512_loadu_ps(at); }
  static void store(float* at, Register value) { _mm512_store_ps(at, value); }
  // Two plain stores are cheaper than a masked one.
  template <size_t kCount>
  static void store_first(float* at, Register value) {
    static_assert(kCount == 12 || kCount == 16, "the panels that AVX-512 uses");
    if constexpr (kCount == kWidth) {
      _mm512_storeu_ps(at, value);
    } else {
      _mm256_storeu_ps(at, _mm512_castps512_ps256(value));
      _mm_storeu_ps(at + 8, _mm512_extractf32x4_ps(value, 2));
    }
  }
  static Register add(Register a, Register b) { return _mm512_add_ps(a, b); }
  static Register maximum(Register a, Register b) { return _mm512_max_ps(a, b); }
  static Register multiply_add(Register a, Register b, Register c) { return _mm512_fmadd_ps(a, b, c); }
  static Register multiply_subtract(Register a, Register b, Register c) { return _mm512_fmsub_ps(a, b, c); }
  // One column of the left panel, taken a row at a time by a load that broadcasts.
  using LeftColumn = const float*;
  static LeftColumn load_left(const float* at) { return at; }
  static Register multiply_add_row(LeftColumn left, size_t row, Register b, Register c) {
    return multiply_add(broadcast(left[row]), b, c);
  }
  static uint64_t less_or_equal(Register a, Register b) { return _mm512_cmp_ps_mask(a, b, _CMP_LE_OQ); }

  static void transpose(Register (&rows)[16]) {
    Register t[16];
    // 4x4 blocks inside each 128-bit quarter: t[4g + c] holds column c of every quarter of rows 4g .. 4g+3.
#pragma GCC unroll 4
    for (int g = 0; g < 16; g += 4) {
      const Register low01 = _mm512_unpacklo_ps(rows[g], rows[g + 1]);
      const Register high01 = _mm512_unpackhi_ps(rows[g], rows[g + 1]);
      const Register low23 = _mm512_unpacklo_ps(rows[g + 2], rows[g + 3]);
      const Register high23 = _mm512_unpackhi_ps(rows[g + 2], rows[g + 3]);
      t[g] = _mm512_shuffle_ps(low01, low23, 0x44);
      t[g + 1] = _mm512_shuffle_ps(low01, low23, 0xEE);
      t[g + 2] = _mm512_shuffle_ps(high01, high23, 0x44);
      t[g + 3] = _mm512_shuffle_ps(high01, high23, 0xEE);
    }
    // Then the 4x4 of quarters: column 4q + c takes quarter q of t[c], t[4 + c], t[8 + c], t[12 + c].
#pragma GCC unroll 4
    for (int c = 0; c < 4; ++c) {
      const Register even01 = _mm512_shuffle_f32x4(t[c], t[4 + c], 0x88);
      const Register odd01 = _mm512_shuffle_f32x4(t[c], t[4 + c], 0xDD);
      const Register even23 = _mm512_shuffle_f32x4(t[8 + c], t[12 + c], 0x88);
      const Register odd23 = _mm512_shuffle_f32x4(t[8 + c], t[12 + c], 0xDD);
      rows[c] = _mm512_shuffle_f32x4(even01, even23, 0x88);
      rows[8 + c] = _mm512_shuffle_f32x4(even01, even23, 0xDD);
      rows[4 + c] = _mm512_shuffle_f32x4(odd01, odd23, 0x88);
      rows[12 + c] = _mm512_shuffle_f32x4(odd01, odd23, 0xDD);
    }
  }
};

constexpr size_t kRowPanel = 12;
constexpr size_t kColumnVectors = 2;
constexpr size_t kColumnPanel = kColumnVectors * Lanes::kWidth;

#include "kernels/tile_kernels_body.h"

}  // namespace

const TileKernels* tile_kernels_avx512() { return &kTable; }

}  // namespace sieve

#else

namespace sieve {
const TileKernels* tile_kernels_avx512() { return nullptr; }
}  // namespace sieve

#endif
