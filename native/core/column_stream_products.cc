#include "core/column_stream_products.h"

#include <algorithm>
#include <cmath>
#include <memory>
#include <numeric>
#include <utility>

#include "core/parallel.h"
#include "core/tile_product.h"

namespace sieve {
namespace {

constexpr size_t kSmallestEdge = 96;
constexpr size_t kLargestEdge = 480;
constexpr size_t kWorkspaceBytes = size_t{40} << 20;  // of all workers together
constexpr size_t kColumnsAtOnce = 16 * kPanelDepth;   // between two looks at the cancel token
constexpr double kLargestExactNorm = 0x1p22;          // as in core/conditioning.cc
constexpr int kLargestScaleExponent = 120;
constexpr int kScaleSlack = 4;  // a scale may be this far from the one that a block would choose

size_t tile_edge(size_t rows, int threads) {
  const size_t workers = static_cast<size_t>(threads);
  size_t edge = kLargestEdge;
  const auto tiles = [&] {
    const size_t count = (rows + edge - 1) / edge;
    return count * (count + 1) / 2;
  };
  while (edge > kSmallestEdge && (workers * product_bytes_per_worker(edge) > kWorkspaceBytes ||
                                  edge >= 2 * rows || (workers > 1 && tiles() < 6 * workers))) {
    edge -= kSmallestEdge;
  }
  const size_t count = (rows + edge - 1) / edge;
  return (rows + count - 1) / count;  // tiles of one size leave little unused
}

// The binary exponent of the scale that brings a typical conditioned value to about 1.
int wished_exponent(const Conditioning& conditioning, const PointSums& sums, size_t columns) {
  std::vector<double> norms;
  for (const double norm : sums.square_norms) {
    if (norm > 0.0 && std::isfinite(norm)) norms.push_back(norm);
  }
  int exponent = std::ilogb(conditioning.scale);
  if (!norms.empty()) {
    const auto middle = norms.begin() + static_cast<std::ptrdiff_t>(norms.size() / 2);
    std::nth_element(norms.begin(), middle, norms.end());
    exponent -= std::ilogb(*middle / static_cast<double>(columns)) / 2;
  }
  return std::clamp(exponent, -kLargestScaleExponent, kLargestScaleExponent);
}

}  // namespace

StreamProducts::StreamProducts(size_t rows, const TileKernels& kernels, int threads)
    : rows_(rows),
      kernels_(kernels),
      edge_(tile_edge(rows, threads)),
      tile_count_((rows + edge_ - 1) / edge_),
      square_norms_(rows, 0.0),
      oversized_(rows, 0) {
  const Conditioning none;
  const PackingProduct product(kernels, none, edge_);
  stride_ = product.stride();
  buffer_floats_ = product.buffer_floats();
  tiles_.reserve(tile_count_ * (tile_count_ + 1) / 2);
  for (size_t tile = 0; tile < tile_count_ * (tile_count_ + 1) / 2; ++tile) {
    tiles_.emplace_back(buffer_floats_);
  }
}

size_t StreamProducts::rows_of(size_t tile) const { return std::min(edge_, rows_ - tile * edge_); }

// Whether all values so far and those of this block are integers times one power of two, and so small that
// nothing rounds. Then the scale is settled.
bool StreamProducts::add_exactly(const Points& usable, Conditioning& conditioning, RunContext& run) {
  if (!conditioning.exact) return false;
  const int own = std::ilogb(conditioning.scale);
  const int exponent = has_scale_ ? std::max(scale_exponent_, own) : own;
  std::vector<double> norms = square_norms_;
  for (double& norm : norms) norm = std::ldexp(norm, 2 * (exponent - scale_exponent_));
  for (size_t point = 0; point < usable.size(); ++point) {
    norms[usable.rows[point]] += std::ldexp(usable.square_norms[point], 2 * exponent);
  }
  if (!std::all_of(norms.begin(), norms.end(), [](double norm) { return norm <= kLargestExactNorm; })) {
    return false;
  }
  if (has_scale_) rescale(exponent, run);
  scale_exponent_ = exponent;
  conditioning.scale = std::ldexp(1.0f, exponent);
  return true;
}

StreamProducts::Conditioned StreamProducts::condition_block(const Points& usable, RunContext& run) {
  const Columns columns{{0, usable.columns}};
  Conditioned block{condition({&usable}, run, exact_), {}};
  Conditioning& conditioning = block.conditioning;
  if (exact_) {
    exact_ = add_exactly(usable, conditioning, run);
    if (exact_) {
      block.sums = point_sums(usable, columns, conditioning, run);
      return block;
    }
    if (conditioning.exact) conditioning = condition({&usable}, run, false);
  }
  block.sums = point_sums(usable, columns, conditioning, run);
  const bool constant = std::all_of(block.sums.square_norms.begin(), block.sums.square_norms.end(),
                                    [](double norm) { return norm == 0.0; });
  if (constant) return block;
  const int own = std::ilogb(conditioning.scale);
  const int wish = wished_exponent(conditioning, block.sums, usable.columns);
  if (!has_scale_) {
    scale_exponent_ = wish;
  } else if (wish < scale_exponent_ - kScaleSlack) {
    rescale(wish, run);
  }
  if (scale_exponent_ != own) {
    conditioning.scale = std::ldexp(1.0f, scale_exponent_);
    for (float& center : conditioning.center) center = std::ldexp(center, scale_exponent_ - own);
    block.sums = point_sums(usable, columns, conditioning, run);
  }
  return block;
}

void StreamProducts::rescale(int exponent, const RunContext& run) {
  int change = exponent - scale_exponent_;
  scale_exponent_ = exponent;
  for (double& norm : square_norms_) norm = std::ldexp(norm, 2 * change);
  // Steps whose factor float32 holds as a normal number.
  while (change != 0 && started_) {
    const int step = std::clamp(change, -60, 60);
    const float factor = std::ldexp(1.0f, 2 * step);
    parallel_for(run, tiles_.size(), [&](size_t tile, int) {
      float* products = tiles_[tile].data();
      for (size_t i = 0; i < buffer_floats_; ++i) products[i] *= factor;
    });
    change -= step;
  }
}

std::vector<uint64_t> StreamProducts::add(const StreamBlock& block, RunContext& run) {
  const Points& usable = block.usable;
  columns_ += usable.columns;
  // All zeros: so are their hashes.
  if (std::all_of(usable.square_norms.begin(), usable.square_norms.end(),
                  [](double norm) { return norm == 0.0; })) {
    return std::vector<uint64_t>(usable.size(), 0);
  }
  const Conditioned conditioned = condition_block(usable, run);
  const PointSums& sums = conditioned.sums;
  // Columns in which all rows are the centre add nothing: dead channels.
  const bool varies = std::any_of(sums.square_norms.begin(), sums.square_norms.end(),
                                  [](double norm) { return !(norm == 0.0); });
  if (!varies) return sums.hashes;
  has_scale_ = true;
  for (size_t point = 0; point < usable.size(); ++point) {
    const uint32_t row = usable.rows[point];
    square_norms_[row] += sums.square_norms[point];
    if (!(square_norms_[row] < kLargestFloat32Norm * kLargestFloat32Norm)) oversized_[row] = 1;
  }
  longest_panel_ = std::max(longest_panel_, std::min(usable.columns, kPanelDepth));
  panels_ += (usable.columns + kPanelDepth - 1) / kPanelDepth;
  add_products(block.all, conditioned.conditioning, run);
  return sums.hashes;
}

void StreamProducts::add_products(const Points& all, const Conditioning& conditioning, RunContext& run) {
  struct Worker {
    Worker(const TileKernels& kernels, const Conditioning& conditioning, size_t edge)
        : product(kernels, conditioning, edge) {}
    PackingProduct product;
    TileRows left, right;
  };
  const auto take_rows = [&](size_t tile, TileRows& rows) {
    rows.points = &all;
    rows.members.resize(rows_of(tile));
    std::iota(rows.members.begin(), rows.members.end(), static_cast<uint32_t>(tile * edge_));
  };
  std::vector<std::unique_ptr<Worker>> workers(static_cast<size_t>(worker_count(run, tiles_.size())));
  std::vector<std::pair<size_t, size_t>> places;
  for (size_t a = 0; a < tile_count_; ++a) {
    for (size_t b = a; b < tile_count_; ++b) places.emplace_back(a, b);
  }
  run.begin_phase(0.0, 1.0, places.size());
  parallel_for(run, places.size(), [&](size_t task, int worker_index) {
    std::unique_ptr<Worker>& worker = workers[static_cast<size_t>(worker_index)];
    if (!worker) worker = std::make_unique<Worker>(kernels_, conditioning, edge_);
    const auto [a, b] = places[task];
    take_rows(a, worker->left);
    take_rows(b, worker->right);
    float* products = tiles_[index_of(a, b)].data();
    const float* base = started_ ? products : nullptr;
    for (size_t column = 0; column < all.columns; column += kColumnsAtOnce) {
      run.throw_if_cancelled();
      const TileColumns columns{{{column, std::min(kColumnsAtOnce, all.columns - column)}}, {}};
      worker->product.compute(worker->left, worker->right, columns, a == b, base, products);
      base = products;
    }
    run.advance();
  });
  started_ = true;
}

PointBounds StreamProducts::bounds() const {
  PointSums sums;
  sums.square_norms = square_norms_;
  Conditioning conditioning;
  conditioning.scale = std::ldexp(1.0f, scale_exponent_);
  conditioning.exact = exact_;
  return point_bounds(sums, columns_, longest_panel_ + panels_, conditioning, 0.0);
}

const float* StreamProducts::tile(size_t a, size_t b, float* scratch) const {
  if (a < b) return tiles_[index_of(a, b)].data();
  const float* stored = tiles_[index_of(b, a)].data();
  const size_t rows = rows_of(a), columns = rows_of(b);
  constexpr size_t kEdge = 32;  // a square of both sides stays in the first-level cache
  for (size_t first_row = 0; first_row < rows; first_row += kEdge) {
    const size_t end_row = std::min(rows, first_row + kEdge);
    for (size_t first = 0; first < columns; first += kEdge) {
      const size_t end = std::min(columns, first + kEdge);
      for (size_t i = first_row; i < end_row; ++i) {
        for (size_t j = first; j < end; ++j) {
          const bool stored_so = a == b && i < j;
          scratch[i * stride_ + j] = stored_so ? stored[i * stride_ + j] : stored[j * stride_ + i];
        }
      }
    }
  }
  return scratch;
}

}  // namespace sieve
