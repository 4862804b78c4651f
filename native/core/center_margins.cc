#include "core/center_margins.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "core/backend.h"
#include "core/parallel.h"

namespace sieve {
namespace {

constexpr size_t kRows = kMarginRows;
constexpr double kRounding = 4.0 * 0x1p-24;
constexpr double kUpwards = 1.0 + 0x1p-20;  // more than what the floats of a bound lose
constexpr float kInfinity = std::numeric_limits<float>::infinity();

constexpr size_t kBlockGrain = 4;
constexpr size_t kCacheBytes = size_t{1} << 20;  // of each thread

static_assert(kRows == CenterProducts::kPoints, "a block is one call of either");

}  // namespace

struct CenterMargins::Worker {
  explicit Worker(const CenterMargins& of)
      : reference(of.points_, of.centers_, of.kernels_),
        terms(kRows * of.centers_.size()),
        base_sums(of.filter_floats_),
        base(of.centers_.size() * kRows) {
    if (!of.stored_.empty()) return;
    const size_t slots = std::max<size_t>(1, kCacheBytes / (of.filter_floats_ * sizeof(float)));
    cached.assign(std::min(slots, of.filters_), 0);
    cache = AlignedFloats(cached.size() * of.filter_floats_);
  }

  CenterReference reference;
  CenterProducts::Scratch scratch;
  std::vector<double> terms;      // [kRows, centres]
  std::vector<double> base_sums;  // of margins and of their bounds, as these lie
  std::vector<float> base;        // base_sums rounded; infinite for the own class
  float base_bounds[kRows] = {};
  std::vector<size_t> cached;  // which margins a slot of the cache holds; nothing where all are stored
  AlignedFloats cache;
};

CenterMargins::CenterMargins(const Points& points, int32_t class_count, size_t dims, RunContext& run)
    : points_(points),
      dims_(dims),
      filters_(points.columns / dims),
      kernels_(center_kernels(resolve_backend(run.requested_backend()))),
      centers_(class_centers(points, class_count, kernels_, run)),
      filter_floats_((centers_.size() + 1) * kRows) {
  const size_t input_bytes = points.size() * points.columns * sizeof(float);
  const size_t allowance = input_bytes / 2 + (size_t{64} << 20);
  // Vectors of products that are longer than a filter would be mostly padding.
  if (kernels_.lanes > 0 && 2 * dims >= kernels_.lanes) {
    products_ = std::make_unique<CenterProducts>(centers_, filters_, kernels_, run);
  }
  const size_t blocks = (points.size() + kRows - 1) / kRows;
  const size_t other_bytes =
      centers_.values.size() * sizeof(double) +
      (products_ ? CenterProducts::bytes(centers_.size(), points.columns, filters_, kernels_) : 0);
  if (blocks * filters_ * filter_floats_ * sizeof(float) + other_bytes > allowance) return;

  stored_.resize(blocks);
  std::vector<std::unique_ptr<Worker>> workers(static_cast<size_t>(worker_count(run, blocks)));
  parallel_for(run, blocks, [&](size_t block, int number) {
    std::unique_ptr<Worker>& worker = workers[static_cast<size_t>(number)];
    if (!worker) worker = std::make_unique<Worker>(*this);
    AlignedFloats margins(filters_ * filter_floats_);
    for (size_t filter = 0; filter < filters_; ++filter) {
      float* of_filter = margins.data() + filter * filter_floats_;
      measure(block, filter, *worker, of_filter, of_filter + centers_.size() * kRows);
    }
    stored_[block] = std::move(margins);
  });
}

void CenterMargins::measure(size_t block, size_t filter, Worker& worker, float* margins,
                            float* bounds) const {
  const size_t centers = centers_.size();
  const size_t first = block * kRows;
  const size_t count = std::min(kRows, points_.size() - first);
  // Terms whose differences are the margins, per point, with the bound on a difference.
  double* const terms = worker.terms.data();
  double term_bounds[kRows];
  if (products_) {
    double square_norms[kRows];
    products_->multiply(points_, first, count, filter, 0, worker.scratch, terms, square_norms);
    const double* squares = products_->square_norms(filter);
    const double* norms = products_->norms(filter);
    const double norm = *std::max_element(norms, norms + centers);
    for (size_t q = 0; q < count; ++q) {
      for (size_t c = 0; c < centers; ++c) terms[q * centers + c] = squares[c] - 2.0 * terms[q * centers + c];
      const double square = products_->square_norm_bound(square_norms[q]);
      term_bounds[q] = 2.0 * (products_->product_share() * std::sqrt(square) * norm +
                              products_->reference_share() * (square + norm * norm) + products_->underflow());
    }
  } else {
    const Columns columns{{filter * dims_, dims_}};
    const double share = (static_cast<double>(points_.columns) + 4.0) * 0x1p-50;
    for (size_t r = 0; r < count; r += kCenterRows) {
      uint32_t which[kCenterRows];
      const size_t some = std::min(kCenterRows, count - r);
      std::iota(which, which + some, static_cast<uint32_t>(first + r));
      const double* distances = worker.reference.distances(which, some, columns);
      for (size_t q = 0; q < some; ++q) {
        double largest = 0.0;
        for (size_t c = 0; c < centers; ++c) {
          const double distance =
              distances[(c / kCenterLanes * kCenterRows + q) * kCenterLanes + c % kCenterLanes];
          largest = std::max(largest, distance);
          terms[(r + q) * centers + c] = distance;
        }
        term_bounds[r + q] = share * largest;
      }
    }
  }
  for (size_t q = 0; q < kRows; ++q) {
    if (q >= count) {
      bounds[q] = kInfinity;
      for (size_t c = 0; c < centers; ++c) margins[c * kRows + q] = 0.0f;
      continue;
    }
    const size_t own = centers_.slot_of_class[static_cast<size_t>(points_.labels[first + q])];
    float largest = 0.0f;
    bool finite = true;
    for (size_t c = 0; c < centers; ++c) {
      const float margin = static_cast<float>(terms[q * centers + c] - terms[q * centers + own]);
      finite = finite && std::isfinite(margin);
      largest = std::max(largest, std::abs(margin));
      margins[c * kRows + q] = margin;
    }
    bounds[q] = static_cast<float>((term_bounds[q] + 2.0 * kRounding * largest) * kUpwards + 0x1p-126);
    if (finite) continue;
    bounds[q] = kInfinity;
    for (size_t c = 0; c < centers; ++c) margins[c * kRows + q] = 0.0f;
  }
}

const float* CenterMargins::of_filter(size_t block, size_t filter, Worker& worker) const {
  if (!stored_.empty()) return stored_[block].data() + filter * filter_floats_;
  const size_t slot = filter % worker.cached.size();
  float* margins = worker.cache.data() + slot * filter_floats_;
  const size_t key = block * filters_ + filter + 1;
  if (worker.cached[slot] != key) {
    measure(block, filter, worker, margins, margins + centers_.size() * kRows);
    worker.cached[slot] = key;
  }
  return margins;
}

void CenterMargins::sum_up(size_t block, const std::vector<uint32_t>& filters, Worker& worker) const {
  std::fill(worker.base_sums.begin(), worker.base_sums.end(), 0.0);
  // With a cache that is too small for all, a later filter may take an earlier one's place.
  const size_t step = stored_.empty() ? 1 : kSummedRows;
  const float* rows[kSummedRows];
  for (size_t i = 0; i < filters.size(); i += step) {
    const size_t some = std::min(step, filters.size() - i);
    for (size_t j = 0; j < some; ++j) rows[j] = of_filter(block, filters[i + j], worker);
    kernels_.accumulate(rows, some, filter_floats_, worker.base_sums.data());
  }
  const size_t centers = centers_.size();
  for (size_t i = 0; i < worker.base.size(); ++i) worker.base[i] = static_cast<float>(worker.base_sums[i]);
  for (size_t q = 0; q < kRows; ++q) {
    double largest = 0.0;
    for (size_t c = 0; c < centers; ++c) {
      largest = std::max(largest, std::abs(worker.base_sums[c * kRows + q]));
    }
    const double bound = worker.base_sums[centers * kRows + q] + kRounding * largest;
    worker.base_bounds[q] = static_cast<float>(bound * kUpwards);
    const size_t point = std::min(block * kRows + q, points_.size() - 1);
    const size_t own = centers_.slot_of_class[static_cast<size_t>(points_.labels[point])];
    worker.base[own * kRows + q] = kInfinity;
  }
}

size_t CenterMargins::count_hits(size_t block, const float* added, Worker& worker,
                                 const std::function<Columns()>& columns) const {
  const size_t centers = centers_.size();
  const size_t first = block * kRows;
  const size_t count = std::min(kRows, points_.size() - first);
  const float* added_bounds = added + centers * kRows;
  float least[kRows];
  kernels_.margins(worker.base.data(), added, centers, least);
  size_t hits = 0, undecided = 0;
  uint32_t which[kRows];
  for (size_t q = 0; q < count; ++q) {
    const float bound = (worker.base_bounds[q] + added_bounds[q]) * static_cast<float>(kUpwards);
    const bool hit = least[q] > bound;
    hits += hit ? 1 : 0;
    if (!hit && !(least[q] < -bound)) which[undecided++] = static_cast<uint32_t>(first + q);
  }
  if (undecided == 0) return hits;
  const Columns set = columns();
  for (size_t i = 0; i < undecided; i += kCenterRows) {
    const size_t some = std::min(kCenterRows, undecided - i);
    int32_t classes[kCenterRows];
    worker.reference.nearest(which + i, some, set, worker.reference.all_groups(), classes);
    for (size_t j = 0; j < some; ++j) {
      hits += classes[j] == points_.labels[which[i + j]] ? 1 : 0;
    }
  }
  return hits;
}

std::vector<uint64_t> CenterMargins::over_blocks(
    size_t results, RunContext& run,
    const std::function<void(size_t block, Worker& worker, uint64_t* hits)>& body) const {
  const size_t blocks = (points_.size() + kRows - 1) / kRows;
  const size_t ranges = (blocks + kBlockGrain - 1) / kBlockGrain;
  std::vector<std::unique_ptr<Worker>> workers(static_cast<size_t>(worker_count(run, ranges)));
  std::vector<std::vector<uint64_t>> hits(workers.size());
  parallel_ranges(run, blocks, kBlockGrain, [&](size_t begin, size_t end, int number) {
    const auto index = static_cast<size_t>(number);
    if (!workers[index]) {
      workers[index] = std::make_unique<Worker>(*this);
      hits[index].assign(results, 0);
    }
    for (size_t block = begin; block < end; ++block) {
      run.throw_if_cancelled();
      body(block, *workers[index], hits[index].data());
    }
    run.advance(std::min(points_.size(), end * kRows) - begin * kRows);
  });
  std::vector<uint64_t> total(results, 0);
  for (const std::vector<uint64_t>& of_worker : hits) {
    for (size_t i = 0; i < of_worker.size(); ++i) total[i] += of_worker[i];
  }
  return total;
}

std::vector<uint64_t> CenterMargins::hits_with_each(const std::vector<uint32_t>& base,
                                                    const std::vector<uint32_t>& candidates,
                                                    RunContext& run) const {
  return over_blocks(candidates.size(), run, [&](size_t block, Worker& worker, uint64_t* hits) {
    sum_up(block, base, worker);
    for (size_t i = 0; i < candidates.size(); ++i) {
      hits[i] += count_hits(block, of_filter(block, candidates[i], worker), worker,
                            [&] { return joint_columns(base, candidates[i], dims_); });
    }
  });
}

std::vector<uint64_t> CenterMargins::hits_of_sets(const std::vector<std::vector<uint32_t>>& sets,
                                                  RunContext& run) const {
  const std::vector<float> nothing(filter_floats_, 0.0f);
  return over_blocks(sets.size(), run, [&](size_t block, Worker& worker, uint64_t* hits) {
    for (size_t i = 0; i < sets.size(); ++i) {
      sum_up(block, sets[i], worker);
      hits[i] += count_hits(block, nothing.data(), worker, [&] { return filter_columns(sets[i], dims_); });
    }
  });
}

}  // namespace sieve
