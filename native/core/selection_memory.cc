#include "core/selection_memory.h"

#include <algorithm>

#include "core/candidate_lists.h"
#include "core/selection_balls.h"
#include "core/selection_table.h"
#include "core/selection_walk.h"

namespace sieve {
namespace {

constexpr size_t kSpareCandidates = 3;               // as in core/neighbour_search.cc
constexpr size_t kWorkspaceBytes = size_t{6} << 20;  // tiles, sums, lists of candidates
constexpr size_t kLargestBall = 768;
constexpr size_t kSmallestBallOfTable = 96;  // fewer members make up for less than the table takes

// Members that fit, of which a ball may have a quarter more for a while.
size_t members_within(size_t bytes, const Points& points) {
  return bytes / (points.size() * sizeof(BallMember)) * 4 / 5;
}

}  // namespace

SelectionMemory selection_memory(const Points& points, size_t filters, size_t order, int threads) {
  const size_t count = points.size();
  const size_t input = count * points.columns * sizeof(float);
  const size_t fewest = std::min(count - 1, 2 * order + 6);
  const size_t most = std::max(fewest, std::min(kLargestBall, count / 8));

  const size_t nearest = filters * count * sizeof(float);
  const size_t slices = static_cast<size_t>(threads) * FilterSlice::bytes(count, points.columns / filters);
  const size_t evaluation =
      kEvaluatedAtOnce * count * (CandidateLists::bytes_per_query(order, kSpareCandidates) + 48);
  const size_t others = nearest + slices + evaluation + kTransientBytesOfTable + kWorkspaceBytes +
                        PairTable::bytes(count, threads);
  const size_t room = (size_t{64} << 20) + input / 2;
  const size_t beside = others < room ? std::min(members_within(room - others, points), most) : 0;
  const size_t alone = std::min(members_within((size_t{24} << 20) + input / 10, points), most);
  return {alone < fewest ? 0 : alone,
          beside < std::max(fewest, std::min(kSmallestBallOfTable, most)) ? 0 : beside};
}

}  // namespace sieve
