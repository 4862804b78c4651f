// bfloat16 products with AMX.
#include "kernels/rounded_kernels.h"

#if (defined(__AMX_TILE__) || defined(SIEVE_EMULATE_AMX)) && defined(__AVX512F__) && \
    defined(__AVX512BW__) && defined(__AVX512DQ__) && !defined(_MSC_VER)

#include <cfloat>
#include <cmath>
#include <cstring>

#include "kernels/avx512_intrinsics.h"

namespace sieve {
namespace {

#include "kernels/amx_tiles.h"
#include "kernels/avx512_transpose.h"
#include "kernels/bfloat16_format.h"
#include "kernels/rounded_pack_body.h"

template <int kSum, int kA, int kB>
inline void tile_multiply() {
  tile_multiply_bfloat16<kSum, kA, kB>();
}

#include "kernels/amx_body.h"

const RoundedKernels kTable = {kTilePairs, 24, 0x1p40, 28, 384, pack, arrange_left, multiply};

}  // namespace

const RoundedKernels* rounded_kernels_amx_bf16() { return &kTable; }

}  // namespace sieve

#else

namespace sieve {
const RoundedKernels* rounded_kernels_amx_bf16() { return nullptr; }
}  // namespace sieve

#endif
