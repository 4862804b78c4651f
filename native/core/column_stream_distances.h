// float64 distances of pairs of rows, added up over the blocks of a column stream in the order of the
// columns: to the bit those of kernels/nearest_serial.h over all columns at once.
#ifndef SIEVE_CORE_COLUMN_STREAM_DISTANCES_H
#define SIEVE_CORE_COLUMN_STREAM_DISTANCES_H

#include <cstddef>
#include <cstdint>
#include <vector>

#include "core/column_stream_candidates.h"
#include "core/points.h"
#include "core/run_context.h"
#include "kernels/center_kernels.h"
#include "kernels/nearest_serial.h"

namespace sieve {

class StreamDistances {
 public:
  virtual ~StreamDistances() = default;

  // block: all rows of it. Progress: the whole call.
  virtual void add(const Points& block, RunContext& run) = 0;

  // Offers the rows whose distances to `query` are known and that are usable.
  virtual void offer(size_t query, const std::vector<uint8_t>& usable, NearestList& nearest) const = 0;
};

// Of some pairs. 12 bytes each.
class PairDistances final : public StreamDistances {
 public:
  explicit PairDistances(WantedPairs pairs);
  void add(const Points& block, RunContext& run) override;
  void offer(size_t query, const std::vector<uint8_t>& usable, NearestList& nearest) const override;

 private:
  WantedPairs pairs_;
  std::vector<double> sums_;
};

// Of all pairs. 4 * rows^2 bytes.
class AllDistances final : public StreamDistances {
 public:
  AllDistances(size_t rows, CenterDistances kernel);
  void add(const Points& block, RunContext& run) override;
  void offer(size_t query, const std::vector<uint8_t>& usable, NearestList& nearest) const override;

 private:
  size_t first_group(size_t row_group) const { return row_group * kCenterRows / kCenterLanes; }
  double distance(size_t row, size_t other) const;  // row < other

  size_t rows_;
  CenterDistances kernel_;
  size_t groups_;                // of kCenterLanes rows
  std::vector<size_t> offsets_;  // of the sums of each kCenterRows rows: with groups first_group() ..
  std::vector<double> sums_;     // [pairs of groups][kCenterRows][kCenterLanes]
};

}  // namespace sieve

#endif  // SIEVE_CORE_COLUMN_STREAM_DISTANCES_H
