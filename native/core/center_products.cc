#include "core/center_products.h"

#include <algorithm>
#include <cmath>

#include "core/parallel.h"

namespace sieve {
namespace {

// Centres that the shift is taken from, at most.
constexpr size_t kShiftCenters = 15;

size_t panels_of(size_t centers) { return (centers + kPanelCenters - 1) / kPanelCenters; }

size_t rounded_up(size_t value, size_t step) { return (value + step - 1) / step * step; }

// Floats of the panels of one block.
size_t block_floats(size_t centers, size_t columns, size_t lanes) {
  return rounded_up(columns, lanes) * (centers + panels_of(centers));
}

// The lower median of the centres' values: an outlier among the classes does not move it.
float shift_of(const ClassCenters& centers, size_t column) {
  double values[kShiftCenters];
  const size_t count = std::min(centers.size(), kShiftCenters);
  for (size_t i = 0; i < count; ++i) {
    values[i] = centers.of_slot(i * centers.size() / count)[column * kCenterLanes];
  }
  double* middle = values + (count - 1) / 2;
  std::nth_element(values, middle, values + count);
  return static_cast<float>(*middle);
}

}  // namespace

size_t CenterProducts::bytes(size_t centers, size_t columns, size_t parts, const CenterKernels& kernels) {
  const size_t dims = columns / parts;
  const size_t last = dims % kProductColumns;
  const size_t floats = dims / kProductColumns * block_floats(centers, kProductColumns, kernels.lanes) +
                        (last > 0 ? block_floats(centers, last, kernels.lanes) : 0);
  return parts * (floats * sizeof(float) + 2 * centers * sizeof(double));
}

CenterProducts::CenterProducts(const ClassCenters& centers, size_t parts, const CenterKernels& kernels,
                               const RunContext& run)
    : kernels_(kernels), centers_(centers.size()) {
  const size_t dims = centers.columns / parts;
  const size_t lanes = kernels.lanes;
  blocks_per_part_ = (dims + kProductColumns - 1) / kProductColumns;
  size_t floats = 0;
  for (size_t part = 0; part < parts; ++part) {
    for (size_t begin = 0; begin < dims; begin += kProductColumns) {
      const size_t count = std::min(kProductColumns, dims - begin);
      blocks_.push_back({part * dims + begin, count, floats});
      floats += block_floats(centers_, count, lanes);
    }
  }
  // As even as can be.
  const size_t panels = panels_of(centers_);
  for (size_t panel = 0; panel < panels; ++panel) {
    panel_centers_.push_back((panel + 1) * centers_ / panels - panel * centers_ / panels);
  }
  panels_ = AlignedFloats(floats);
  square_norms_.assign(parts * centers_, 0.0);
  norms_.resize(parts * centers_);

  parallel_for(run, parts, [&](size_t part, int) {
    double* square_norms = square_norms_.data() + part * centers_;
    for (size_t b = part * blocks_per_part_; b < (part + 1) * blocks_per_part_; ++b) {
      const Block& block = blocks_[b];
      float shifts[kProductColumns];
      for (size_t k = 0; k < block.count; ++k) shifts[k] = shift_of(centers, block.begin + k);
      float* panel = panels_.data() + block.panel;
      std::fill_n(panel, block_floats(centers_, block.count, lanes), 0.0f);
      size_t slot = 0;
      for (const size_t count : panel_centers_) {
        const size_t step = (1 + count) * lanes;
        for (size_t k = 0; k < block.count; ++k) panel[k / lanes * step + k % lanes] = shifts[k];
        for (size_t c = 1; c <= count; ++c, ++slot) {
          const double* center = centers.of_slot(slot) + block.begin * kCenterLanes;
          double sum = 0.0;
          for (size_t k = 0; k < block.count; ++k) {
            const double value = center[k * kCenterLanes] - static_cast<double>(shifts[k]);
            sum += value * value;
            panel[k / lanes * step + c * lanes + k % lanes] = static_cast<float>(value);
          }
          square_norms[slot] += sum;
        }
        panel += rounded_up(block.count, lanes) * (1 + count);
      }
    }
    for (size_t c = 0; c < centers_; ++c) {
      norms_[part * centers_ + c] = std::sqrt(square_norms[c]) * (1.0 + 0x1p-20);
    }
  });

  const double unit = 0x1p-24;
  const double chain = static_cast<double>(std::min(rounded_up(dims, lanes), kProductColumns) / lanes) +
                       std::ceil(std::log2(static_cast<double>(lanes)));
  norm_share_ = 1.0 + 2.02 * (chain + 4.0) * unit;
  product_share_ = 2.02 * (chain + 4.0) * unit;
  reference_share_ = (static_cast<double>(centers.columns) + 4.0) * 0x1p-50;
  underflow_ = (static_cast<double>(dims) + 1.0) * 0x1p-120;
}

void CenterProducts::multiply(const Points& points, size_t first, size_t count, size_t part, size_t ahead,
                              Scratch& scratch, double* products, double* square_norms) const {
  std::fill_n(products, kPoints * centers_, 0.0);
  std::fill_n(square_norms, kPoints, 0.0);
  const bool decodes = points.decode != nullptr;
  if (decodes) scratch.decoded.resize(kPoints * kProductColumns);
  const size_t whole = rounded_up(count, kCenterRows);
  const float* rows[kPoints];
  const float* next[kPoints];
  for (size_t b = 0; b < blocks_per_part_; ++b) {
    const Block& block = blocks_[part * blocks_per_part_ + b];
    const bool last = b + 1 == blocks_per_part_;
    const bool prefetches = !decodes && (!last || ahead > 0);
    const size_t next_begin = blocks_[part * blocks_per_part_ + (last ? 0 : b + 1)].begin;
    const size_t next_first = last ? first + count : first;
    for (size_t i = 0; i < whole; ++i) {
      // The last point again where there are not enough; what it gives is not looked at.
      const size_t point = first + std::min(i, count - 1);
      float* decoded = decodes ? scratch.decoded.data() + i * kProductColumns : nullptr;
      rows[i] = points.values(point, block.begin, block.count, decoded);
      if (!prefetches) continue;
      const size_t next_point = last ? next_first + std::min(i, ahead - 1) : point;
      next[i] = points.values(next_point, next_begin, 1, nullptr);
    }
    const float* panel = panels_.data() + block.panel;
    size_t slot = 0;
    for (const size_t panel_centers : panel_centers_) {
      for (size_t i = 0; i < whole; i += kCenterRows) {
        kernels_.products(rows + i, block.count, panel, panel_centers,
                          prefetches && slot == 0 ? next + i : nullptr, products + i * centers_ + slot,
                          centers_, slot == 0 ? square_norms + i : nullptr);
      }
      panel += rounded_up(block.count, kernels_.lanes) * (1 + panel_centers);
      slot += panel_centers;
    }
  }
}

}  // namespace sieve
