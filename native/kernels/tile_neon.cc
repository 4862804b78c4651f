// Tile kernels for NEON (aarch64): 8 x 12 products in 24 registers, 3 for the right panel, 2 for a column of
// the left one, which is multiplied lane by lane.
#include "kernels/tile_kernels.h"

#if defined(__aarch64__) || defined(_M_ARM64)

#include <arm_neon.h>
#if defined(_MSC_VER)
#include <intrin.h>
#endif

namespace sieve {
namespace {

struct Lanes {
  using Register = float32x4_t;
  static constexpr size_t kWidth = 4;
  static Register zero() { return vdupq_n_f32(0.0f); }
  static Register broadcast(float value) { return vdupq_n_f32(value); }
  static Register load(const float* at) { return vld1q_f32(at); }
  static Register load_unaligned(const float* at) { return vld1q_f32(at); }
  static void store(float* at, Register value) { vst1q_f32(at, value); }
  template <size_t kCount>
  static void store_first(float* at, Register value) {
    static_assert(kCount == kWidth, "both panels are whole vectors");
    vst1q_f32(at, value);
  }
  static Register add(Register a, Register b) { return vaddq_f32(a, b); }
  static Register maximum(Register a, Register b) { return vmaxq_f32(a, b); }
  static Register multiply_add(Register a, Register b, Register c) { return vfmaq_f32(c, a, b); }
  static Register multiply_subtract(Register a, Register b, Register c) {
    return vfmaq_f32(vnegq_f32(c), a, b);
  }
  // One column of the left panel in two registers, multiplied by one lane of them at a time. The lane is a
  // constant after unrolling; the instruction wants it as a literal.
  struct LeftColumn {
    Register rows[2];
  };
  static LeftColumn load_left(const float* at) { return {{vld1q_f32(at), vld1q_f32(at + kWidth)}}; }
  static Register multiply_add_row(const LeftColumn& left, size_t row, Register b, Register c) {
    const Register rows = left.rows[row / kWidth];
    switch (row % kWidth) {
      case 0:
        return vfmaq_laneq_f32(c, b, rows, 0);
      case 1:
        return vfmaq_laneq_f32(c, b, rows, 1);
      case 2:
        return vfmaq_laneq_f32(c, b, rows, 2);
      default:
        return vfmaq_laneq_f32(c, b, rows, 3);
    }
  }
  static uint64_t less_or_equal(Register a, Register b) {
    static constexpr uint32_t kBits[4] = {1, 2, 4, 8};
    return vaddvq_u32(vandq_u32(vcleq_f32(a, b), vld1q_u32(kBits)));
  }

  static void transpose(Register (&rows)[4]) {
    const float64x2_t low01 = vreinterpretq_f64_f32(vtrn1q_f32(rows[0], rows[1]));
    const float64x2_t high01 = vreinterpretq_f64_f32(vtrn2q_f32(rows[0], rows[1]));
    const float64x2_t low23 = vreinterpretq_f64_f32(vtrn1q_f32(rows[2], rows[3]));
    const float64x2_t high23 = vreinterpretq_f64_f32(vtrn2q_f32(rows[2], rows[3]));
    rows[0] = vreinterpretq_f32_f64(vtrn1q_f64(low01, low23));
    rows[1] = vreinterpretq_f32_f64(vtrn1q_f64(high01, high23));
    rows[2] = vreinterpretq_f32_f64(vtrn2q_f64(low01, low23));
    rows[3] = vreinterpretq_f32_f64(vtrn2q_f64(high01, high23));
  }
};

constexpr size_t kRowPanel = 8;
constexpr size_t kColumnVectors = 3;
constexpr size_t kColumnPanel = kColumnVectors * Lanes::kWidth;

#include "kernels/tile_kernels_body.h"

}  // namespace

const TileKernels* tile_kernels_neon() { return &kTable; }

}  // namespace sieve

#else

namespace sieve {
const TileKernels* tile_kernels_neon() { return nullptr; }
}  // namespace sieve

#endif
