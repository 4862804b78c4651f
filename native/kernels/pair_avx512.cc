#include "kernels/pair_kernels.h"

#if defined(__AVX512F__) && defined(__AVX512BW__) && defined(__AVX512DQ__) && defined(__AVX512VL__)

namespace sieve {
namespace {

#include "kernels/pair_body.h"

}  // namespace

const PairKernels* pair_kernels_avx512() { return &kTable; }

}  // namespace sieve

#else

namespace sieve {
const PairKernels* pair_kernels_avx512() { return nullptr; }
}  // namespace sieve

#endif
