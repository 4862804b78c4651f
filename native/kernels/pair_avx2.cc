#include "kernels/pair_kernels.h"

#if defined(__AVX2__)

namespace sieve {
namespace {

#include "kernels/pair_body.h"

}  // namespace

const PairKernels* pair_kernels_avx2() { return &kTable; }

}  // namespace sieve

#else

namespace sieve {
const PairKernels* pair_kernels_avx2() { return nullptr; }
}  // namespace sieve

#endif
