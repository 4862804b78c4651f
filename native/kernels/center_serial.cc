#include "kernels/center_kernels.h"

namespace sieve {
namespace {

inline void prefetch(const float*, size_t) {}

#include "kernels/center_body.h"
#include "kernels/center_sums_body.h"

const CenterKernels kTable = {center_distances, accumulate, 0, nullptr, margins};

}  // namespace

const CenterKernels* center_kernels_serial() { return &kTable; }

}  // namespace sieve
