// What the CPU and the operating system let us use, asked once.
#ifndef SIEVE_CORE_CPU_FEATURES_H
#define SIEVE_CORE_CPU_FEATURES_H

namespace sieve {

struct CpuFeatures {
  bool avx2_fma = false;  // AVX2 and FMA, ymm state saved by the system
  bool avx512 = false;    // AVX-512 F, BW, DQ, VL, zmm state saved by the system
  bool avx512_bf16 = false;
  // With tiles, and with the system's permission to use them.
  bool amx_bf16 = false;
  bool amx_fp16 = false;
};

const CpuFeatures& cpu_features();

}  // namespace sieve

#endif  // SIEVE_CORE_CPU_FEATURES_H
