#include "core/cpu_features.h"

#include <cstdint>

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
  features.avx512_bf16 = features.avx512 && extended.eax >= 1 && bit(cpuid(7, 1).eax, 5);
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
