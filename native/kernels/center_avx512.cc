#include "kernels/center_kernels.h"

#if defined(__AVX512F__)

namespace sieve {
namespace {
#include "kernels/center_body.h"
}  // namespace

CenterDistances center_distances_avx512() { return center_distances; }

}  // namespace sieve

#else

namespace sieve {
CenterDistances center_distances_avx512() { return nullptr; }
}  // namespace sieve

#endif
