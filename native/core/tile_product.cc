#include "core/tile_product.h"

#include <algorithm>

namespace sieve {
namespace {

size_t round_up(size_t value, size_t multiple) { return (value + multiple - 1) / multiple * multiple; }

// Rows of products end on a multiple of every kernel's panels, and do not start a power of two apart.
size_t product_stride(size_t edge) { return round_up(edge, 96) + 16; }

}  // namespace

TileProduct::TileProduct(const TileKernels& kernels, const Conditioning& conditioning, size_t edge)
    : kernels_(kernels),
      conditioning_(conditioning),
      stride_(product_stride(edge)),
      buffer_floats_(round_up(edge, kernels.row_panel) * stride_ + 64),
      packed_left_(round_up(edge, kernels.row_panel) * kPanelDepth),
      packed_right_(round_up(edge, kernels.column_panel) * kPanelDepth) {}

void TileProduct::pack(Pack pack, const TileRows& rows, size_t column, size_t count, size_t offset,
                       size_t depth, float* packed) {
  if (rows.points->decode != nullptr) decoded_.resize(rows.size() * kPanelDepth);
  row_values_.resize(rows.size());
  for (size_t i = 0; i < rows.size(); ++i) {
    row_values_[i] = rows.points->values(rows.members[i], column, count, decoded_.data() + i * kPanelDepth);
  }
  pack(row_values_.data(), rows.size(), count, conditioning_.scale, conditioning_.center.data() + column,
       offset, depth, packed);
}

void TileProduct::compute(const TileRows& left, const TileRows& right, const Columns& columns, bool diagonal,
                          const float* base, float* out) {
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
                      stride_, first_right_panel);
    base = out;
    left_over -= depth;
  }
}

size_t TileProduct::bytes_per_worker(size_t edge) {
  return (2 * edge * kPanelDepth + 2 * edge * product_stride(edge)) * sizeof(float);
}

size_t product_chain(size_t column_count) {
  return std::min(column_count, kPanelDepth) + (column_count + kPanelDepth - 1) / kPanelDepth;
}

}  // namespace sieve
