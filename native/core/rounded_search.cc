#include "core/rounded_search.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <utility>

#include "core/aligned_floats.h"
#include "core/parallel.h"

namespace sieve {
namespace {

// Sampled panels of either side, of 16 points each.
constexpr size_t kSamplePanels = 2 * kRoundedPanelGroup;
constexpr size_t kSmallestForSample = 10 * kSamplePanels;

std::vector<uint32_t> all_points(const Points& points) {
  std::vector<uint32_t> all(points.size());
  std::iota(all.begin(), all.end(), 0u);
  return all;
}

// Slots to be packed: oversized points as zeros.
std::vector<uint32_t> packed_members(std::vector<uint32_t> slots, const std::vector<uint32_t>& oversized) {
  for (uint32_t& point : slots) {
    if (std::binary_search(oversized.begin(), oversized.end(), point)) point = kNoMember;
  }
  return slots;
}

PointSums split_sums(const std::vector<RoundedSums>& sums) {
  PointSums split;
  split.square_norms.reserve(sums.size());
  split.hashes.reserve(sums.size());
  split.square_residuals.reserve(sums.size());
  for (const RoundedSums& of : sums) {
    split.square_norms.push_back(of.square_norm);
    split.hashes.push_back(of.hash);
    split.square_residuals.push_back(of.square_residual);
  }
  return split;
}

double median(std::vector<double>& values) {
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

}  // namespace

bool RoundedSearch::pays(const RoundedKernels& kernels, size_t columns, size_t segment) {
  if (segment < kernels.smallest_segment) return false;
  const size_t packed = RoundedLayout(columns, segment, kernels.pair_multiple).pairs() * sizeof(uint32_t);
  return packed <= columns * sizeof(float);
}

RoundedSearch::RoundedSearch(const RoundedKernels& kernels, const Conditioning& conditioning,
                             const Points& queries, const Points& references, size_t segment,
                             const std::vector<uint32_t>& oversized_queries,
                             const std::vector<uint32_t>& oversized_references, const RunContext& run)
    : layout_(queries.columns, segment, kernels.pair_multiple),
      weights_(hash_weights(queries.columns)),
      packing_{&kernels, &conditioning, weights_.data()},
      shared_(&queries == &references),
      one_segment_(segment == queries.columns),
      queries_{&queries, oversized_queries, all_points(queries), nullptr, {}},
      references_{&references, oversized_references, {}, nullptr, {}} {
  fill(queries_, run);
  if (!shared_) {
    references_.slots = all_points(references);
    fill(references_, run);
  }
  sides_ = {packing_, &layout_, queries_.copy.get(), this->references().copy.get()};
}

void RoundedSearch::fill(Side& side, const RunContext& run) {
  std::vector<RoundedSums> sums(one_segment_ ? side.slots.size() : 0);
  side.copy = std::make_unique<RoundedCopy>(packing_, layout_, *side.points,
                                            packed_members(side.slots, side.oversized),
                                            one_segment_ ? sums.data() : nullptr, run);
  if (one_segment_) side.sums = split_sums(sums);
}

PointSums RoundedSearch::sums_of(const Points& points, const Columns& columns, const RunContext& run) const {
  if (one_segment_) return &points == queries_.points ? queries_.sums : references_.sums;
  const std::vector<uint32_t>& oversized =
      &points == queries_.points ? queries_.oversized : references_.oversized;
  const std::vector<uint32_t> members = packed_members(all_points(points), oversized);
  std::vector<RoundedSums> sums((points.size() + kRoundedPanel - 1) / kRoundedPanel * kRoundedPanel);
  const std::vector<RoundedLayout::BlockRuns> runs = layout_.runs_of(columns);
  parallel_ranges(run, sums.size() / kRoundedPanel, 8, [&](size_t begin, size_t end, int) {
    PartPacker packer(packing_, points);
    for (size_t panel = begin; panel < end; ++panel) {
      const PanelMembers group = panel_members(members, panel);
      for (const RoundedLayout::BlockRuns& block : runs) {
        for (const RoundedLayout::Part& part : layout_.blocks()[block.block].parts) {
          if (touches(block.runs, part))
            packer.pack(group, part, nullptr, sums.data() + panel * kRoundedPanel);
        }
      }
    }
  });
  sums.resize(points.size());
  return split_sums(sums);
}

double RoundedSearch::quotient(const TileColumns& columns, const PointSums& query_sums,
                               const PointSums& reference_sums, const std::vector<uint8_t>& left_out) const {
  const RoundedKernels& kernels = *packing_.kernels;
  const Side& left = queries_;
  const Side& right = references();
  const auto sampled = [](const Side& side) {
    return side.copy->panel_count() >= kSmallestForSample ? kSamplePanels : kRoundedPanelGroup;
  };
  const size_t left_count = sampled(left), right_count = sampled(right);
  const size_t left_step = left.copy->panel_count() / left_count;
  const size_t right_step = right.copy->panel_count() / right_count;
  const size_t stride = kSamplePanels * kRoundedPanel + kRoundedPanel;

  AlignedFloats products(left_count * kRoundedPanel * stride);
  AlignedBuffer<uint32_t> arranged(
      kernels.arrange_left != nullptr ? left_count * left_step * kRoundedBlockPairs * kRoundedPanel : 0);
  const float* base = nullptr;
  for (const RoundedLayout::BlockRuns& runs : columns.runs) {
    RoundedPanels a = left.copy->panels(runs.block, 0, left_count);
    RoundedPanels b = right.copy->panels(runs.block, 0, right_count);
    a.stride *= left_step;
    b.stride *= right_step;
    if (kernels.arrange_left != nullptr) {
      kernels.arrange_left(a, runs.runs.data(), runs.runs.size(), arranged.data());
      a.data = arranged.data();
    }
    kernels.multiply(a, b, runs.runs.data(), runs.runs.size(), base, products.data(), stride, nullptr,
                     {nullptr, 0, 0});
    base = products.data();
  }

  const auto point_at = [](const Side& side, size_t step, size_t i) {
    const size_t slot = i / kRoundedPanel * step * kRoundedPanel + i % kRoundedPanel;
    return slot < side.slots.size() ? side.slots[slot] : kNoMember;
  };
  std::vector<double> nearest, residuals;
  for (size_t i = 0; i < left_count * kRoundedPanel; ++i) {
    const uint32_t query = point_at(left, left_step, i);
    if (query == kNoMember || (shared_ && left_out[query] != 0)) continue;
    double least = std::numeric_limits<double>::infinity();
    for (size_t j = 0; j < right_count * kRoundedPanel; ++j) {
      const uint32_t reference = point_at(right, right_step, j);
      if (reference == kNoMember || left_out[reference] != 0 || (shared_ && reference == query)) continue;
      least = std::min(least, query_sums.square_norms[query] + reference_sums.square_norms[reference] -
                                  2.0 * static_cast<double>(products.data()[i * stride + j]));
    }
    if (least > 0.0 && std::isfinite(least)) nearest.push_back(least);
    residuals.push_back(query_sums.square_residuals[query]);
  }
  constexpr double kLeast = 0x1p-16, kGreatest = 0x1p-2;
  if (nearest.empty()) return kGreatest;
  return std::clamp(2.0 * std::sqrt(median(residuals) / median(nearest)), kLeast, kGreatest);
}

std::vector<uint32_t> RoundedSearch::settle(Side& side, std::vector<uint32_t> wanted, bool only_set,
                                            const RunContext& run) {
  if (only_set && one_segment_ && 8 * wanted.size() < 7 * side.slots.size()) {
    side.slots = std::move(wanted);
    side.copy.reset();  // before the smaller one is made
    side.copy = std::make_unique<RoundedCopy>(packing_, layout_, *side.points,
                                              packed_members(side.slots, side.oversized), nullptr, run);
    sides_.left = queries_.copy.get();
    sides_.right = references().copy.get();
  }
  return side.slots;
}

std::vector<uint32_t> RoundedSearch::settle_references(std::vector<uint32_t> wanted, bool only_set,
                                                       const RunContext& run) {
  return settle(shared_ ? queries_ : references_, std::move(wanted), only_set, run);
}

std::vector<uint32_t> RoundedSearch::settle_queries(std::vector<uint32_t> wanted, bool only_set,
                                                    const RunContext& run) {
  return settle(queries_, std::move(wanted), only_set, run);
}

}  // namespace sieve
