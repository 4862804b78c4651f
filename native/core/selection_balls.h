// Of each point the others that are near it over the columns selected so far.
//
// A ball (q, S) of radius R lists every point j whose distance D_S(q, j), over the columns S, is below R; it
// may list a few more. What is not listed is at least R away, and stays so in a sense as S grows:
//     D_{S+f}(q, j) = D_S(q, j) + D_f(q, j) >= R + m_f(q),
// m_f(q) = the distance over f alone to q's nearest. So the ball of S+f needs no search: the members'
// distances grow by D_f, the radius by m_f(q), and members beyond the new radius are of no more use.
//
// Numbers are squared distances in the conditioned scale (reference distance * scale^2), in float32, with
//     distance (1 - epsilon) - eta <= D_S <= (distance + slack)(1 + epsilon) + eta   for a member,
//     radius (1 - epsilon) - eta <= D_S                                              for all others.
// slack comes from the products (core/conditioning.h) of the sweep that filled the ball; epsilon from the
// direct differences that were added since (kernels/gather_kernels.h), one rounded addition each.
#ifndef SIEVE_CORE_SELECTION_BALLS_H
#define SIEVE_CORE_SELECTION_BALLS_H

#include <cstddef>
#include <cstdint>
#include <vector>

#include "core/conditioning.h"
#include "core/points.h"
#include "core/run_context.h"
#include "kernels/tile_kernels.h"

namespace sieve {

struct BallMember {
  uint32_t point;
  float distance;
};

struct Ball {
  // The nearest kSortedMembers come first, ascending by distance, the others in any order; none is beyond the
  // radius.
  static constexpr size_t kSortedMembers = 64;
  std::vector<BallMember> members;
  float radius = 0.0f;
  float slack = 0.0f;

  // Drops members beyond the radius, and sorts.
  void settle();
  // Keeps the nearest `count`; the radius shrinks accordingly.
  void shrink(size_t count);
};

// Members that a ball should have: as many as the memory of all balls together, 24 MiB and a tenth of the
// data's, allows, but no more than are of use. 0: that is too few.
size_t ball_members(const Points& points, size_t order);

struct BallSweep {
  const Points* points;
  const TileKernels* kernels;
  const Conditioning* conditioning;
  const Columns* columns;  // S
  const PointSums* sums;   // over S
};

// Radii that give each of `queries` about `wanted` members, from a sample of the points. [queries.size()]
std::vector<float> sampled_radii(const BallSweep& sweep, const std::vector<uint32_t>& queries, size_t wanted,
                                 RunContext& run);

// Fills the balls of `queries` (ascending) anew, balls[queries[i]] with radii[i]; a ball that would take more
// than `capacity` members gets a smaller radius. All points as queries: each pair is computed once.
// O(queries * points * columns).
void fill_balls(const BallSweep& sweep, const std::vector<uint32_t>& queries, const std::vector<float>& radii,
                size_t capacity, std::vector<Ball>& balls, RunContext& run);

}  // namespace sieve

#endif  // SIEVE_CORE_SELECTION_BALLS_H
