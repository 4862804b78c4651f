#include "core/column_stream_distances.h"

#include <algorithm>
#include <utility>

#include "core/parallel.h"

namespace sieve {
namespace {

// Rows side by side: each sum is one chain of dependent additions, several chains hide their latency.
constexpr size_t kChains = 8;
constexpr size_t kQueryGrain = 16;

// sums[i] += the squares of the differences, in the order of the columns.
template <size_t kCount>
void add_squares(const float* query, const float* const* others, size_t columns, double* sums) {
  double total[kCount];
  std::copy(sums, sums + kCount, total);
  for (size_t k = 0; k < columns; ++k) {
    const double value = query[k];
    for (size_t i = 0; i < kCount; ++i) {
      const double difference = value - static_cast<double>(others[i][k]);
      const double square = difference * difference;
      total[i] += square;
    }
  }
  std::copy(total, total + kCount, sums);
}

}  // namespace

PairDistances::PairDistances(WantedPairs pairs)
    : pairs_(std::move(pairs)), sums_(pairs_.references.size(), 0.0) {}

void PairDistances::add(const Points& block, RunContext& run) {
  const Columns columns{{0, block.columns}};
  run.begin_phase(0.0, 1.0, sums_.size());
  parallel_ranges(run, block.size(), kQueryGrain, [&](size_t begin, size_t end, int) {
    RowReader query_reader(block, 1), reader(block, kChains);
    const float* others[kChains];
    for (size_t query = begin; query < end; ++query) {
      const size_t last = pairs_.offsets[query + 1];
      size_t at = pairs_.offsets[query];
      if (at == last) continue;
      const float* row = query_reader.read(0, query, columns);
      for (; at + kChains <= last; at += kChains) {
        run.throw_if_cancelled();
        for (size_t i = 0; i < kChains; ++i) others[i] = reader.read(i, pairs_.references[at + i], columns);
        add_squares<kChains>(row, others, block.columns, sums_.data() + at);
      }
      for (; at < last; ++at) {
        others[0] = reader.read(0, pairs_.references[at], columns);
        add_squares<1>(row, others, block.columns, sums_.data() + at);
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
