// Tile kernels for AVX-512 (F, BW, DQ, VL): 12 x 32 products in 24 registers, 2 for the right panel, 1
// broadcast.
#include "kernels/tile_kernels.h"

#if defined(__AVX512F__) && defined(__AVX512BW__) && defined(__AVX512DQ__) && defined(__AVX512VL__)

#include "kernels/avx512_intrinsics.h"
#if defined(_MSC_VER)
#include <intrin.h>
#endif

namespace sieve {
namespace {

#include "kernels/avx512_transpose.h"

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

  static void transpose(Register (&rows)[16]) { transpose_block(rows); }
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
