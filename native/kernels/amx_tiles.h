// The AMX instructions that the kernels use, on tiles of 16 rows of 64 bytes. Included inside the anonymous
// namespace of a file that is compiled for AMX. The instructions are written out because compilers that know
// AMX do not all know its float16, and their intrinsics neither order tile loads behind stores (no memory
// clobber) nor read the whole configuration.
//
// SIEVE_EMULATE_AMX replaces them by plain code, for tests on CPUs without AMX.

#if defined(SIEVE_EMULATE_AMX)

#include "amx_emulation.h"

#else

struct alignas(64) TileConfiguration {
  uint8_t palette = 1;
  uint8_t start_row = 0;
  uint8_t reserved[14] = {};
  uint16_t column_bytes[16] = {64, 64, 64, 64, 64, 64, 64, 64};
  uint8_t rows[16] = {16, 16, 16, 16, 16, 16, 16, 16};
};
static_assert(sizeof(TileConfiguration) == 64, "what ldtilecfg reads");

// Tiles are usable while this lives, in the thread that made it.
class TileScope {
 public:
  TileScope() {
    const TileConfiguration configuration;
    __asm__ volatile("ldtilecfg %0" : : "m"(configuration));
  }
  ~TileScope() { __asm__ volatile("tilerelease"); }
  TileScope(const TileScope&) = delete;
  TileScope& operator=(const TileScope&) = delete;
};

template <int kTile>
inline void tile_zero() {
  __asm__ volatile("tilezero %%tmm%c0" : : "i"(kTile));
}

// Rows `stride` bytes apart.
template <int kTile>
inline void tile_load(const void* from, size_t stride) {
  __asm__ volatile("tileloadd (%0,%1,1), %%tmm%c2" : : "r"(from), "r"(stride), "i"(kTile) : "memory");
}

template <int kTile>
inline void tile_store(void* to, size_t stride) {
  __asm__ volatile("tilestored %%tmm%c2, (%0,%1,1)" : : "r"(to), "r"(stride), "i"(kTile) : "memory");
}

// sum[m][n] += sum over p of a[m][2p] b[p][2n] + a[m][2p+1] b[p][2n+1], elements of 16 bits, sums in float32.
template <int kSum, int kA, int kB>
inline void tile_multiply_bfloat16() {
  __asm__ volatile("tdpbf16ps %%tmm%c2, %%tmm%c1, %%tmm%c0" : : "i"(kSum), "i"(kA), "i"(kB));
}

// tdpfp16ps: VEX.128.F2.0F38.W0 5C, sum in ModRM.reg, a in ModRM.rm, b in VEX.vvvv.
template <int kSum, int kA, int kB>
inline void tile_multiply_float16() {
  __asm__ volatile(".byte 0xc4, 0xe2, %c0, 0x5c, %c1"
                   :
                   : "i"(((~kB & 15) << 3) | 3), "i"(0xc0 | (kSum << 3) | kA));
}

#endif
