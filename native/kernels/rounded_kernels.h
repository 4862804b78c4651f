// Products of points rounded to 16 bits: twice to thirty times the rate of float32, paid for with wider
// bounds.
//
// Numerics (continues the proof in tile_kernels.h; z, w, u, n, g, L as there)
//   Let a = w rounded to bfloat16 or float16, e = w - a, r an upper bound of |z - a|, n = |a|^2.
//   1. e is exact in float32: a is w cut to fewer bits, or 0 where |w| is below the format's normal range
//   (the
//      kernels flush such values themselves; what hardware does with denormals has no say). Hence
//      |z - a| <= |e| + u |z| + 2^-149 sqrt(D), which r covers.
//   2. Products of two such values are exact in float32 (at most 22 bits). A tile instruction adds them up in
//   an
//      order and with roundings of its own: it is assumed that each of the L additions behind an element, and
//      each product, is off by at most 2u of its result (IEEE round to nearest would be u; 2u also allows
//      truncation), that results below 2^-126 may become 0, and nothing else. So 2g is off by at most
//      4 L u (n_i + n_j)/2 = 2 L u (n_i + n_j), L counting every product once: `chain` = 2 L in beta.
//   3. With d = |z_i - z_j|, E = |a_i - a_j|, s = r_i + r_j the triangle inequality gives |d - E| <= s, and
//   for
//      any 0 < q < 1 (2 E s <= q E^2 + s^2 / q)
//        (1 - q)(E^2 - s^2/q)  <=  (E - s)^2  <=  d^2  <=  (E + s)^2  <=  (1 + q)(E^2 + s^2/q),
//      and s^2 <= 2 r_i^2 + 2 r_j^2 makes that a sum over the two points. The search therefore compares not
//      d^2 but T = d^2 / (1 - q), the same multiple for all pairs of a set:
//        lower = m_i + m_j - 2g <= T <= growth (lower + s_i + s_j) = upper,    growth = (1 + q)/(1 - q),
//        m_i = (1 - beta) n_i - 2 r_i^2 / q - eta,      s_i = 2 beta n_i + 4 r_i^2 / q + 2 eta.
//      q = (r_i + r_j) / d at the distance where it matters makes the bound as sharp as the triangle
//      inequality itself; it is within 25 % of that at half and at twice that distance.
//   Where all r are 0 (small integers), q = 0 and the bounds are those of float32.
#ifndef SIEVE_KERNELS_ROUNDED_KERNELS_H
#define SIEVE_KERNELS_ROUNDED_KERNELS_H

#include <cstddef>
#include <cstdint>

namespace sieve {

// Points of a packed panel. A panel holds pairs of values: panel[p*16 + i] are the values 2p (low half) and
// 2p+1 of point i.
constexpr size_t kRoundedPanel = 16;
// Panels come in groups of this many (blocks of panels are padded with zeros): 2 x 2 and 1 x 3 divide it.
constexpr size_t kRoundedPanelGroup = 6;
// Pairs of a panel that are multiplied at once, at most: what two blocks of panels leave of a second-level
// cache.
constexpr size_t kRoundedBlockPairs = 256;

// Of one point, over the values packed. Sums of disjoint values add.
struct RoundedSums {
  double square_norm;      // of the rounded values
  double square_residual;  // of what rounding took away, in float32
  uint64_t hash;           // equal for equal points
};

// Consecutive pairs of a panel.
struct PairRun {
  size_t begin;
  size_t count;
};

// One operand: panel a starts at data + a*stride.
struct RoundedPanels {
  const uint32_t* data;
  size_t count;   // a multiple of kRoundedPanelGroup for the right operand, of 2 for the left
  size_t stride;  // in pairs of values (uint32)
};

struct RoundedKernels {
  // Segments of columns are padded with zeros to a multiple of this many pairs.
  size_t pair_multiple;
  // Below this many columns float32 is faster: rounding leaves too many candidates in few dimensions, and the
  // products are not what takes the time.
  size_t smallest_segment;
  // Points of a norm up to this keep all values and products finite.
  double largest_norm;
  // Candidates a query is likely to have beyond its `order` nearest.
  size_t spare_candidates;
  // Points of a tile's edge whose panels and products still fit into a second-level cache.
  size_t largest_edge;

  // w = rows[i][k]*scale - center[k] for k < depth and 16 rows (NULL: a row of zeros), rounded and packed
  // into `pairs` pairs, 2*pairs >= depth, the rest zeros. weights: [2*depth] odd numbers, for the hash. panel
  // may be NULL: then only the sums are wanted. Adds to sums [16].
  void (*pack)(const float* const* rows, size_t depth, float scale, const float* center,
               const uint32_t* weights, size_t pairs, uint32_t* panel, RoundedSums* sums);

  // Puts panels into the form that `multiply` wants on the left; NULL: it takes them as they are. In and out
  // have the same stride; only the runs are written.
  void (*arrange_left)(RoundedPanels panels, const PairRun* runs, size_t run_count, uint32_t* out);

  // out = base + left * right^T over the runs (positions in both operands); base NULL means 0, base may be
  // out. out and base are row-major, `stride` floats a row, 64-byte aligned. For panel a of left only panels
  // from first_right_panel[a] on are needed (NULL: all). next: the right operand of the call that follows
  // (count 0: none), which a kernel may fetch ahead.
  void (*multiply)(RoundedPanels left, RoundedPanels right, const PairRun* runs, size_t run_count,
                   const float* base, float* out, size_t stride, const uint32_t* first_right_panel,
                   RoundedPanels next);
};

// NULL where this build does not have them. The caller checks the CPU.
const RoundedKernels* rounded_kernels_avx512_bf16();
const RoundedKernels* rounded_kernels_amx_bf16();
const RoundedKernels* rounded_kernels_amx_fp16();

}  // namespace sieve

#endif  // SIEVE_KERNELS_ROUNDED_KERNELS_H
