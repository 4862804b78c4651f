// The points rounded to 16 bits and packed for products (kernels/rounded_kernels.h): the one copy of the data
// that a search makes, half the size of the float32 input.
#ifndef SIEVE_CORE_ROUNDED_COPY_H
#define SIEVE_CORE_ROUNDED_COPY_H

#include <cstddef>
#include <cstdint>
#include <vector>

#include "core/aligned_buffer.h"
#include "core/conditioning.h"
#include "core/points.h"
#include "core/run_context.h"
#include "kernels/rounded_kernels.h"

namespace sieve {

// Where columns lie in packed panels. Columns come in segments (a filter's, or all) that start on a pair of
// their own; blocks hold whole segments, or parts of one that is longer than a block.
class RoundedLayout {
 public:
  RoundedLayout() = default;
  // segment divides columns.
  RoundedLayout(size_t columns, size_t segment, size_t pair_multiple);

  // A run of columns that is packed as one: pairs from pair_begin on of its block.
  struct Part {
    size_t column;
    size_t depth;
    size_t pair_begin;
    size_t pairs;
  };
  struct Block {
    std::vector<Part> parts;
    size_t pairs = 0;
    size_t pairs_before = 0;  // of all blocks before
  };
  struct BlockRuns {
    size_t block;
    std::vector<PairRun> runs;
  };

  const std::vector<Block>& blocks() const { return blocks_; }
  size_t pairs() const { return blocks_.empty() ? 0 : blocks_.back().pairs_before + blocks_.back().pairs; }
  // columns: whole segments.
  std::vector<BlockRuns> runs_of(const Columns& columns) const;

 private:
  std::vector<Block> blocks_;
};

// What packing needs besides the points.
struct RoundedPacking {
  const RoundedKernels* kernels;
  const Conditioning* conditioning;
  const uint32_t* weights;  // [2 * columns]
};

// True where a part lies in one of the runs of its block.
bool touches(const std::vector<PairRun>& runs, const RoundedLayout::Part& part);

// The weights of the hash: [2 * columns] odd numbers.
std::vector<uint32_t> hash_weights(size_t columns);

// Packs one part of 16 points (kNoMember: zeros) into panel (may be NULL), adding to sums [16].
constexpr uint32_t kNoMember = 0xffffffffu;
// The members of a panel, kNoMember beyond the last.
struct PanelMembers {
  uint32_t points[kRoundedPanel];
};
PanelMembers panel_members(const std::vector<uint32_t>& members, size_t panel);

class PartPacker {
 public:
  PartPacker(const RoundedPacking& packing, const Points& points) : packing_(packing), points_(points) {}
  void pack(const PanelMembers& members, const RoundedLayout::Part& part, uint32_t* panel, RoundedSums* sums);

 private:
  RoundedPacking packing_;
  const Points& points_;
  std::vector<float> decoded_;
};

class RoundedCopy {
 public:
  // members: the point of each slot, kNoMember for zeros. sums: [members.size()] over all columns, or NULL.
  RoundedCopy(const RoundedPacking& packing, const RoundedLayout& layout, const Points& points,
              const std::vector<uint32_t>& members, RoundedSums* sums, const RunContext& run);

  static size_t bytes(const RoundedLayout& layout, size_t slots);

  // Panels first .. first+count-1 of a block.
  RoundedPanels panels(size_t block, size_t first, size_t count) const;
  // Multiple of kRoundedPanelGroup.
  size_t panel_count() const { return panel_count_; }

 private:
  const RoundedLayout* layout_;
  size_t panel_count_;
  AlignedBuffer<uint32_t> values_;  // [blocks][panels][pairs of the block][16]
};

}  // namespace sieve

#endif  // SIEVE_CORE_ROUNDED_COPY_H
