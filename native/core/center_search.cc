#include "core/center_search.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "core/center_products.h"
#include "core/parallel.h"

namespace sieve {
namespace {

constexpr size_t kPointGrain = 4 * CenterProducts::kPoints;
constexpr double kInfinity = std::numeric_limits<double>::infinity();

// What float32 says about one point.
class Contenders {
 public:
  explicit Contenders(const CenterProducts& products) : products_(products), lower_(products.centers()) {}

  // The slot, or npos where the reference has to decide: then add_groups tells between whom.
  size_t decide(const double* products, double square_norm) {
    const double square = products_.square_norm_bound(square_norm);
    const double share = products_.product_share() * std::sqrt(square);
    const double constant = products_.reference_share() * square + products_.underflow();
    const double reference_share = products_.reference_share();
    const double* const squares = products_.square_norms(0);
    const double* const norms = products_.norms(0);
    double least_upper = kInfinity;
    bool finite = true;
    for (size_t c = 0; c < lower_.size(); ++c) {
      const double estimate = squares[c] - 2.0 * products[c];
      const double bound = share * norms[c] + reference_share * squares[c] + constant;
      lower_[c] = estimate - bound;
      const double upper = estimate + bound;
      finite = finite && std::isfinite(lower_[c]) && std::isfinite(upper);
      least_upper = std::min(least_upper, upper);
    }
    limit_ = finite ? least_upper : kInfinity;
    if (!finite) std::fill(lower_.begin(), lower_.end(), 0.0);
    size_t found = npos;
    for (size_t c = 0; c < lower_.size(); ++c) {
      if (lower_[c] > limit_) continue;
      if (found != npos) return npos;
      found = c;
    }
    return found;
  }

  void add_groups(std::vector<uint8_t>& wanted) const {
    for (size_t c = 0; c < lower_.size(); ++c) {
      if (lower_[c] <= limit_) wanted[c / kCenterLanes] = 1;
    }
  }

  static constexpr size_t npos = std::numeric_limits<size_t>::max();

 private:
  const CenterProducts& products_;
  std::vector<double> lower_;
  double limit_ = 0.0;
};

// Points that wait for the reference, so that it gets kCenterRows of them at a time.
class Undecided {
 public:
  // nearest: of the points from `first` on.
  Undecided(CenterReference& reference, const Columns& columns, size_t groups, size_t first,
            std::vector<int32_t>& nearest)
      : reference_(reference), columns_(columns), wanted_(groups, 0), first_(first), nearest_(nearest) {}

  void add(size_t point, const Contenders& contenders) {
    points_[count_++] = static_cast<uint32_t>(point);
    contenders.add_groups(wanted_);
    if (count_ == kCenterRows) decide();
  }

  void decide() {
    if (count_ == 0) return;
    groups_.clear();
    for (size_t group = 0; group < wanted_.size(); ++group) {
      if (wanted_[group] != 0) groups_.push_back(static_cast<uint32_t>(group));
    }
    int32_t classes[kCenterRows];
    reference_.nearest(points_, count_, columns_, groups_, classes);
    for (size_t i = 0; i < count_; ++i) nearest_[points_[i] - first_] = classes[i];
    std::fill(wanted_.begin(), wanted_.end(), uint8_t{0});
    count_ = 0;
  }

 private:
  CenterReference& reference_;
  const Columns& columns_;
  std::vector<uint8_t> wanted_;
  std::vector<uint32_t> groups_;
  size_t first_;
  std::vector<int32_t>& nearest_;
  uint32_t points_[kCenterRows] = {};
  size_t count_ = 0;
};

void search_serially(const Points& points, const ClassCenters& centers, const CenterKernels& kernels,
                     const Columns& columns, size_t first, RunContext& run, std::vector<int32_t>& nearest) {
  parallel_ranges(run, nearest.size(), kPointGrain, [&](size_t begin, size_t end, int) {
    CenterReference reference(points, centers, kernels);
    for (size_t at = begin; at < end; at += kCenterRows) {
      run.throw_if_cancelled();
      const size_t count = std::min(kCenterRows, end - at);
      uint32_t which[kCenterRows];
      std::iota(which, which + count, static_cast<uint32_t>(first + at));
      reference.nearest(which, count, columns, reference.all_groups(), nearest.data() + at);
    }
    run.advance(end - begin);
  });
}

}  // namespace

CenterReference::CenterReference(const Points& points, const ClassCenters& centers,
                                 const CenterKernels& kernels)
    : centers_(centers),
      kernels_(kernels),
      reader_(points, kCenterRows),
      all_groups_(centers.groups()),
      sums_(centers.groups() * kCenterRows * kCenterLanes) {
  std::iota(all_groups_.begin(), all_groups_.end(), 0u);
}

void CenterReference::measure(const uint32_t* which, size_t count, const Columns& columns,
                              const std::vector<uint32_t>& groups) {
  const float* rows[kCenterRows];
  for (size_t r = 0; r < kCenterRows; ++r) {
    rows[r] = r < count ? reader_.read(r, which[r], columns) : rows[r - 1];
  }
  for (const uint32_t group : groups) {
    double* sums = sums_.data() + group * kCenterRows * kCenterLanes;
    std::fill_n(sums, kCenterRows * kCenterLanes, 0.0);
    for (const ColumnRange& range : columns) {
      kernels_.distances(rows, range.begin, range.count,
                         centers_.values.data() + (group * centers_.columns + range.begin) * kCenterLanes,
                         sums);
    }
  }
}

void CenterReference::nearest(const uint32_t* which, size_t count, const Columns& columns,
                              const std::vector<uint32_t>& groups, int32_t* classes) {
  measure(which, count, columns, groups);
  for (size_t r = 0; r < count; ++r) {
    double least = kInfinity;
    for (const uint32_t group : groups) {
      const double* distances = sums_.data() + (group * kCenterRows + r) * kCenterLanes;
      const size_t lanes = std::min(kCenterLanes, centers_.size() - group * kCenterLanes);
      for (size_t lane = 0; lane < lanes; ++lane) {
        if (distances[lane] >= least) continue;
        least = distances[lane];
        classes[r] = centers_.classes[group * kCenterLanes + lane];
      }
    }
  }
}

const double* CenterReference::distances(const uint32_t* which, size_t count, const Columns& columns) {
  measure(which, count, columns, all_groups_);
  return sums_.data();
}

std::vector<int32_t> nearest_centers(const Points& points, const ClassCenters& centers,
                                     const CenterKernels& kernels, size_t first, size_t last,
                                     RunContext& run) {
  std::vector<int32_t> nearest(last - first);
  const Columns columns{{0, points.columns}};
  if (kernels.lanes == 0) {
    search_serially(points, centers, kernels, columns, first, run, nearest);
    return nearest;
  }
  const CenterProducts products(centers, 1, kernels, run);
  parallel_ranges(run, nearest.size(), kPointGrain, [&](size_t begin, size_t end, int) {
    constexpr size_t kStep = CenterProducts::kPoints;
    CenterReference reference(points, centers, kernels);
    Undecided undecided(reference, columns, centers.groups(), first, nearest);
    Contenders contenders(products);
    CenterProducts::Scratch scratch;
    std::vector<double> sums(kStep * centers.size());
    double square_norms[kStep];
    for (size_t at = begin; at < end; at += kStep) {
      run.throw_if_cancelled();
      const size_t count = std::min(kStep, end - at);
      const size_t ahead = std::min(kStep, nearest.size() - at - count);
      products.multiply(points, first + at, count, 0, ahead, scratch, sums.data(), square_norms);
      for (size_t i = 0; i < count; ++i) {
        const size_t slot = contenders.decide(sums.data() + i * centers.size(), square_norms[i]);
        if (slot == Contenders::npos) {
          undecided.add(first + at + i, contenders);
        } else {
          nearest[at + i] = centers.classes[slot];
        }
      }
    }
    undecided.decide();
    run.advance(end - begin);
  });
  return nearest;
}

}  // namespace sieve
