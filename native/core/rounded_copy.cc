#include "core/rounded_copy.h"

#include <algorithm>

#include "core/parallel.h"

namespace sieve {
namespace {

size_t round_up(size_t value, size_t multiple) { return (value + multiple - 1) / multiple * multiple; }

size_t panels_of(size_t slots) {
  return round_up((slots + kRoundedPanel - 1) / kRoundedPanel, kRoundedPanelGroup);
}

}  // namespace

RoundedLayout::RoundedLayout(size_t columns, size_t segment, size_t pair_multiple) {
  for (size_t begin = 0; begin < columns; begin += segment) {
    for (size_t within = 0; within < segment; within += 2 * kRoundedBlockPairs) {
      const size_t depth = std::min(segment - within, 2 * kRoundedBlockPairs);
      const size_t pairs = round_up((depth + 1) / 2, pair_multiple);
      if (blocks_.empty() || blocks_.back().pairs + pairs > kRoundedBlockPairs) {
        Block block;
        block.pairs_before = this->pairs();
        blocks_.push_back(std::move(block));
      }
      Block& block = blocks_.back();
      block.parts.push_back({begin + within, depth, block.pairs, pairs});
      block.pairs += pairs;
    }
  }
}

std::vector<RoundedLayout::BlockRuns> RoundedLayout::runs_of(const Columns& columns) const {
  std::vector<BlockRuns> all;
  size_t range = 0;
  for (size_t b = 0; b < blocks_.size(); ++b) {
    BlockRuns found{b, {}};
    for (const Part& part : blocks_[b].parts) {
      while (range < columns.size() && columns[range].begin + columns[range].count <= part.column) ++range;
      if (range == columns.size()) break;
      if (columns[range].begin >= part.column + part.depth) continue;
      std::vector<PairRun>& runs = found.runs;
      if (!runs.empty() && runs.back().begin + runs.back().count == part.pair_begin) {
        runs.back().count += part.pairs;
      } else {
        runs.push_back({part.pair_begin, part.pairs});
      }
    }
    if (!found.runs.empty()) all.push_back(std::move(found));
  }
  return all;
}

bool touches(const std::vector<PairRun>& runs, const RoundedLayout::Part& part) {
  return std::any_of(runs.begin(), runs.end(), [&](const PairRun& run) {
    return part.pair_begin >= run.begin && part.pair_begin < run.begin + run.count;
  });
}

std::vector<uint32_t> hash_weights(size_t columns) {
  std::vector<uint32_t> weights(2 * columns);
  uint64_t state = 0x9e3779b97f4a7c15ull;
  for (uint32_t& weight : weights) {
    state = state * 6364136223846793005ull + 1442695040888963407ull;
    weight = static_cast<uint32_t>(state >> 32) | 1u;
  }
  return weights;
}

PanelMembers panel_members(const std::vector<uint32_t>& members, size_t panel) {
  PanelMembers of;
  for (size_t i = 0; i < kRoundedPanel; ++i) {
    const size_t slot = panel * kRoundedPanel + i;
    of.points[i] = slot < members.size() ? members[slot] : kNoMember;
  }
  return of;
}

void PartPacker::pack(const PanelMembers& members, const RoundedLayout::Part& part, uint32_t* panel,
                      RoundedSums* sums) {
  const bool decodes = points_.decode != nullptr;
  if (decodes) decoded_.resize(kRoundedPanel * 2 * kRoundedBlockPairs);
  const float* rows[kRoundedPanel];
  for (size_t i = 0; i < kRoundedPanel; ++i) {
    float* scratch = decodes ? decoded_.data() + i * 2 * kRoundedBlockPairs : nullptr;
    rows[i] = members.points[i] == kNoMember
                  ? nullptr
                  : points_.values(members.points[i], part.column, part.depth, scratch);
  }
  packing_.kernels->pack(rows, part.depth, packing_.conditioning->scale,
                         packing_.conditioning->center.data() + part.column,
                         packing_.weights + 2 * part.column, part.pairs, panel, sums);
}

RoundedCopy::RoundedCopy(const RoundedPacking& packing, const RoundedLayout& layout, const Points& points,
                         const std::vector<uint32_t>& members, RoundedSums* sums, const RunContext& run)
    : layout_(&layout),
      panel_count_(panels_of(members.size())),
      values_(panel_count_ * layout.pairs() * kRoundedPanel) {
  parallel_ranges(run, panel_count_, 4, [&](size_t begin, size_t end, int) {
    PartPacker packer(packing, points);
    for (size_t panel = begin; panel < end; ++panel) {
      const PanelMembers group = panel_members(members, panel);
      RoundedSums group_sums[kRoundedPanel] = {};
      for (const RoundedLayout::Block& block : layout.blocks()) {
        uint32_t* packed =
            values_.data() + (panel_count_ * block.pairs_before + panel * block.pairs) * kRoundedPanel;
        for (const RoundedLayout::Part& part : block.parts) {
          packer.pack(group, part, packed + part.pair_begin * kRoundedPanel, group_sums);
        }
      }
      if (sums == nullptr) continue;
      for (size_t i = 0; i < kRoundedPanel && panel * kRoundedPanel + i < members.size(); ++i) {
        sums[panel * kRoundedPanel + i] = group_sums[i];
      }
    }
  });
}

size_t RoundedCopy::bytes(const RoundedLayout& layout, size_t slots) {
  return panels_of(slots) * layout.pairs() * kRoundedPanel * sizeof(uint32_t);
}

RoundedPanels RoundedCopy::panels(size_t block, size_t first, size_t count) const {
  const RoundedLayout::Block& of = layout_->blocks()[block];
  return {values_.data() + (panel_count_ * of.pairs_before + first * of.pairs) * kRoundedPanel, count,
          of.pairs};
}

}  // namespace sieve
