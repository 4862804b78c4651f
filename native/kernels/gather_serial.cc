// Sixteen plain floats: what the compiler makes of it is good enough where nothing better is written.
#include "kernels/gather_kernels.h"

namespace sieve {
namespace {

struct Lanes {
  float lane[kGatherLanes];
  static Lanes zero() { return {}; }
  static Lanes load(const float* at) {
    Lanes result;
    for (size_t i = 0; i < kGatherLanes; ++i) result.lane[i] = at[i];
    return result;
  }
  static Lanes subtract(const Lanes& a, const Lanes& b) {
    Lanes result;
    for (size_t i = 0; i < kGatherLanes; ++i) result.lane[i] = a.lane[i] - b.lane[i];
    return result;
  }
  static Lanes square_add(const Lanes& a, const Lanes& sum) {
    Lanes result;
    for (size_t i = 0; i < kGatherLanes; ++i) result.lane[i] = a.lane[i] * a.lane[i] + sum.lane[i];
    return result;
  }
  static float total(Lanes sum) {
    for (size_t width = kGatherLanes / 2; width > 0; width /= 2) {
      for (size_t i = 0; i < width; ++i) sum.lane[i] += sum.lane[i + width];
    }
    return sum.lane[0];
  }
  static void prefetch(const float*) {}
};

#include "kernels/gather_body.h"

}  // namespace

GatherDistances gather_distances_serial() { return gather_distances; }

}  // namespace sieve
