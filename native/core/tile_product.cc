#include "core/tile_product.h"

#include <algorithm>
#include <numeric>

namespace sieve {
namespace {

constexpr size_t kRowMultiple = 96;  // of every kernel's row panels: 6, 8, 12, 16, 32

size_t round_up(size_t value, size_t multiple) { return (value + multiple - 1) / multiple * multiple; }

// Rows of products end on a multiple of every kernel's panels, and do not start a power of two apart.
size_t product_stride(size_t edge) { return round_up(edge, 96) + 16; }

}  // namespace

TileProduct::TileProduct(size_t edge)
    : stride_(product_stride(edge)), buffer_floats_(round_up(edge, kRowMultiple) * stride_ + 64) {}

PackingProduct::PackingProduct(const TileKernels& kernels, const Conditioning& conditioning, size_t edge)
    : TileProduct(edge),
      kernels_(kernels),
      conditioning_(conditioning),
      packed_left_(round_up(edge, kernels.row_panel) * kPanelDepth),
      packed_right_(round_up(edge, kernels.column_panel) * kPanelDepth) {}

void PackingProduct::pack(Pack pack, const TileRows& rows, size_t column, size_t count, size_t offset,
                          size_t depth, float* packed) {
  const bool decodes = rows.points->decode != nullptr;
  if (decodes) decoded_.resize(rows.size() * kPanelDepth);
  row_values_.resize(rows.size());
  for (size_t i = 0; i < rows.size(); ++i) {
    float* scratch = decodes ? decoded_.data() + i * kPanelDepth : nullptr;
    row_values_[i] = rows.points->values(rows.members[i], column, count, scratch);
  }
  pack(row_values_.data(), rows.size(), count, conditioning_.scale, conditioning_.center.data() + column,
       offset, depth, packed);
}

void PackingProduct::compute(const TileRows& left, const TileRows& right, const TileColumns& tile_columns,
                             bool diagonal, const float* base, float* out) {
  const Columns& columns = tile_columns.columns;
  const size_t left_panels = (left.size() + kernels_.row_panel - 1) / kernels_.row_panel;
  const size_t right_panels = (right.size() + kernels_.column_panel - 1) / kernels_.column_panel;
  const uint32_t* first_right_panel = nullptr;
  if (diagonal) {
    first_right_panel_.resize(left_panels);
    for (size_t panel = 0; panel < left_panels; ++panel) {
      first_right_panel_[panel] = static_cast<uint32_t>(panel * kernels_.row_panel / kernels_.column_panel);
    }
    first_right_panel = first_right_panel_.data();
  }

  size_t range = 0, within = 0, left_over = column_count(columns);
  while (left_over > 0) {
    const size_t depth = std::min(left_over, kPanelDepth);
    for (size_t filled = 0; filled < depth;) {
      const size_t count = std::min(depth - filled, columns[range].count - within);
      const size_t column = columns[range].begin + within;
      pack(kernels_.pack_left, left, column, count, filled, depth, packed_left_.data());
      pack(kernels_.pack_right, right, column, count, filled, depth, packed_right_.data());
      filled += count;
      within += count;
      if (within == columns[range].count) {
        ++range;
        within = 0;
      }
    }
    kernels_.multiply(packed_left_.data(), left_panels, packed_right_.data(), right_panels, depth, base, out,
                      stride(), first_right_panel);
    base = out;
    left_over -= depth;
  }
}

RoundedProduct::RoundedProduct(const RoundedSides& sides, size_t edge)
    : TileProduct(edge),
      sides_(sides),
      packed_(round_up(edge, kRowMultiple) * kRoundedBlockPairs),
      arranged_(sides.packing.kernels->arrange_left != nullptr
                    ? round_up(edge, kRowMultiple) * kRoundedBlockPairs
                    : 0) {}

RoundedPanels RoundedProduct::left_panels(const TileRows& left, size_t count,
                                          const RoundedLayout::BlockRuns& runs) {
  if (left.first_slot != TileRows::kNoSlot) {
    return sides_.left->panels(runs.block, left.first_slot / kRoundedPanel, count);
  }
  const RoundedLayout::Block& block = sides_.layout->blocks()[runs.block];
  PartPacker packer(sides_.packing, *left.points);
  for (size_t panel = 0; panel < count; ++panel) {
    const PanelMembers members = panel_members(left.members, panel);
    for (const RoundedLayout::Part& part : block.parts) {
      if (!touches(runs.runs, part)) continue;
      RoundedSums sums[kRoundedPanel] = {};
      packer.pack(members, part, packed_.data() + (panel * block.pairs + part.pair_begin) * kRoundedPanel,
                  sums);
    }
  }
  return {packed_.data(), count, block.pairs};
}

void RoundedProduct::compute(const TileRows& left, const TileRows& right, const TileColumns& columns,
                             bool diagonal, const float* base, float* out) {
  const RoundedKernels& kernels = *sides_.packing.kernels;
  const size_t left_count = round_up(left.size(), 2 * kRoundedPanel) / kRoundedPanel;
  const size_t right_count = round_up(right.size(), kRoundedPanelGroup * kRoundedPanel) / kRoundedPanel;
  const auto right_panels = [&](size_t block) {
    return sides_.right->panels(block, right.first_slot / kRoundedPanel, right_count);
  };
  const uint32_t* first_right_panel = nullptr;
  if (diagonal) {
    first_right_panel_.resize(left_count);
    std::iota(first_right_panel_.begin(), first_right_panel_.end(), 0u);
    first_right_panel = first_right_panel_.data();
  }

  for (size_t b = 0; b < columns.runs.size(); ++b) {
    const RoundedLayout::BlockRuns& runs = columns.runs[b];
    const RoundedPanels next =
        b + 1 < columns.runs.size() ? right_panels(columns.runs[b + 1].block) : RoundedPanels{nullptr, 0, 0};
    RoundedPanels left_operand = left_panels(left, left_count, runs);
    if (kernels.arrange_left != nullptr) {
      kernels.arrange_left(left_operand, runs.runs.data(), runs.runs.size(), arranged_.data());
      left_operand.data = arranged_.data();
    }
    kernels.multiply(left_operand, right_panels(runs.block), runs.runs.data(), runs.runs.size(), base, out,
                     stride(), first_right_panel, next);
    base = out;
  }
}

size_t product_bytes_per_worker(size_t edge) {
  return (2 * edge * kPanelDepth + 2 * edge * product_stride(edge)) * sizeof(float);
}

size_t product_chain(const TileColumns& columns) {
  if (columns.runs.empty()) {
    const size_t count = column_count(columns.columns);
    return std::min(count, kPanelDepth) + (count + kPanelDepth - 1) / kPanelDepth;
  }
  size_t longest = 0;
  for (const RoundedLayout::BlockRuns& block : columns.runs) {
    size_t values = 0;
    for (const PairRun& run : block.runs) values += 2 * run.count;
    longest = std::max(longest, values);
  }
  return 2 * longest + columns.runs.size();
}

}  // namespace sieve
