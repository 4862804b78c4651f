#include "core/selection_balls.h"

#include <algorithm>
#include <limits>
#include <memory>
#include <mutex>
#include <numeric>
#include <utility>

#include "core/aligned_floats.h"
#include "core/parallel.h"
#include "core/tile_product.h"

namespace sieve {
namespace {

constexpr size_t kLargestEdge = 480;
constexpr size_t kSmallestEdge = 96;
constexpr size_t kWorkspaceBytes = size_t{16} << 20;  // of all workers together
constexpr size_t kSample = 512;
constexpr size_t kLargestBall = 768;
constexpr float kInfinity = std::numeric_limits<float>::infinity();

size_t blocks_of(size_t points, size_t edge) { return (points + edge - 1) / edge; }

size_t tile_edge(size_t points, int threads) {
  const size_t workers = static_cast<size_t>(threads);
  size_t edge = kLargestEdge;
  while (edge > kSmallestEdge && (workers * product_bytes_per_worker(edge) > kWorkspaceBytes ||
                                  (workers > 1 && blocks_of(points, edge) < 4 * workers))) {
    edge -= kSmallestEdge;
  }
  return edge;
}

struct NearerMember {
  bool operator()(const BallMember& a, const BallMember& b) const {
    return a.distance < b.distance || (a.distance == b.distance && a.point < b.point);
  }
};

struct Found {
  uint32_t query;  // index in its block
  BallMember member;
};

// Tiles of products for one worker.
class TileWorker {
 public:
  TileWorker(const BallSweep& sweep, const PointBounds& bounds, size_t edge)
      : sweep_(sweep),
        bounds_(bounds),
        columns_{*sweep.columns, {}},
        product_(*sweep.kernels, *sweep.conditioning, edge),
        out_(product_.buffer_floats()),
        norms_((edge + 63) / 64 * 64),
        thresholds_((edge + 63) / 64 * 64, -kInfinity),
        hits_((edge + 63) / 64 * 64) {
    left_.points = right_.points = sweep.points;
  }

  void take_left(const uint32_t* first, size_t count) { left_.members.assign(first, first + count); }

  void multiply(const uint32_t* first, size_t count, bool diagonal) {
    right_.members.assign(first, first + count);
    for (size_t j = 0; j < count; ++j) norms_.data()[j] = bounds_.lower_norms[right_.members[j]];
    product_.compute(left_, right_, columns_, diagonal, nullptr, out_.data());
  }

  // Lower bounds that are within the row's threshold or their column's. Returns how many of hits() are.
  size_t scan(size_t row, size_t from, float threshold) {
    const float norm = bounds_.lower_norms[left_.members[row]];
    return sweep_.kernels->scan(out_.data() + row * product_.stride(), norms_.data(), thresholds_.data(),
                                from, right_.size(), norm, threshold, hits_.data());
  }

  const TileHit* hits() const { return hits_.data(); }
  float* column_thresholds() { return thresholds_.data(); }
  const std::vector<uint32_t>& left() const { return left_.members; }
  const std::vector<uint32_t>& right() const { return right_.members; }

  std::vector<float> radii;
  std::vector<Found> for_left, for_right;

 private:
  const BallSweep& sweep_;
  const PointBounds& bounds_;
  TileColumns columns_;
  PackingProduct product_;
  AlignedFloats out_, norms_, thresholds_;
  std::vector<TileHit> hits_;
  TileRows left_, right_;
};

PointBounds bounds_of(const BallSweep& sweep) {
  return point_bounds(*sweep.sums, column_count(*sweep.columns), product_chain({*sweep.columns, {}}),
                      *sweep.conditioning, 0.0);
}

std::vector<uint32_t> all_points(size_t count) {
  std::vector<uint32_t> points(count);
  std::iota(points.begin(), points.end(), 0u);
  return points;
}

void add(Ball& ball, const BallMember& member, size_t capacity) {
  if (member.distance > ball.radius) return;
  if (ball.members.size() >= capacity) ball.shrink(capacity - capacity / 4);
  if (member.distance <= ball.radius) ball.members.push_back(member);
}

// Each worker has some queries for itself and meets all points.
void fill_rows(const BallSweep& sweep, const PointBounds& bounds, const std::vector<uint32_t>& queries,
               size_t capacity, std::vector<Ball>& balls, RunContext& run) {
  const std::vector<uint32_t> points = all_points(sweep.points->size());
  const size_t edge = tile_edge(points.size(), run.threads());
  // Every block packs all points: as few blocks as keep the threads busy.
  const size_t rounds = blocks_of(queries.size(), edge * static_cast<size_t>(run.threads()));
  const size_t left_edge =
      std::max<size_t>(12, blocks_of(queries.size(), rounds * static_cast<size_t>(run.threads())));
  const size_t blocks = blocks_of(queries.size(), left_edge);
  std::vector<std::unique_ptr<TileWorker>> workers(static_cast<size_t>(worker_count(run, blocks)));
  parallel_for(run, blocks, [&](size_t a, int worker_index) {
    std::unique_ptr<TileWorker>& slot = workers[static_cast<size_t>(worker_index)];
    if (!slot) slot = std::make_unique<TileWorker>(sweep, bounds, edge);
    TileWorker& worker = *slot;
    const size_t first = a * left_edge;
    worker.take_left(queries.data() + first, std::min(left_edge, queries.size() - first));
    for (size_t begin = 0; begin < points.size(); begin += edge) {
      run.throw_if_cancelled();
      worker.multiply(points.data() + begin, std::min(edge, points.size() - begin), false);
      for (size_t i = 0; i < worker.left().size(); ++i) {
        const uint32_t query = worker.left()[i];
        Ball& ball = balls[query];
        const size_t found = worker.scan(i, 0, ball.radius);
        for (size_t h = 0; h < found; ++h) {
          const uint32_t point = worker.right()[worker.hits()[h].column];
          if (point != query) add(ball, {point, std::max(0.0f, worker.hits()[h].lower)}, capacity);
        }
      }
    }
  });
}

// Each pair once; the balls of a block are behind its lock.
void fill_symmetrically(const BallSweep& sweep, const PointBounds& bounds, size_t capacity,
                        std::vector<Ball>& balls, RunContext& run) {
  const std::vector<uint32_t> points = all_points(sweep.points->size());
  const size_t edge = tile_edge(points.size(), run.threads());
  const size_t blocks = blocks_of(points.size(), edge);
  std::vector<std::pair<uint32_t, uint32_t>> tiles;
  for (size_t shift = 0; shift < blocks; ++shift) {
    for (size_t a = 0; a + shift < blocks; ++a) {
      tiles.emplace_back(static_cast<uint32_t>(a), static_cast<uint32_t>(a + shift));
    }
  }
  std::vector<std::mutex> locks(blocks);
  std::vector<std::unique_ptr<TileWorker>> workers(static_cast<size_t>(worker_count(run, tiles.size())));
  parallel_for(run, tiles.size(), [&](size_t tile, int worker_index) {
    std::unique_ptr<TileWorker>& slot = workers[static_cast<size_t>(worker_index)];
    if (!slot) slot = std::make_unique<TileWorker>(sweep, bounds, edge);
    TileWorker& worker = *slot;
    const auto [a, b] = tiles[tile];
    const size_t left = a * edge, right = b * edge;
    const size_t left_count = std::min(edge, points.size() - left);
    const size_t right_count = std::min(edge, points.size() - right);
    worker.take_left(points.data() + left, left_count);
    worker.multiply(points.data() + right, right_count, a == b);
    worker.radii.resize(left_count);
    {
      const std::lock_guard<std::mutex> lock(locks[a]);
      for (size_t i = 0; i < left_count; ++i) worker.radii[i] = balls[left + i].radius;
    }
    {
      const std::lock_guard<std::mutex> lock(locks[b]);
      for (size_t j = 0; j < right_count; ++j) worker.column_thresholds()[j] = balls[right + j].radius;
    }
    worker.for_left.clear();
    worker.for_right.clear();
    for (size_t i = 0; i < left_count; ++i) {
      const size_t found = worker.scan(i, a == b ? i + 1 : 0, worker.radii[i]);
      for (size_t h = 0; h < found; ++h) {
        const uint32_t j = worker.hits()[h].column;
        const float lower = std::max(0.0f, worker.hits()[h].lower);
        if (lower <= worker.radii[i]) {
          worker.for_left.push_back({static_cast<uint32_t>(i), {static_cast<uint32_t>(right + j), lower}});
        }
        if (lower <= worker.column_thresholds()[j]) {
          worker.for_right.push_back({j, {static_cast<uint32_t>(left + i), lower}});
        }
      }
    }
    {
      const std::lock_guard<std::mutex> lock(locks[a]);
      for (const Found& found : worker.for_left) add(balls[left + found.query], found.member, capacity);
    }
    {
      const std::lock_guard<std::mutex> lock(locks[b]);
      for (const Found& found : worker.for_right) add(balls[right + found.query], found.member, capacity);
    }
  });
}

}  // namespace

void Ball::settle() {
  members.erase(std::remove_if(members.begin(), members.end(),
                               [&](const BallMember& member) { return member.distance > radius; }),
                members.end());
  if (members.size() <= kSortedMembers) {
    std::sort(members.begin(), members.end(), NearerMember{});
    return;
  }
  const auto last = members.begin() + kSortedMembers;
  std::nth_element(members.begin(), last, members.end(), NearerMember{});
  std::sort(members.begin(), last, NearerMember{});
}

void Ball::shrink(size_t count) {
  if (members.size() <= count) return;
  const auto last = members.begin() + static_cast<std::ptrdiff_t>(count - 1);
  std::nth_element(members.begin(), last, members.end(), NearerMember{});
  radius = std::min(radius, last->distance);
  members.resize(count);
}

size_t ball_members(const Points& points, size_t order) {
  const size_t bytes = (size_t{24} << 20) + points.size() * points.columns * sizeof(float) / 10;
  const size_t room = bytes / (points.size() * sizeof(BallMember)) * 4 / 5;
  const size_t fewest = std::min(points.size() - 1, 2 * order + 6);
  if (room < fewest) return 0;
  return std::min(room, std::max(fewest, std::min(kLargestBall, points.size() / 8)));
}

std::vector<float> sampled_radii(const BallSweep& sweep, const std::vector<uint32_t>& queries, size_t wanted,
                                 RunContext& run) {
  const size_t count = sweep.points->size();
  std::vector<float> radii(queries.size(), std::numeric_limits<float>::max());
  if (wanted + 1 >= count) return radii;
  const size_t sample_size = std::min(kSample, count);
  std::vector<uint32_t> sample(sample_size);
  for (size_t i = 0; i < sample_size; ++i) sample[i] = static_cast<uint32_t>(i * count / sample_size);
  const size_t rank = std::min(sample_size - 1, wanted * sample_size / count);

  const PointBounds bounds = bounds_of(sweep);
  const size_t edge = tile_edge(queries.size(), run.threads());
  const size_t blocks = blocks_of(queries.size(), edge);
  std::vector<std::unique_ptr<TileWorker>> workers(static_cast<size_t>(worker_count(run, blocks)));
  parallel_for(run, blocks, [&](size_t a, int worker_index) {
    std::unique_ptr<TileWorker>& slot = workers[static_cast<size_t>(worker_index)];
    if (!slot) slot = std::make_unique<TileWorker>(sweep, bounds, edge);
    TileWorker& worker = *slot;
    const size_t first = a * edge;
    worker.take_left(queries.data() + first, std::min(edge, queries.size() - first));
    std::vector<std::vector<float>> distances(worker.left().size());
    for (size_t begin = 0; begin < sample_size; begin += edge) {
      worker.multiply(sample.data() + begin, std::min(edge, sample_size - begin), false);
      for (size_t i = 0; i < worker.left().size(); ++i) {
        const size_t found = worker.scan(i, 0, kInfinity);
        for (size_t h = 0; h < found; ++h) distances[i].push_back(std::max(0.0f, worker.hits()[h].lower));
      }
    }
    for (size_t i = 0; i < worker.left().size(); ++i) {
      const auto at = distances[i].begin() + static_cast<std::ptrdiff_t>(rank);
      std::nth_element(distances[i].begin(), at, distances[i].end());
      radii[first + i] = *at;
    }
  });
  return radii;
}

void fill_balls(const BallSweep& sweep, const std::vector<uint32_t>& queries, const std::vector<float>& radii,
                size_t capacity, std::vector<Ball>& balls, RunContext& run) {
  const PointBounds bounds = bounds_of(sweep);
  for (size_t i = 0; i < queries.size(); ++i) {
    Ball& ball = balls[queries[i]];
    ball.members.clear();
    ball.radius = radii[i];
  }
  if (queries.size() == sweep.points->size()) {
    fill_symmetrically(sweep, bounds, capacity, balls, run);
  } else {
    fill_rows(sweep, bounds, queries, capacity, balls, run);
  }
  parallel_ranges(run, queries.size(), 64, [&](size_t begin, size_t end, int) {
    for (size_t i = begin; i < end; ++i) {
      Ball& ball = balls[queries[i]];
      ball.settle();
      float largest_slack = 0.0f;
      for (const BallMember& member : ball.members) {
        largest_slack = std::max(largest_slack, bounds.slacks[member.point]);
      }
      ball.slack = 2.0f * std::max(bounds.slacks[queries[i]], largest_slack);
    }
  });
}

}  // namespace sieve
