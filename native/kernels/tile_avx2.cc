// Tile kernels for AVX2 with FMA: 6 x 16 products in 12 registers, 2 for the right panel, 1 broadcast.
#include "kernels/tile_kernels.h"

#if defined(__AVX2__) && (defined(__FMA__) || defined(_MSC_VER))

#include <immintrin.h>
#if defined(_MSC_VER)
#include <intrin.h>
#endif

namespace sieve {
namespace {

struct Lanes {
  using Register = __m256;
  static constexpr size_t kWidth = 8;
  static Register zero() { return _mm256_setzero_ps(); }
  static Register broadcast(float value) { return _mm256_set1_ps(value); }
  static Register load(const float* at) { return _mm256_load_ps(at); }
  static Register load_unaligned(const float* at) { return _mm256_loadu_ps(at); }
  static void store(float* at, Register value) { _mm256_store_ps(at, value); }
  // Two plain stores are far cheaper than a masked one on some CPUs.
  template <size_t kCount>
  static void store_first(float* at, Register value) {
    static_assert(kCount == 6 || kCount == 8, "the panels that AVX2 uses");
    if constexpr (kCount == kWidth) {
      _mm256_storeu_ps(at, value);
    } else {
      _mm_storeu_ps(at, _mm256_castps256_ps128(value));
      _mm_storel_pi(reinterpret_cast<__m64*>(at + 4), _mm256_extractf128_ps(value, 1));
    }
  }
  static Register add(Register a, Register b) { return _mm256_add_ps(a, b); }
  static Register maximum(Register a, Register b) { return _mm256_max_ps(a, b); }
  static Register multiply_add(Register a, Register b, Register c) { return _mm256_fmadd_ps(a, b, c); }
  static Register multiply_subtract(Register a, Register b, Register c) { return _mm256_fmsub_ps(a, b, c); }
  // One column of the left panel, taken a row at a time by a load that broadcasts.
  using LeftColumn = const float*;
  static LeftColumn load_left(const float* at) { return at; }
  static Register multiply_add_row(LeftColumn left, size_t row, Register b, Register c) {
    return multiply_add(broadcast(left[row]), b, c);
  }
  static uint64_t less_or_equal(Register a, Register b) {
    return static_cast<uint32_t>(_mm256_movemask_ps(_mm256_cmp_ps(a, b, _CMP_LE_OQ)));
  }

  static void transpose(Register (&rows)[8]) {
    Register t[8];
#pragma GCC unroll 2
    for (int g = 0; g < 8; g += 4) {
      const Register low01 = _mm256_unpacklo_ps(rows[g], rows[g + 1]);
      const Register high01 = _mm256_unpackhi_ps(rows[g], rows[g + 1]);
      const Register low23 = _mm256_unpacklo_ps(rows[g + 2], rows[g + 3]);
      const Register high23 = _mm256_unpackhi_ps(rows[g + 2], rows[g + 3]);
      t[g] = _mm256_shuffle_ps(low01, low23, 0x44);
      t[g + 1] = _mm256_shuffle_ps(low01, low23, 0xEE);
      t[g + 2] = _mm256_shuffle_ps(high01, high23, 0x44);
      t[g + 3] = _mm256_shuffle_ps(high01, high23, 0xEE);
    }
#pragma GCC unroll 4
    for (int c = 0; c < 4; ++c) {
      rows[c] = _mm256_permute2f128_ps(t[c], t[4 + c], 0x20);
      rows[4 + c] = _mm256_permute2f128_ps(t[c], t[4 + c], 0x31);
    }
  }
};

constexpr size_t kRowPanel = 6;
constexpr size_t kColumnVectors = 2;
constexpr size_t kColumnPanel = kColumnVectors * Lanes::kWidth;

#include "kernels/tile_kernels_body.h"

}  // namespace

const TileKernels* tile_kernels_avx2() { return &kTable; }

}  // namespace sieve

#else

namespace sieve {
const TileKernels* tile_kernels_avx2() { return nullptr; }
}  // namespace sieve

#endif
