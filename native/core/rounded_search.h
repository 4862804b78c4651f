// The rounded side of a neighbour search: copies of queries and references, their sums, and the bound's
// quotient.
#ifndef SIEVE_CORE_ROUNDED_SEARCH_H
#define SIEVE_CORE_ROUNDED_SEARCH_H

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "core/conditioning.h"
#include "core/points.h"
#include "core/rounded_copy.h"
#include "core/run_context.h"
#include "core/tile_product.h"
#include "kernels/rounded_kernels.h"

namespace sieve {

class RoundedSearch {
 public:
  // The same points on both sides share a copy. segment: columns that sets are made of. Oversized points
  // become rows of zeros.
  RoundedSearch(const RoundedKernels& kernels, const Conditioning& conditioning, const Points& queries,
                const Points& references, size_t segment, const std::vector<uint32_t>& oversized_queries,
                const std::vector<uint32_t>& oversized_references, const RunContext& run);

  // True where rounding is faster, and the padded copy no larger than the float32 values.
  static bool pays(const RoundedKernels& kernels, size_t columns, size_t segment);

  const RoundedKernels& kernels() const { return *packing_.kernels; }
  TileColumns tile_columns(const Columns& columns) const { return {columns, layout_.runs_of(columns)}; }
  PointSums sums_of(const Points& points, const Columns& columns, const RunContext& run) const;

  // q of kernels/rounded_kernels.h for a set of columns: the rounding of a typical pair over the distance of
  // a typical nearest pair, both of a sample. left_out: [references], those that no query shall find.
  double quotient(const TileColumns& columns, const PointSums& query_sums, const PointSums& reference_sums,
                  const std::vector<uint8_t>& left_out) const;

  // The points of a sweep, ascending, in the order of the copy's slots: those asked for and, where it is not
  // worth while to move the others out, the others too.
  std::vector<uint32_t> settle_references(std::vector<uint32_t> wanted, bool only_set, const RunContext& run);
  std::vector<uint32_t> settle_queries(std::vector<uint32_t> wanted, bool only_set, const RunContext& run);

  const RoundedSides& sides() const { return sides_; }

 private:
  struct Side {
    const Points* points;
    std::vector<uint32_t> oversized;
    std::vector<uint32_t> slots;  // the point of each slot
    std::unique_ptr<RoundedCopy> copy;
    PointSums sums;  // over all columns; empty where sets have fewer
  };
  void fill(Side& side, const RunContext& run);
  std::vector<uint32_t> settle(Side& side, std::vector<uint32_t> wanted, bool only_set,
                               const RunContext& run);
  const Side& references() const { return shared_ ? queries_ : references_; }

  RoundedLayout layout_;
  std::vector<uint32_t> weights_;
  RoundedPacking packing_;
  bool shared_;
  bool one_segment_;
  Side queries_;
  Side references_;  // empty where shared
  RoundedSides sides_{};
};

}  // namespace sieve

#endif  // SIEVE_CORE_ROUNDED_SEARCH_H
