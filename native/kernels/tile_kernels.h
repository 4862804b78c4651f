// The inner loops of the neighbour search, one table per instruction set. A tile is a block of queries
// against a block of references; everything here is float32 and works on one tile in one thread.
//
// Numerics (proof of the bound that core/conditioning.h turns into numbers)
//   Let u = 2^-24, c the centre, p a power of two, z = (x - c) * p in real arithmetic, t = |z_i - z_j|^2.
//   1. Packing stores w = fl(x*p - c*p). x*p is exact but for underflow, so |w_k - z_k| <= u |z_k| + 2^-149
//   and
//      | |w_i - w_j| - |z_i - z_j| | <= u (|z_i| + |z_j|). Hence, with n = |w|^2,
//      | |w_i - w_j|^2 - t | <= 4u (n_i + n_j)(1 + O(u)).
//   2. A product of packed panels is a chain of at most L fused multiply-adds and block additions an element:
//      |g - w_i.w_j| <= L u sum_k |w_ik w_jk| (1 + O(Lu)) <= L u (n_i + n_j)/2 (1 + O(Lu)), so 2g is off by
//      at most L u (n_i + n_j).
//   3. Norms are summed in float64 from the unrounded z (2u n) and rounded once, directed (2u n). Their sum
//   rounds
//      by u (n_i + n_j); the result n_i + n_j - 2g is at most 2 (n_i + n_j) and rounds by 2u (n_i + n_j).
//   4. The float64 reference itself is within (D + 3) 2^-53 of t, t <= 2 (n_i + n_j).
//   Together |estimate - reference| <= ((L + 11) u + (D + 3) 2^-52)(n_i + n_j) + eta, eta for the underflows.
//   With beta = 1.01 ((L + 16) u + (D + 3) 2^-51) and eta = D * 2^-120 (in the scale where a typical norm is
//   1) there is room for the second-order terms and for the two roundings of `upper`. The search stores the
//   LOWER bound's norm m_i = (1 - beta) n_i - eta, so that
//       lower = m_i + m_j - 2g  <=  reference * p^2  <=  lower + s_i + s_j = upper,   s_i = 2 beta n_i + 2
//       eta.
//   Where all values are small integers times a power of two, every step above is exact: beta = eta = 0.
#ifndef SIEVE_KERNELS_TILE_KERNELS_H
#define SIEVE_KERNELS_TILE_KERNELS_H

#include <cstddef>
#include <cstdint>

namespace sieve {

// Columns of K that one packed panel holds: panels of this depth stay in the first- and second-level cache,
// and no chain of additions is longer.
constexpr size_t kPanelDepth = 192;

// What a reference or query of a tile costs in the epilogue.
struct TileHit {
  uint32_t column;  // in the tile
  float lower;
};

struct TileKernels {
  size_t row_panel;     // rows of a packed left panel
  size_t column_panel;  // rows of a packed right panel; columns of the product

  // Packs `depth` values of `count` rows, in panels of row_panel (pack_left) or column_panel (pack_right)
  // rows, column-major inside a panel, panels `panel_depth` columns apart, from column `offset` of the panel
  // on: out[(a*panel_depth + offset + k)*width + r] = rows[a*width + r][k]*scale - center[k]. Missing rows of
  // the last panel become 0. rows: [count] pointers, any alignment.
  void (*pack_left)(const float* const* rows, size_t count, size_t depth, float scale, const float* center,
                    size_t offset, size_t panel_depth, float* out);
  void (*pack_right)(const float* const* rows, size_t count, size_t depth, float scale, const float* center,
                     size_t offset, size_t panel_depth, float* out);

  // out = base + left * right^T over `depth` columns; base NULL means 0, base may be out. left has
  // left_panels panels, right right_panels; out and base are row-major with `stride` floats a row, 64-byte
  // aligned. first_right_panel[a] (or NULL for all 0) is the first panel of right that left panel a needs.
  void (*multiply)(const float* left, size_t left_panels, const float* right, size_t right_panels,
                   size_t depth, const float* base, float* out, size_t stride,
                   const uint32_t* first_right_panel);

  // Finds the columns j in [begin, end) of one row of products with
  //   lower = row_norm + column_norms[j] - 2*products[j]  <=  max(row_threshold, column_thresholds[j]).
  // Returns how many; hits has room for end - begin. All arrays 64-byte aligned and readable up to the next
  // multiple of 64 columns.
  size_t (*scan)(const float* products, const float* column_norms, const float* column_thresholds,
                 size_t begin, size_t end, float row_norm, float row_threshold, TileHit* hits);
};

// NULL where this build does not have them. The caller checks the CPU.
const TileKernels* tile_kernels_avx2();
const TileKernels* tile_kernels_avx512();
const TileKernels* tile_kernels_neon();

}  // namespace sieve

#endif  // SIEVE_KERNELS_TILE_KERNELS_H
