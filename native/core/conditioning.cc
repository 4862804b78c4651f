#include "core/conditioning.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstring>
#include <limits>
#include <mutex>

#include "core/parallel.h"

namespace sieve {
namespace {

constexpr int kLargestScaleExponent = 120;

uint32_t bits_of(float value) {
  uint32_t bits;
  std::memcpy(&bits, &value, sizeof(bits));
  return bits;
}

double median(std::vector<double> values) {
  if (values.empty()) return 0.0;
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

// Exponents of the lowest set bit of all values and of the largest value, over the sets. Stops early once the
// span is too wide for exact float32 products.
struct Grain {
  int lowest = std::numeric_limits<int>::max();
  int highest = std::numeric_limits<int>::min();
  bool fine() const { return highest < lowest || highest - lowest <= 11; }
};

Grain grain_of(const std::vector<const Points*>& sets, RunContext& run) {
  Grain total;
  std::atomic<bool> too_wide{false};
  std::mutex mutex;
  for (const Points* points : sets) {
    parallel_ranges(run, points->size(), 32, [&](size_t begin, size_t end, int) {
      Grain grain;
      std::vector<float> scratch(points->decode != nullptr ? points->columns : 0);
      for (size_t point = begin; point < end && !too_wide.load(std::memory_order_relaxed); ++point) {
        const float* row = points->values(point, 0, points->columns, scratch.data());
        for (size_t k = 0; k < points->columns; ++k) {
          if (row[k] == 0.0f) continue;
          const uint32_t bits = bits_of(row[k]) & 0x7fffffffu;
          const int biased = static_cast<int>(bits >> 23);
          uint32_t mantissa = (bits & 0x7fffffu) | (biased > 0 ? 0x800000u : 0u);
          int lowest = std::max(biased, 1) - 150;
          while ((mantissa & 1u) == 0) {
            mantissa >>= 1;
            ++lowest;
          }
          grain.lowest = std::min(grain.lowest, lowest);
          grain.highest = std::max(grain.highest, std::max(biased, 1) - 127);
          if (!grain.fine()) {
            too_wide.store(true, std::memory_order_relaxed);
            break;
          }
        }
      }
      const std::lock_guard<std::mutex> lock(mutex);
      total.lowest = std::min(total.lowest, grain.lowest);
      total.highest = std::max(total.highest, grain.highest);
    });
  }
  return total;
}

// Exact mode: norms of at most 2^22 grains squared keep n_i + n_j and every partial sum of 2g below 2^24.
bool exact_conditioning(const std::vector<const Points*>& sets, RunContext& run, Conditioning& conditioning) {
  const Grain grain = grain_of(sets, run);
  if (!grain.fine()) return false;
  const int exponent = grain.highest < grain.lowest ? 0 : -grain.lowest;
  if (exponent < -kLargestScaleExponent || exponent > kLargestScaleExponent) return false;
  const double limit = std::ldexp(0x1p22, -2 * exponent);
  for (const Points* points : sets) {
    for (const double norm : points->square_norms) {
      if (norm > limit) return false;
    }
  }
  conditioning.scale = std::ldexp(1.0f, exponent);
  conditioning.center.assign(sets.front()->columns, 0.0f);
  conditioning.exact = true;
  return true;
}

// At most this many rows of a set, evenly spaced, stand for all: the centre and the scale may be anything,
// they only have to be near.
constexpr size_t kSample = 1024;

template <typename Body>
void for_sample(const Points& points, const Body& body) {
  const size_t step = (points.size() + kSample - 1) / kSample;
  for (size_t point = 0; point < points.size(); point += step) body(point);
}

std::vector<double> robust_mean(const std::vector<const Points*>& sets, RunContext& run) {
  std::vector<double> norms;
  for (const Points* points : sets) {
    for_sample(*points, [&](size_t point) { norms.push_back(points->square_norms[point]); });
  }
  const double limit = 16.0 * median(std::move(norms));
  const size_t columns = sets.front()->columns;
  std::vector<double> mean(columns, 0.0);
  parallel_ranges(run, columns, 512, [&](size_t begin, size_t end, int) {
    std::vector<float> scratch(end - begin);
    size_t taken = 0;
    for (const Points* points : sets) {
      for_sample(*points, [&](size_t point) {
        if (!(points->square_norms[point] <= limit)) return;
        const float* values = points->values(point, begin, end - begin, scratch.data());
        for (size_t k = begin; k < end; ++k) mean[k] += values[k - begin];
        ++taken;
      });
    }
    for (size_t k = begin; k < end; ++k) mean[k] /= static_cast<double>(taken);
  });
  return mean;
}

// Median norm, over a sample of rows, of what is not the centre itself; 0 where everything is.
double typical_square_norm(const std::vector<const Points*>& sets, const std::vector<double>& mean) {
  std::vector<double> norms;
  for (const Points* points : sets) {
    std::vector<float> scratch(points->decode != nullptr ? points->columns : 0);
    for_sample(*points, [&](size_t point) {
      const float* row = points->values(point, 0, points->columns, scratch.data());
      double sum = 0.0;
      for (size_t k = 0; k < points->columns; ++k) sum += (row[k] - mean[k]) * (row[k] - mean[k]);
      if (sum > 0.0) norms.push_back(sum);
    });
  }
  return median(std::move(norms));
}

uint64_t column_weight(uint64_t column) {
  uint64_t z = (column + 1) * 0x9e3779b97f4a7c15ull;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
  return (z ^ (z >> 31)) | 1u;
}

float round_down(double value) {
  const float rounded = static_cast<float>(value);
  return rounded > value ? std::nextafter(rounded, -std::numeric_limits<float>::infinity()) : rounded;
}

float round_up(double value) {
  const float rounded = static_cast<float>(value);
  return rounded < value ? std::nextafter(rounded, std::numeric_limits<float>::infinity()) : rounded;
}

}  // namespace

Conditioning condition(const std::vector<const Points*>& sets, RunContext& run, bool may_be_exact) {
  Conditioning conditioning;
  if (may_be_exact && exact_conditioning(sets, run, conditioning)) return conditioning;
  const std::vector<double> mean = robust_mean(sets, run);
  const double typical = typical_square_norm(sets, mean);
  const int exponent = typical > 0.0 ? -(std::ilogb(typical / static_cast<double>(mean.size())) / 2) : 0;
  conditioning.scale = std::ldexp(1.0f, std::clamp(exponent, -kLargestScaleExponent, kLargestScaleExponent));
  conditioning.center.resize(mean.size());
  for (size_t k = 0; k < mean.size(); ++k) {
    conditioning.center[k] = static_cast<float>(mean[k] * conditioning.scale);
  }
  return conditioning;
}

std::vector<uint32_t> oversized_points(const Points& points, const Conditioning& conditioning,
                                       double largest_norm) {
  double center_norm = 0.0;
  for (const float value : conditioning.center) center_norm += static_cast<double>(value) * value;
  center_norm = std::sqrt(center_norm);
  std::vector<uint32_t> oversized;
  for (size_t point = 0; point < points.size(); ++point) {
    const double norm = std::sqrt(points.square_norms[point]) * conditioning.scale + center_norm;
    if (!(norm < largest_norm)) oversized.push_back(static_cast<uint32_t>(point));
  }
  return oversized;
}

void PointSums::add(const PointSums& other) {
  if (square_norms.empty()) {
    *this = other;
    return;
  }
  for (size_t point = 0; point < square_norms.size(); ++point) {
    square_norms[point] += other.square_norms[point];
    hashes[point] += other.hashes[point];
  }
  for (size_t point = 0; point < square_residuals.size(); ++point) {
    square_residuals[point] += other.square_residuals[point];
  }
}

PointSums point_sums(const Points& points, const Columns& columns, const Conditioning& conditioning,
                     const RunContext& run) {
  PointSums sums;
  sums.square_norms.assign(points.size(), 0.0);
  sums.hashes.assign(points.size(), 0);
  std::vector<uint64_t> weights;
  weights.reserve(column_count(columns));
  for (const ColumnRange& range : columns) {
    for (size_t k = 0; k < range.count; ++k) weights.push_back(column_weight(range.begin + k));
  }
  const float scale = conditioning.scale;
  parallel_ranges(run, points.size(), 64, [&](size_t begin, size_t end, int) {
    std::vector<float> scratch(points.decode != nullptr ? points.columns : 0);
    for (size_t point = begin; point < end; ++point) {
      const uint64_t* weight = weights.data();
      double norms[4] = {};
      uint64_t hashes[4] = {};
      for (const ColumnRange& range : columns) {
        const float* row = points.values(point, range.begin, range.count, scratch.data());
        const float* center = conditioning.center.data() + range.begin;
        const auto take = [&](size_t k, size_t lane) {
          const float scaled = row[k] * scale;
          const double value = scaled - center[k];
          norms[lane] += value * value;
          hashes[lane] += weight[k] * bits_of(row[k] + 0.0f);  // -0 + 0 is 0
        };
        size_t k = 0;
        for (; k + 4 <= range.count; k += 4) {
          for (size_t lane = 0; lane < 4; ++lane) take(k + lane, lane);
        }
        for (; k < range.count; ++k) take(k, 0);
        weight += range.count;
      }
      sums.square_norms[point] = (norms[0] + norms[1]) + (norms[2] + norms[3]);
      sums.hashes[point] = (hashes[0] + hashes[1]) + (hashes[2] + hashes[3]);
    }
  });
  return sums;
}

PointBounds point_bounds(const PointSums& sums, size_t dims, size_t chain, const Conditioning& conditioning,
                         double quotient) {
  const bool rounded_off = quotient > 0.0;
  const bool exact = conditioning.exact && !rounded_off;
  const double unit = 0x1p-24;
  const double count = static_cast<double>(dims);
  // 24 more where norms are added up in float32 first (rounded_pack_body.h).
  const double operations = static_cast<double>(chain) + (sums.square_residuals.empty() ? 16.0 : 40.0);
  const double beta = exact ? 0.0 : 1.01 * (operations * unit + (count + 3.0) * 0x1p-51);
  const double eta = exact ? 0.0 : (count + 1.0) * 0x1p-120;
  PointBounds bounds;
  const double scale = conditioning.scale;
  bounds.unit = scale * scale / (1.0 - quotient) * (1.0 + 0x1p-48);
  if (rounded_off) bounds.growth = round_up((1.0 + quotient) / (1.0 - quotient) * (1.0 + 0x1p-20));
  bounds.lower_norms.resize(sums.square_norms.size());
  bounds.slacks.resize(sums.square_norms.size());
  for (size_t point = 0; point < sums.square_norms.size(); ++point) {
    const double norm = sums.square_norms[point];
    double rounding = 0.0;
    if (rounded_off) {
      // |z - a| of rounded_kernels.h; the factor is for the float32 sums of e.
      const double residual = 1.001 * std::sqrt(sums.square_residuals[point]) + 2.0 * unit * std::sqrt(norm) +
                              std::sqrt(count) * 0x1p-70;
      rounding = 2.0 * residual * residual / quotient;
    }
    bounds.lower_norms[point] = round_down(norm * (1.0 - beta) - rounding - eta);
    bounds.slacks[point] = round_up(2.0 * beta * norm + 2.0 * rounding + 2.0 * eta);
  }
  return bounds;
}

}  // namespace sieve
