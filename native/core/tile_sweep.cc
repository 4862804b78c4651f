#include "core/tile_sweep.h"

#include <algorithm>
#include <memory>
#include <mutex>
#include <utility>

#include "core/parallel.h"
#include "core/tile_product.h"

namespace sieve {
namespace {

constexpr size_t kWorkspaceBytes = size_t{40} << 20;  // of all workers together
constexpr size_t kSmallestEdge = 96;
constexpr size_t kLargestEdge = 480;

size_t blocks_of(size_t points, size_t edge) { return (points + edge - 1) / edge; }

// Large tiles pack less often; small ones share the work evenly and fit many threads into the memory.
size_t tile_edge(const Sweep& sweep, size_t left, size_t right, bool symmetric, int threads) {
  const auto tiles = [&](size_t edge) {
    const size_t blocks = blocks_of(left, edge);
    return symmetric ? blocks * (blocks + 1) / 2 : blocks * blocks_of(right, edge);
  };
  const size_t workers = static_cast<size_t>(threads);
  size_t edge = sweep.rounded != nullptr ? sweep.rounded->packing.kernels->largest_edge : kLargestEdge;
  while (edge > kSmallestEdge && (workers * product_bytes_per_worker(edge) > kWorkspaceBytes ||
                                  (workers > 1 && tiles(edge) < 6 * workers))) {
    edge -= kSmallestEdge;
  }
  return edge;
}

struct Block {
  size_t begin;
  size_t count;
};

Block block_at(size_t index, size_t points, size_t edge) {
  return {index * edge, std::min(edge, points - index * edge)};
}

std::unique_ptr<TileProduct> make_product(const Sweep& sweep, size_t edge) {
  if (sweep.rounded != nullptr) return std::make_unique<RoundedProduct>(*sweep.rounded, edge);
  return std::make_unique<PackingProduct>(*sweep.kernels, *sweep.conditioning, edge);
}

// What a worker needs for one tile at a time.
struct Worker {
  Worker(const Sweep& sweep, const int32_t* right_labels, const int32_t* left_labels, size_t edge,
         bool has_base)
      : product(make_product(sweep, edge)),
        base(has_base ? product->buffer_floats() : 0),
        out(product->buffer_floats()),
        right_norms((edge + 63) / 64 * 64),
        left_lists(0, sweep.lists, right_labels),
        right_lists(0, sweep.lists, left_labels),
        hits(edge) {}

  std::unique_ptr<TileProduct> product;
  AlignedFloats base;
  AlignedFloats out;
  AlignedFloats right_norms;
  CandidateLists left_lists;
  CandidateLists right_lists;
  std::vector<TileHit> hits;
  TileRows left_rows;
  TileRows right_rows;
};

void take_rows(const Points& points, const std::vector<uint32_t>& taking_part, Block block, bool has_slots,
               TileRows& rows) {
  const auto first = taking_part.begin() + static_cast<std::ptrdiff_t>(block.begin);
  rows.points = &points;
  rows.members.assign(first, first + static_cast<std::ptrdiff_t>(block.count));
  rows.first_slot = has_slots ? block.begin : TileRows::kNoSlot;
}

void take_norms(const PointBounds& bounds, const std::vector<uint32_t>& taking_part, Block block,
                AlignedFloats& norms) {
  for (size_t i = 0; i < block.count; ++i) {
    norms.data()[i] = bounds.lower_norms[taking_part[block.begin + i]];
  }
}

// Offers the pairs of a tile whose bounds are within a threshold to the worker's lists.
void collect_candidates(const Sweep& sweep, const SweepSet& set, Block left, Block right, bool diagonal,
                        Worker& worker) {
  const std::vector<uint32_t>& left_points = sweep.symmetric ? sweep.right_points : sweep.left_points;
  const std::vector<uint32_t>& right_points = sweep.right_points;
  CandidateLists& rows = worker.left_lists;
  CandidateLists& columns = worker.right_lists;
  const float growth = set.left->growth;
  for (size_t i = 0; i < left.count; ++i) {
    const uint32_t left_point = left_points[left.begin + i];
    const float left_slack = set.left->slacks[left_point];
    const float left_norm = set.left->lower_norms[left_point];
    size_t j = diagonal ? i + 1 : 0;
    // A row that knows nothing yet takes everything: a short start teaches it a threshold.
    size_t step = rows.threshold(i) == FLT_MAX ? 64 : right.count;
    while (j < right.count) {
      const size_t end = std::min(right.count, j + step);
      const size_t found =
          sweep.kernels->scan(worker.out.data() + i * worker.product->stride(), worker.right_norms.data(),
                              columns.thresholds(), j, end, left_norm, rows.threshold(i), worker.hits.data());
      for (size_t h = 0; h < found; ++h) {
        const TileHit& hit = worker.hits[h];
        const uint32_t right_point = right_points[right.begin + hit.column];
        const float upper = growth * (hit.lower + (left_slack + set.right->slacks[right_point]));
        rows.insert(i, {hit.lower, upper, right_point});
        if (sweep.symmetric) columns.insert(hit.column, {hit.lower, upper, left_point});
      }
      j = end;
      step *= 2;
    }
  }
}

void start_lists(const CandidateLists& from, const Points& points, const std::vector<uint32_t>& taking_part,
                 Block block, CandidateLists& lists) {
  lists.resize(block.count);
  for (size_t i = 0; i < block.count; ++i) {
    const uint32_t point = taking_part[block.begin + i];
    lists.set_threshold(i, from.threshold(point));
    if (!points.labels.empty()) lists.set_query_label(i, points.labels[point]);
  }
}

void merge_lists(const CandidateLists& lists, const std::vector<uint32_t>& taking_part, Block block,
                 CandidateLists& into) {
  for (size_t i = 0; i < block.count; ++i) {
    if (!lists.empty(i)) into.merge(taking_part[block.begin + i], lists, i);
  }
}

const int32_t* labels_of(const Points& points) {
  return points.labels.empty() ? nullptr : points.labels.data();
}

}  // namespace

void sweep_tiles(const Sweep& sweep, const std::vector<SweepSet>& sets, RunContext& run, double from,
                 double to) {
  const std::vector<uint32_t>& left_points = sweep.symmetric ? sweep.right_points : sweep.left_points;
  const std::vector<uint32_t>& right_points = sweep.right_points;
  const size_t edge =
      tile_edge(sweep, left_points.size(), right_points.size(), sweep.symmetric, run.threads());
  const size_t left_blocks = blocks_of(left_points.size(), edge);
  const size_t right_blocks = blocks_of(right_points.size(), edge);

  // Tiles along the diagonals: neighbouring tasks then touch different lists.
  std::vector<std::pair<uint32_t, uint32_t>> tiles;
  for (size_t shift = 0; shift < right_blocks; ++shift) {
    for (size_t a = 0; a < left_blocks; ++a) {
      const size_t b = sweep.symmetric ? a + shift : (a + shift) % right_blocks;
      if (b < right_blocks) tiles.emplace_back(static_cast<uint32_t>(a), static_cast<uint32_t>(b));
    }
  }
  // Few tiles and many sets: sets are shared out as well, which computes the base products once a group.
  const size_t wanted = run.threads() > 1 ? 4 * static_cast<size_t>(run.threads()) : 1;
  const size_t groups =
      sweep.cumulative
          ? 1
          : std::min(sets.size(), std::max<size_t>(1, wanted / std::max<size_t>(1, tiles.size())));

  std::vector<std::mutex> locks(std::max(left_blocks, right_blocks));
  const size_t tasks = tiles.size() * groups;
  std::vector<std::unique_ptr<Worker>> workers(static_cast<size_t>(worker_count(run, tasks)));
  run.begin_phase(from, to, tasks);
  parallel_for(run, tasks, [&](size_t task, int worker_index) {
    std::unique_ptr<Worker>& slot = workers[static_cast<size_t>(worker_index)];
    if (!slot) {
      slot = std::make_unique<Worker>(sweep, labels_of(*sweep.right), labels_of(*sweep.left), edge,
                                      !sweep.base->columns.empty());
    }
    Worker& worker = *slot;
    const auto [a, b] = tiles[task / groups];
    const size_t group = task % groups;
    const Block left = block_at(a, left_points.size(), edge);
    const Block right = block_at(b, right_points.size(), edge);
    const bool diagonal = sweep.symmetric && a == b;
    take_rows(*sweep.left, left_points, left, true, worker.left_rows);
    take_rows(*sweep.right, right_points, right, true, worker.right_rows);
    const float* base = nullptr;
    if (!sweep.base->columns.empty()) {
      worker.product->compute(worker.left_rows, worker.right_rows, *sweep.base, diagonal, nullptr,
                              worker.base.data());
      base = worker.base.data();
    }
    for (size_t s = sets.size() * group / groups; s < sets.size() * (group + 1) / groups; ++s) {
      const SweepSet& set = sets[s];
      run.throw_if_cancelled();
      worker.product->compute(worker.left_rows, worker.right_rows, *set.added, diagonal, base,
                              worker.out.data());
      if (sweep.cumulative) base = worker.out.data();
      take_norms(*set.right, right_points, right, worker.right_norms);
      {
        const std::lock_guard<std::mutex> lock(locks[a]);
        start_lists(*set.lists, *sweep.left, left_points, left, worker.left_lists);
      }
      if (sweep.symmetric) {
        const std::lock_guard<std::mutex> lock(locks[b]);
        start_lists(*set.lists, *sweep.right, right_points, right, worker.right_lists);
      } else {
        worker.right_lists.resize(right.count);
        for (size_t j = 0; j < right.count; ++j) worker.right_lists.close(j);
      }
      collect_candidates(sweep, set, left, right, diagonal, worker);
      {
        const std::lock_guard<std::mutex> lock(locks[a]);
        merge_lists(worker.left_lists, left_points, left, *set.lists);
      }
      if (sweep.symmetric) {
        const std::lock_guard<std::mutex> lock(locks[b]);
        merge_lists(worker.right_lists, right_points, right, *set.lists);
      }
    }
    run.advance();
  });
}

std::vector<NearestList> settle_queries(const Sweep& sweep, const SweepSet& set, const TileColumns& columns,
                                        const std::vector<uint32_t>& queries, RunContext& run) {
  std::vector<NearestList> settled(queries.size(), NearestList(sweep.lists.order));
  const std::vector<uint32_t>& references = sweep.right_points;
  const size_t right_edge = tile_edge(sweep, references.size(), references.size(), false, run.threads());
  const size_t share = queries.size() / (2 * static_cast<size_t>(run.threads())) + 1;
  const size_t left_edge = std::min(right_edge, std::max<size_t>(12, share));
  const size_t left_blocks = blocks_of(queries.size(), left_edge);

  std::vector<std::unique_ptr<Worker>> workers(static_cast<size_t>(worker_count(run, left_blocks)));
  parallel_for(run, left_blocks, [&](size_t a, int worker_index) {
    std::unique_ptr<Worker>& slot = workers[static_cast<size_t>(worker_index)];
    if (!slot) slot = std::make_unique<Worker>(sweep, nullptr, nullptr, right_edge, false);
    Worker& worker = *slot;
    const Block left = block_at(a, queries.size(), left_edge);
    take_rows(*sweep.left, queries, left, false, worker.left_rows);
    RowReader reader(*sweep.left, 1);
    std::vector<uint32_t> within;
    std::vector<double> distances(right_edge);
    for (size_t b = 0; b < blocks_of(references.size(), right_edge); ++b) {
      run.throw_if_cancelled();
      const Block right = block_at(b, references.size(), right_edge);
      take_rows(*sweep.right, references, right, true, worker.right_rows);
      take_norms(*set.right, references, right, worker.right_norms);
      worker.right_lists.resize(right.count);
      for (size_t j = 0; j < right.count; ++j) worker.right_lists.close(j);
      worker.product->compute(worker.left_rows, worker.right_rows, columns, false, nullptr,
                              worker.out.data());
      for (size_t i = 0; i < left.count; ++i) {
        const uint32_t query = queries[left.begin + i];
        const size_t found =
            sweep.kernels->scan(worker.out.data() + i * worker.product->stride(), worker.right_norms.data(),
                                worker.right_lists.thresholds(), 0, right.count, set.left->lower_norms[query],
                                set.lists->threshold(query), worker.hits.data());
        within.clear();
        for (size_t h = 0; h < found; ++h) {
          const uint32_t reference = references[right.begin + worker.hits[h].column];
          if (!sweep.symmetric || reference != query) within.push_back(reference);
        }
        if (within.empty()) continue;
        distances_to(reader.read(0, query, columns.columns), *sweep.right, within.data(), within.size(),
                     columns.columns, distances.data());
        for (size_t h = 0; h < within.size(); ++h) settled[left.begin + i].offer({distances[h], within[h]});
      }
    }
  });
  return settled;
}

}  // namespace sieve
