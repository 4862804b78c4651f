// One pass over all pairs of points in tiles: every pair's distance bounds reach the candidate lists of both.
#ifndef SIEVE_CORE_TILE_SWEEP_H
#define SIEVE_CORE_TILE_SWEEP_H

#include <cstddef>
#include <cstdint>
#include <vector>

#include "core/candidate_lists.h"
#include "core/conditioning.h"
#include "core/points.h"
#include "core/run_context.h"
#include "core/tile_product.h"
#include "kernels/nearest_serial.h"
#include "kernels/tile_kernels.h"

namespace sieve {

// A set of columns = the sweep's base columns and those added here, with what each point needs for its
// bounds (the growth of both sides is the same). A lower norm of +infinity keeps a point from being anyone's
// candidate; a closed list from having any.
struct SweepSet {
  const TileColumns* added;
  const PointBounds* left;   // of the queries
  const PointBounds* right;  // of the references; the same object as left in a symmetric sweep
  CandidateLists* lists;     // of the queries
};

struct Sweep {
  const TileKernels* kernels;   // scan, and products where nothing is rounded
  const RoundedSides* rounded;  // NULL: float32
  const Conditioning* conditioning;
  const Points* left;                 // queries
  const Points* right;                // references
  bool symmetric;                     // the same points; a pair is visited once and serves both
  std::vector<uint32_t> left_points;  // those that take part; unused where symmetric
  std::vector<uint32_t> right_points;
  CandidateLists::Shape lists;
  const TileColumns* base;  // columns that all sets share; may be empty
  bool cumulative;          // each set contains the columns of the set before it as well
};

// Fills the lists of all sets. Progress: [from, to].
void sweep_tiles(const Sweep& sweep, const std::vector<SweepSet>& sets, RunContext& run, double from,
                 double to);

// For each of `queries` (points of sweep.left) the exact nearest references among sweep.right_points, by
// float64 of what is within the thresholds in set.lists. columns: base and added together.
std::vector<NearestList> settle_queries(const Sweep& sweep, const SweepSet& set, const TileColumns& columns,
                                        const std::vector<uint32_t>& queries, RunContext& run);

}  // namespace sieve

#endif  // SIEVE_CORE_TILE_SWEEP_H
