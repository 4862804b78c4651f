#include "core/backend.h"

#include <cstdlib>
#include <cstring>
#include <string>

#include "core/cpu_features.h"
#include "core/failure.h"

// The files of an instruction set are in the build of its processor only.
#if defined(__x86_64__) || defined(_M_X64)
#define SIEVE_X86_64 1
#elif defined(__aarch64__) || defined(_M_ARM64)
#define SIEVE_ARM64 1
#endif

namespace sieve {
namespace {

struct BackendName {
  sieve_backend backend;
  const char* name;
};

constexpr BackendName kNames[] = {{SIEVE_BACKEND_AUTO, "auto"},
                                  {SIEVE_BACKEND_SERIAL, "serial"},
                                  {SIEVE_BACKEND_AVX2, "avx2"},
                                  {SIEVE_BACKEND_AVX512, "avx512"},
                                  {SIEVE_BACKEND_AVX512_BF16, "avx512-bf16"},
                                  {SIEVE_BACKEND_AMX_BF16, "amx-bf16"},
                                  {SIEVE_BACKEND_AMX_FP16, "amx-fp16"},
                                  {SIEVE_BACKEND_NEON, "neon"}};

// Best first.
constexpr sieve_backend kBySpeed[] = {SIEVE_BACKEND_AMX_FP16,    SIEVE_BACKEND_AMX_BF16,
                                      SIEVE_BACKEND_AVX512_BF16, SIEVE_BACKEND_AVX512,
                                      SIEVE_BACKEND_AVX2,        SIEVE_BACKEND_NEON};

sieve_backend fastest() {
  for (const sieve_backend backend : kBySpeed) {
    if (backend_available(backend)) return backend;
  }
  return SIEVE_BACKEND_SERIAL;
}

sieve_backend from_environment() {
  const char* wanted = std::getenv("SIEVE_BACKEND");
  if (wanted == nullptr || *wanted == '\0') return SIEVE_BACKEND_AUTO;
  for (const BackendName& entry : kNames) {
    if (std::strcmp(entry.name, wanted) == 0) return entry.backend;
  }
  std::string names;
  for (const BackendName& entry : kNames) names += std::string(names.empty() ? "" : ", ") + entry.name;
  expected(SIEVE_STATUS_UNSUPPORTED_BACKEND, "one of " + names, "the environment variable SIEVE_BACKEND",
           wanted);
}

}  // namespace

bool backend_available(sieve_backend backend) {
  switch (backend) {
    case SIEVE_BACKEND_AUTO:
    case SIEVE_BACKEND_SERIAL:
      return true;
    case SIEVE_BACKEND_AVX2:
      return cpu_features().avx2_fma && tile_kernels(backend) != nullptr;
    case SIEVE_BACKEND_AVX512:
      return cpu_features().avx512 && tile_kernels(backend) != nullptr;
    case SIEVE_BACKEND_AVX512_BF16:
      return cpu_features().avx512_bf16 && tile_kernels(backend) != nullptr &&
             rounded_kernels(backend) != nullptr;
    case SIEVE_BACKEND_AMX_BF16:
      return cpu_features().amx_bf16 && tile_kernels(backend) != nullptr &&
             rounded_kernels(backend) != nullptr;
    case SIEVE_BACKEND_AMX_FP16:
      return cpu_features().amx_fp16 && tile_kernels(backend) != nullptr &&
             rounded_kernels(backend) != nullptr;
    case SIEVE_BACKEND_NEON:  // every CPU that an arm64 build runs on has it
      return tile_kernels(backend) != nullptr;
  }
  return false;
}

sieve_backend resolve_backend(sieve_backend requested) {
  const sieve_backend wanted = requested == SIEVE_BACKEND_AUTO ? from_environment() : requested;
  if (wanted == SIEVE_BACKEND_AUTO) return fastest();
  if (!backend_available(wanted)) {
    expected(SIEVE_STATUS_UNSUPPORTED_BACKEND, "a backend that this build and this CPU have", "the backend",
             sieve_backend_name(wanted));
  }
  return wanted;
}

sieve_backend float32_backend(sieve_backend resolved) {
  const bool rounds = resolved == SIEVE_BACKEND_AVX512_BF16 || resolved == SIEVE_BACKEND_AMX_BF16 ||
                      resolved == SIEVE_BACKEND_AMX_FP16;
  return rounds ? SIEVE_BACKEND_AVX512 : resolved;
}

const TileKernels* tile_kernels(sieve_backend resolved) {
#if defined(SIEVE_X86_64)
  const sieve_backend backend = float32_backend(resolved);
  if (backend == SIEVE_BACKEND_AVX2) return tile_kernels_avx2();
  if (backend == SIEVE_BACKEND_AVX512) return tile_kernels_avx512();
#elif defined(SIEVE_ARM64)
  if (resolved == SIEVE_BACKEND_NEON) return tile_kernels_neon();
#endif
  static_cast<void>(resolved);
  return nullptr;
}

const RoundedKernels* rounded_kernels(sieve_backend resolved) {
#if defined(SIEVE_X86_64)
  if (resolved == SIEVE_BACKEND_AVX512_BF16) return rounded_kernels_avx512_bf16();
  if (resolved == SIEVE_BACKEND_AMX_BF16) return rounded_kernels_amx_bf16();
  if (resolved == SIEVE_BACKEND_AMX_FP16) return rounded_kernels_amx_fp16();
#endif
  static_cast<void>(resolved);
  return nullptr;
}

const CenterKernels& center_kernels(sieve_backend resolved) {
#if defined(SIEVE_X86_64)
  const sieve_backend backend = float32_backend(resolved);
  if (backend == SIEVE_BACKEND_AVX2) return *center_kernels_avx2();
  if (backend == SIEVE_BACKEND_AVX512) return *center_kernels_avx512();
#elif defined(SIEVE_ARM64)
  if (resolved == SIEVE_BACKEND_NEON) return *center_kernels_neon();
#endif
  static_cast<void>(resolved);
  return *center_kernels_serial();
}

const RowKernels& row_kernels(sieve_backend resolved) {
#if defined(SIEVE_X86_64)
  const sieve_backend backend = float32_backend(resolved);
  if (backend == SIEVE_BACKEND_AVX2) return *row_kernels_avx2();
  if (backend == SIEVE_BACKEND_AVX512) return *row_kernels_avx512();
#elif defined(SIEVE_ARM64)
  if (resolved == SIEVE_BACKEND_NEON) return *row_kernels_neon();
#endif
  static_cast<void>(resolved);
  return *row_kernels_serial();
}

GatherDistances gather_distances(sieve_backend resolved) {
  if (resolved == SIEVE_BACKEND_SERIAL) return nullptr;
#if defined(SIEVE_X86_64)
  return float32_backend(resolved) == SIEVE_BACKEND_AVX2 ? gather_distances_avx2()
                                                         : gather_distances_avx512();
#else
  return gather_distances_serial();
#endif
}

DecodeHalf element_decoder(sieve_element_type type, sieve_backend resolved) {
  if (type == SIEVE_ELEMENT_FLOAT32) return nullptr;
  const DecodeKernels* kernels = decode_kernels_serial();
#if defined(SIEVE_X86_64)
  const sieve_backend backend = float32_backend(resolved);
  if (backend == SIEVE_BACKEND_AVX2) kernels = decode_kernels_avx2();
  if (backend == SIEVE_BACKEND_AVX512) kernels = decode_kernels_avx512();
#elif defined(SIEVE_ARM64)
  if (resolved == SIEVE_BACKEND_NEON) kernels = decode_kernels_neon();
#endif
  static_cast<void>(resolved);
  return type == SIEVE_ELEMENT_FLOAT16 ? kernels->float16 : kernels->bfloat16;
}

}  // namespace sieve

extern "C" {

const char* sieve_version_string(void) {
#define SIEVE_TEXT_OF(value) #value
#define SIEVE_TEXT(value) SIEVE_TEXT_OF(value)
  return SIEVE_TEXT(SIEVE_VERSION_MAJOR) "." SIEVE_TEXT(SIEVE_VERSION_MINOR) "." SIEVE_TEXT(
      SIEVE_VERSION_PATCH);
#undef SIEVE_TEXT
#undef SIEVE_TEXT_OF
}

const char* sieve_status_name(sieve_status status) {
  switch (status) {
    case SIEVE_STATUS_OK:
      return "OK";
    case SIEVE_STATUS_INVALID_ARGUMENT:
      return "INVALID_ARGUMENT";
    case SIEVE_STATUS_INVALID_LABEL:
      return "INVALID_LABEL";
    case SIEVE_STATUS_NON_FINITE:
      return "NON_FINITE";
    case SIEVE_STATUS_OUT_OF_MEMORY:
      return "OUT_OF_MEMORY";
    case SIEVE_STATUS_CANCELLED:
      return "CANCELLED";
    case SIEVE_STATUS_UNSUPPORTED_BACKEND:
      return "UNSUPPORTED_BACKEND";
    case SIEVE_STATUS_NOT_POSITIVE_DEFINITE:
      return "NOT_POSITIVE_DEFINITE";
    case SIEVE_STATUS_INTERNAL:
      return "INTERNAL";
  }
  return "UNKNOWN";
}

const char* sieve_backend_name(sieve_backend backend) {
  for (const sieve::BackendName& entry : sieve::kNames) {
    if (entry.backend == backend) return entry.name;
  }
  return "unknown";
}

int sieve_backend_available(sieve_backend backend) { return sieve::backend_available(backend) ? 1 : 0; }

sieve_status sieve_backend_resolve(sieve_backend requested, sieve_backend* resolved, sieve_error* error) {
  return sieve::guarded(error, [&] {
    sieve::require(resolved != nullptr, "a pointer", "resolved", "NULL");
    *resolved = sieve::resolve_backend(requested);
  });
}

}  // extern "C"
