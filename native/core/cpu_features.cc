#include "core/cpu_features.h"

#include <cstdint>

#if defined(__linux__)
#include <sys/syscall.h>
#include <unistd.h>
#endif

#if defined(__x86_64__) || defined(_M_X64)
#define SIEVE_X86_64 1
#if defined(_MSC_VER)
#include <intrin.h>
#else
#include <cpuid.h>
#endif
#endif

namespace sieve {
namespace {

#if defined(SIEVE_X86_64)

struct Registers {
  uint32_t eax, ebx, ecx, edx;
};

Registers cpuid(uint32_t leaf, uint32_t subleaf) {
#if defined(_MSC_VER)
  int values[4];
  __cpuidex(values, static_cast<int>(leaf), static_cast<int>(subleaf));
  return {static_cast<uint32_t>(values[0]), static_cast<uint32_t>(values[1]),
          static_cast<uint32_t>(values[2]), static_cast<uint32_t>(values[3])};
#else
  Registers r{0, 0, 0, 0};
  __cpuid_count(leaf, subleaf, r.eax, r.ebx, r.ecx, r.edx);
  return r;
#endif
}

uint64_t saved_state_mask() {
#if defined(_MSC_VER)
  return _xgetbv(0);
#else
  uint32_t low, high;
  __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  return (static_cast<uint64_t>(high) << 32) | low;
#endif
}

// Linux gives a process the room to save tiles on request only; threads that start later inherit it.
#if !defined(SIEVE_EMULATE_AMX)
bool tile_permission() {
#if defined(__linux__) && defined(SYS_arch_prctl)
  constexpr long kRequestPermission = 0x1023;  // ARCH_REQ_XCOMP_PERM
  constexpr long kTileData = 18;
  return syscall(SYS_arch_prctl, kRequestPermission, kTileData) == 0;
#elif defined(_WIN32)
  return true;
#else
  return false;
#endif
}
#endif

CpuFeatures detect() {
  const auto bit = [](uint32_t word, int index) { return ((word >> index) & 1u) != 0; };
  CpuFeatures features;
  if (cpuid(0, 0).eax < 7) return features;
  const Registers basic = cpuid(1, 0);
  const bool has_xgetbv = bit(basic.ecx, 27);
  if (!has_xgetbv) return features;
  const Registers extended = cpuid(7, 0);
  const uint64_t state = saved_state_mask();
  const bool ymm_saved = (state & 0x06) == 0x06;
  const bool zmm_saved = (state & 0xE6) == 0xE6;
  features.avx2_fma =
      ymm_saved && bit(basic.ecx, 12) && bit(basic.ecx, 28) && bit(basic.ecx, 29) && bit(extended.ebx, 5);
  features.avx512 = features.avx2_fma && zmm_saved && bit(extended.ebx, 16) && bit(extended.ebx, 17) &&
                    bit(extended.ebx, 30) && bit(extended.ebx, 31);
  const Registers further = extended.eax >= 1 ? cpuid(7, 1) : Registers{0, 0, 0, 0};
  features.avx512_bf16 = features.avx512 && bit(further.eax, 5);
#if defined(SIEVE_EMULATE_AMX)
  features.amx_bf16 = features.amx_fp16 = features.avx512;
#else
  const bool tiles_saved = (state & 0x60000) == 0x60000;
  const bool tiles = features.avx512 && tiles_saved && bit(extended.edx, 24) && tile_permission();
  features.amx_bf16 = tiles && bit(extended.edx, 22);
  features.amx_fp16 = tiles && bit(further.eax, 21);
#endif
  return features;
}

#else

CpuFeatures detect() { return CpuFeatures{}; }

#endif

}  // namespace

const CpuFeatures& cpu_features() {
  static const CpuFeatures features = detect();
  return features;
}

}  // namespace sieve
