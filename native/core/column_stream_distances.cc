#include "core/column_stream_distances.h"

#include <algorithm>
#include <utility>

#include "core/parallel.h"

namespace sieve {
namespace {

constexpr size_t kRowsAtOnce = 8;
constexpr size_t kQueryGrain = 16;

}  // namespace

PairDistances::PairDistances(WantedPairs pairs)
    : pairs_(std::move(pairs)), sums_(pairs_.references.size(), 0.0) {}

void PairDistances::add(const Points& block, RunContext& run) {
  const Columns columns{{0, block.columns}};
  run.begin_phase(0.0, 1.0, sums_.size());
  parallel_ranges(run, block.size(), kQueryGrain, [&](size_t begin, size_t end, int) {
    RowReader query_reader(block, 1), reader(block, kRowsAtOnce);
    const float* others[kRowsAtOnce];
    for (size_t query = begin; query < end; ++query) {
      const size_t last = pairs_.offsets[query + 1];
      size_t at = pairs_.offsets[query];
      if (at == last) continue;
      const float* row = query_reader.read(0, query, columns);
      for (size_t some = 0; at < last; at += some) {
        run.throw_if_cancelled();
        some = std::min(kRowsAtOnce, last - at);
        for (size_t i = 0; i < some; ++i) others[i] = reader.read(i, pairs_.references[at + i], columns);
        add_distances(row, others, some, columns, sums_.data() + at);
      }
    }
    run.advance(pairs_.offsets[end] - pairs_.offsets[begin]);
  });
}

void PairDistances::offer(size_t query, const std::vector<uint8_t>& usable, NearestList& nearest) const {
  for (size_t at = pairs_.offsets[query]; at < pairs_.offsets[query + 1]; ++at) {
    if (usable[pairs_.references[at]] != 0) nearest.offer({sums_[at], pairs_.references[at]});
  }
}

AllDistances::AllDistances(size_t rows, CenterDistances kernel)
    : rows_(rows), kernel_(kernel), groups_((rows + kCenterLanes - 1) / kCenterLanes) {
  const size_t row_groups = (rows + kCenterRows - 1) / kCenterRows;
  offsets_.resize(row_groups + 1, 0);
  for (size_t r = 0; r < row_groups; ++r) {
    offsets_[r + 1] = offsets_[r] + (groups_ - first_group(r)) * kCenterRows * kCenterLanes;
  }
  sums_.assign(offsets_.back(), 0.0);
}

// The rows in float64 play the centres of the kernel: value - center is the difference of two float32 values
// either way, and its square does not know the order of the two.
void AllDistances::add(const Points& block, RunContext& run) {
  constexpr size_t kColumnsAtOnce = 128;  // 20 MB of packed rows at 20,000
  const size_t row_groups = offsets_.size() - 1;
  const size_t pieces = (block.columns + kColumnsAtOnce - 1) / kColumnsAtOnce;
  std::vector<double> packed(groups_ * kCenterLanes * std::min(block.columns, kColumnsAtOnce), 0.0);
  run.begin_phase(0.0, 1.0, pieces * row_groups);
  for (size_t piece = 0; piece < pieces; ++piece) {
    const size_t begin_column = piece * kColumnsAtOnce;
    const size_t count = std::min(kColumnsAtOnce, block.columns - begin_column);
    parallel_ranges(run, groups_, 16, [&](size_t begin, size_t end, int) {
      float scratch[kColumnsAtOnce];
      for (size_t row = begin * kCenterLanes; row < std::min(end * kCenterLanes, rows_); ++row) {
        const float* values = block.values(row, begin_column, count, scratch);
        double* to = packed.data() + row / kCenterLanes * count * kCenterLanes + row % kCenterLanes;
        for (size_t k = 0; k < count; ++k) to[k * kCenterLanes] = values[k];
      }
    });
    parallel_ranges(run, row_groups, 4, [&](size_t begin, size_t end, int) {
      float scratch[kCenterRows][kColumnsAtOnce];
      const float* rows[kCenterRows];
      for (size_t r = begin; r < end; ++r) {
        for (size_t i = 0; i < kCenterRows; ++i) {
          const size_t row = std::min(r * kCenterRows + i, rows_ - 1);
          rows[i] = block.values(row, begin_column, count, scratch[i]);
        }
        double* sums = sums_.data() + offsets_[r];
        for (size_t group = first_group(r); group < groups_; ++group) {
          kernel_(rows, 0, count, packed.data() + group * count * kCenterLanes, sums);
          sums += kCenterRows * kCenterLanes;
        }
      }
      run.advance(end - begin);
    });
  }
}

double AllDistances::distance(size_t row, size_t other) const {
  const size_t r = row / kCenterRows;
  const size_t group = other / kCenterLanes - first_group(r);
  return sums_[offsets_[r] + (group * kCenterRows + row % kCenterRows) * kCenterLanes + other % kCenterLanes];
}

void AllDistances::offer(size_t query, const std::vector<uint8_t>& usable, NearestList& nearest) const {
  for (size_t row = 0; row < rows_; ++row) {
    if (row == query || usable[row] == 0) continue;
    nearest.offer({distance(std::min(row, query), std::max(row, query)), static_cast<uint32_t>(row)});
  }
}

}  // namespace sieve
