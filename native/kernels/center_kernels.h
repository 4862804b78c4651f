// The inner loops of the centre index, one table per instruction set: class sums and distances in float64 as
// the definition has them, and fast float32 products that decide all but close cases.
//
// Numerics (proof of the bound that core/center_products.h turns into numbers)
//   Let u = 2^-24, b a float32 vector (the shift), z = x - b and v_c = mu_c - b in real arithmetic, and
//   w_c = fl(v_c) in float32. Distances to two centres differ by what e_c = |v_c|^2 - 2 z.v_c differs, since
//   |x - mu_c|^2 = |z|^2 + e_c: the norm of x cancels and is needed for the bound alone.
//   1. y = fl(x - b): |y_k - z_k| <= u |z_k| (a subtraction does not underflow). |w_ck - v_ck| <= u |v_ck| +
//      2^-150. So |y.w_c - z.v_c| <= 2u |z||v_c| (1 + O(u)) + underflows.
//   2. A product is summed in chains of fused multiply-adds, one per lane, and a tree over the lanes: at most
//      L = kProductColumns/lanes + log2(lanes) roundings per element of a block of kProductColumns columns;
//      blocks are summed in float64. |g - y.w_c| <= L u sum_k |y_k w_ck| (1 + O(Lu)) <= L u |z||v_c| (1 +
//      O(Lu)); the float64 additions, (D/kProductColumns + 2) 2^-53, are far below one more u for D <= 2^27.
//   3. |y|^2 from the same chains, n, is at most as far from the truth: |z|^2 <= n (1 + 2(L + 4)u) + eta.
//   4. s_c = |v_c|^2 in float64 is within (D + 3) 2^-53 s_c.
//   5. The float64 reference of a distance t is within (D + 4) 2^-53 t, t <= 2 (|z|^2 + |v_c|^2).
//   Each operation that underflows is off by at most 2^-126 (subnormals flushed or not): eta = (D + 1)
//   2^-120 covers all of them. Together, for one point and centre,
//     | (s_c - 2g) - (reference - |z|^2) | <= 2.02 (L + 4) u |z||v_c| + (D + 4) 2^-50 (|z|^2 + |v_c|^2) + eta
//   with room for the second-order terms. A NaN or an infinity on the way is no certainty: such a point goes
//   to the reference, so nothing has to be known about huge values beforehand.
#ifndef SIEVE_KERNELS_CENTER_KERNELS_H
#define SIEVE_KERNELS_CENTER_KERNELS_H

#include <cstddef>

namespace sieve {

constexpr size_t kCenterRows = 4;   // samples at a time
constexpr size_t kCenterLanes = 8;  // centres at a time, in float64

// Rows that `accumulate` takes at once: that many saves most of the traffic of the sums.
constexpr size_t kSummedRows = 8;

// Columns that one call of `products` sums up; no float32 chain is longer.
constexpr size_t kProductColumns = 512;
// Centres of one panel, at most: with them the accumulators of 4 samples fill 24 registers.
constexpr size_t kPanelCenters = 5;

// sums[r*8 + c] += sum over k < count, in order, of (rows[r][column + k] - centers[k*8 + c])^2, for 4 rows
// and 8 centres. Same bits from every one of them.
using CenterDistances = void (*)(const float* const* rows, size_t column, size_t count, const double* centers,
                                 double* sums);

struct CenterKernels {
  CenterDistances distances;

  // sums[k] += rows[r][k], k < columns, for r < count in order. Same bits from every one of them.
  void (*accumulate)(const float* const* rows, size_t count, size_t columns, double* sums);

  // Floats of a vector; 0: there is no `products` (and `margins` of plain loops).
  size_t lanes;

  // With y = row - shift in float32, over `count` <= kProductColumns columns: sums[r*stride + c] += y.w_c for
  // 4 rows and `centers` <= kPanelCenters centres and, where norms is not NULL, norms[r] += |y|^2. panel:
  // [ceil(count/lanes)][1 + centers][lanes]: the shift, then each w_c, zeros behind the last column. rows
  // point to the first of the columns; `next` (NULL or 4 pointers): rows that will be read soon.
  void (*products)(const float* const* rows, size_t count, const float* panel, size_t centers,
                   const float* const* next, double* sums, size_t stride, double* norms);

  // least[q] = min over c < centers of base[c*16 + q] + added[c*16 + q], for 16 samples.
  void (*margins)(const float* base, const float* added, size_t centers, float* least);
};

// Samples of one call of `margins`.
constexpr size_t kMarginRows = 16;

const CenterKernels* center_kernels_serial();
// NULL where this build does not have them.
const CenterKernels* center_kernels_avx2();
const CenterKernels* center_kernels_avx512();
const CenterKernels* center_kernels_neon();

}  // namespace sieve

#endif  // SIEVE_KERNELS_CENTER_KERNELS_H
