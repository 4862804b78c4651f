#include "core/selection_table.h"

#include <algorithm>
#include <cmath>
#include <memory>

#include "core/parallel.h"

namespace sieve {
namespace {

constexpr size_t kEdge = 192;  // points of a block: a multiple of every kernel's panels
constexpr size_t kTile = kEdge * kEdge;
constexpr size_t kDepth = kPanelDepth / 2;  // columns packed at once
constexpr size_t kSample = 256;

size_t blocks_of(size_t points) { return (points + kEdge - 1) / kEdge; }

// Columns in pieces of at most kDepth together.
std::vector<Columns> panels_of(const Columns& columns) {
  std::vector<Columns> panels;
  size_t room = 0;
  for (ColumnRange range : columns) {
    while (range.count > 0) {
      if (room == 0) {
        panels.emplace_back();
        room = kDepth;
      }
      const size_t count = std::min(room, range.count);
      panels.back().push_back({range.begin, count});
      range.begin += count;
      range.count -= count;
      room -= count;
    }
  }
  return panels;
}

float power_of_two_above(double value) {
  const int exponent = static_cast<int>(std::ceil(std::log2(value)));
  return std::ldexp(1.0f, std::clamp(exponent, -100, 100));
}

using Pack = decltype(TileKernels::pack_left);

// All points packed as one operand, blocks kEdge points apart.
AlignedFloats packed(const Points& points, const Conditioning& conditioning, Pack pack,
                     const Columns& columns, const RunContext& run) {
  const size_t depth = column_count(columns);
  AlignedFloats panels(blocks_of(points.size()) * kEdge * depth);
  parallel_ranges(run, points.size(), kEdge, [&](size_t begin, size_t end, int) {
    std::vector<const float*> rows(end - begin);
    std::vector<float> decoded;
    size_t offset = 0;
    for (const ColumnRange& range : columns) {
      if (points.decode != nullptr) decoded.resize(rows.size() * range.count);
      for (size_t i = 0; i < rows.size(); ++i) {
        float* scratch = points.decode != nullptr ? decoded.data() + i * range.count : nullptr;
        rows[i] = points.values(begin + i, range.begin, range.count, scratch);
      }
      pack(rows.data(), rows.size(), range.count, conditioning.scale,
           conditioning.center.data() + range.begin, offset, depth, panels.data() + begin * depth);
      offset += range.count;
    }
  });
  return panels;
}

}  // namespace

size_t PairTable::bytes(size_t points, int threads) {
  const size_t blocks = blocks_of(points);
  const size_t operands = 2 * blocks * kEdge * kDepth * sizeof(float);
  return blocks * (blocks + 1) / 2 * kTile * sizeof(uint16_t) + operands +
         static_cast<size_t>(threads) * kTile * sizeof(float);
}

PairTable::PairTable(const Points& points, const Conditioning& conditioning, const TileKernels& tile_kernels,
                     const PairKernels& pair_kernels, double largest)
    : points_(points),
      conditioning_(conditioning),
      tile_kernels_(tile_kernels),
      pair_kernels_(pair_kernels),
      blocks_(blocks_of(points.size())),
      unit_(power_of_two_above(largest / kPairLimit)),
      slacks_(points.size(), 0.0),
      entries_(blocks_ * (blocks_ + 1) / 2 * kTile) {
  std::fill_n(entries_.data(), blocks_ * (blocks_ + 1) / 2 * kTile, uint16_t{0});
}

size_t PairTable::block_size(size_t block) const { return std::min(kEdge, points_.size() - block * kEdge); }

uint16_t* PairTable::tile(size_t a, size_t b) const {
  const size_t before = a * blocks_ - a * (a - 1) / 2;  // tiles of the rows of blocks above
  return const_cast<uint16_t*>(entries_.data()) + (before + b - a) * kTile;
}

uint16_t PairTable::entry(size_t i, size_t j) const {
  const size_t low = std::min(i, j), high = std::max(i, j);
  return tile(low / kEdge, high / kEdge)[low % kEdge * kEdge + high % kEdge];
}

float PairTable::largest_radius() const { return unit_ * kPairLimit; }

void PairTable::add(const Columns& columns, RunContext& run) {
  for (const Columns& panel : panels_of(columns)) add_panel(panel, run);
}

void PairTable::add_panel(const Columns& columns, RunContext& run) {
  const size_t depth = column_count(columns);
  const AlignedFloats left = packed(points_, conditioning_, tile_kernels_.pack_left, columns, run);
  const AlignedFloats right = packed(points_, conditioning_, tile_kernels_.pack_right, columns, run);
  const PointBounds bounds =
      point_bounds(point_sums(points_, columns, conditioning_, run), depth, depth + 1, conditioning_, 0.0);
  std::vector<std::unique_ptr<AlignedFloats>> products(static_cast<size_t>(worker_count(run, blocks_)));
  parallel_for(run, blocks_, [&](size_t a, int worker) {
    std::unique_ptr<AlignedFloats>& out = products[static_cast<size_t>(worker)];
    if (!out) out = std::make_unique<AlignedFloats>(kTile);
    const size_t rows = block_size(a);
    for (size_t b = a; b < blocks_; ++b) {
      run.throw_if_cancelled();
      tile_kernels_.multiply(left.data() + a * kEdge * depth, kEdge / tile_kernels_.row_panel,
                             right.data() + b * kEdge * depth, kEdge / tile_kernels_.column_panel, depth,
                             nullptr, out->data(), kEdge, nullptr);
      uint16_t* entries = tile(a, b);
      for (size_t i = 0; i < rows; ++i) {
        pair_kernels_.add(out->data() + i * kEdge, bounds.lower_norms.data() + b * kEdge,
                          bounds.lower_norms[a * kEdge + i], 1.0f / unit_, block_size(b),
                          entries + i * kEdge);
      }
    }
  });
  for (size_t point = 0; point < slacks_.size(); ++point) slacks_[point] += bounds.slacks[point];
  ++additions_;
}

std::vector<float> PairTable::sampled_radii(const std::vector<uint32_t>& queries, size_t wanted,
                                            const RunContext& run) const {
  const size_t count = points_.size();
  std::vector<float> radii(queries.size(), largest_radius());
  if (wanted + 1 >= count) return radii;
  const size_t sample = std::min(kSample, count);
  const size_t rank = std::min(sample - 1, wanted * sample / count);
  parallel_ranges(run, queries.size(), 64, [&](size_t begin, size_t end, int) {
    std::vector<uint16_t> entries(sample);
    for (size_t q = begin; q < end; ++q) {
      for (size_t i = 0; i < sample; ++i) {
        const size_t other = i * count / sample;
        entries[i] = other == queries[q] ? kPairLimit : entry(queries[q], other);
      }
      const auto at = entries.begin() + static_cast<std::ptrdiff_t>(rank);
      std::nth_element(entries.begin(), at, entries.end());
      radii[q] = std::min(static_cast<float>(*at) + 1.0f, static_cast<float>(kPairLimit)) * unit_;
    }
  });
  return radii;
}

void PairTable::fill_balls(const std::vector<uint32_t>& queries, const std::vector<float>& radii,
                           size_t capacity, std::vector<Ball>& balls, const RunContext& run) const {
  std::vector<uint16_t> limits(blocks_ * kEdge, 0);
  const auto start = [&](uint32_t query, float radius) {
    // Down to a whole number of units.
    limits[query] = static_cast<uint16_t>(std::min(radius / unit_, static_cast<float>(kPairLimit)));
    balls[query].members.clear();
    balls[query].members.reserve(std::min(capacity + 1, points_.size()));
    balls[query].radius = static_cast<float>(limits[query]) * unit_;
  };
  for (size_t i = 0; i < queries.size(); ++i) start(queries[i], radii[i]);

  const auto take = [&](uint32_t query, uint32_t point, uint16_t entry) {
    if (entry >= limits[query]) return;
    Ball& ball = balls[query];
    ball.members.push_back({point, static_cast<float>(entry) * unit_});
    if (ball.members.size() <= capacity) return;
    ball.shrink(capacity - capacity / 4);
    limits[query] = static_cast<uint16_t>(ball.radius / unit_);
  };
  const std::vector<uint16_t> none(kEdge, 0);
  // Every block meets all points, so that no ball has two workers.
  parallel_for(run, blocks_, [&](size_t a, int) {
    std::vector<uint32_t> found(kEdge + 1);
    const size_t first = a * kEdge, size = block_size(a);
    uint16_t* own = limits.data() + first;
    if (std::all_of(own, own + size, [](uint16_t limit) { return limit == 0; })) return;
    for (size_t b = 0; b < blocks_; ++b) {
      run.throw_if_cancelled();
      if (b <= a) {
        const uint16_t* entries = tile(b, a);
        for (size_t i = 0; i < block_size(b); ++i) {
          const uint16_t* row = entries + i * kEdge;
          const size_t count = pair_kernels_.below(row, own, 0, b == a ? i + 1 : 0, size, found.data());
          for (size_t h = 0; h < count; ++h) {
            take(static_cast<uint32_t>(first + found[h]), static_cast<uint32_t>(b * kEdge + i),
                 row[found[h]]);
          }
        }
      }
      if (b >= a) {
        const uint16_t* entries = tile(a, b);
        for (size_t i = 0; i < size; ++i) {
          if (own[i] == 0) continue;
          const uint16_t* row = entries + i * kEdge;
          const size_t count =
              pair_kernels_.below(row, none.data(), own[i], b == a ? i + 1 : 0, block_size(b), found.data());
          for (size_t h = 0; h < count; ++h) {
            take(static_cast<uint32_t>(first + i), static_cast<uint32_t>(b * kEdge + found[h]),
                 row[found[h]]);
          }
        }
      }
    }
  });

  const double gap = static_cast<double>(additions_) * unit_;
  parallel_ranges(run, queries.size(), 64, [&](size_t begin, size_t end, int) {
    for (size_t i = begin; i < end; ++i) {
      Ball& ball = balls[queries[i]];
      ball.settle();
      double largest_slack = 0.0;
      for (const BallMember& member : ball.members) {
        largest_slack = std::max(largest_slack, slacks_[member.point]);
      }
      ball.slack = static_cast<float>((gap + slacks_[queries[i]] + largest_slack) * (1.0 + 0x1p-20));
    }
  });
}

}  // namespace sieve
