// Float32 products of points and class centres over parts of the columns, and the bound on what they say
// about distances (derived in kernels/center_kernels.h).
#ifndef SIEVE_CORE_CENTER_PRODUCTS_H
#define SIEVE_CORE_CENTER_PRODUCTS_H

#include <cstddef>
#include <vector>

#include "core/aligned_floats.h"
#include "core/class_centers.h"
#include "core/points.h"
#include "kernels/center_kernels.h"

namespace sieve {

class CenterProducts {
 public:
  // The columns fall into `parts` equal parts, each with products of its own. O(centres * columns).
  CenterProducts(const ClassCenters& centers, size_t parts, const CenterKernels& kernels,
                 const RunContext& run);

  // Bytes that an object of this class takes.
  static size_t bytes(size_t centers, size_t columns, size_t parts, const CenterKernels& kernels);

  size_t centers() const { return centers_; }

  // What some threads' worth of products needs beside the result.
  struct Scratch {
    std::vector<float> decoded;
  };

  // Points that one call takes at most, a multiple of kCenterRows.
  static constexpr size_t kPoints = 16;

  // products[i*centers + c] = (x_i - shift).(centre c - shift) and square_norms[i] = |x_i - shift|^2 over the
  // columns of the part, of the `count` <= kPoints points from `first` on, all in room for kPoints. `ahead`
  // points behind them will be asked for next.
  void multiply(const Points& points, size_t first, size_t count, size_t part, size_t ahead, Scratch& scratch,
                double* products, double* square_norms) const;

  // |centre - shift|^2 over the part's columns: [centers].
  const double* square_norms(size_t part) const { return square_norms_.data() + part * centers_; }
  const double* norms(size_t part) const { return norms_.data() + part * centers_; }

  // |(square_norms[c] - 2 product[c]) - (reference distance - |x - shift|^2)| is at most
  // product_share * norm(x) * norms[c] + reference_share * (norm(x)^2 + square_norms[c]) + underflow.
  double square_norm_bound(double square_norm) const { return square_norm * norm_share_ + underflow_; }
  double product_share() const { return product_share_; }
  double reference_share() const { return reference_share_; }
  double underflow() const { return underflow_; }

 private:
  struct Block {
    size_t begin, count;
    size_t panel;  // its place in panels_
  };

  const CenterKernels& kernels_;
  size_t centers_;
  size_t blocks_per_part_;
  std::vector<Block> blocks_;          // [parts, blocks_per_part]
  std::vector<size_t> panel_centers_;  // of each panel of a block
  AlignedFloats panels_;
  std::vector<double> square_norms_, norms_;  // [parts, centers]
  double norm_share_, product_share_, reference_share_, underflow_;
};

}  // namespace sieve

#endif  // SIEVE_CORE_CENTER_PRODUCTS_H
