#include "kernels/center_kernels.h"

#if defined(__AVX2__)

namespace sieve {
namespace {
#include "kernels/center_body.h"
}  // namespace

CenterDistances center_distances_avx2() { return center_distances; }

}  // namespace sieve

#else

namespace sieve {
CenterDistances center_distances_avx2() { return nullptr; }
}  // namespace sieve

#endif
