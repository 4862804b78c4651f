#include "node/denormals.h"

#include <cstdint>

#if defined(__x86_64__) || defined(_M_X64)
#include <xmmintrin.h>
#elif defined(_M_ARM64)
#include <intrin.h>
#endif

namespace sieve_node {

namespace {

bool SetFlushMode() {
#if defined(__x86_64__) || defined(_M_X64)
  constexpr unsigned int kFlushToZero = 0x8000;
  constexpr unsigned int kDenormalsAreZero = 0x0040;
  _mm_setcsr(_mm_getcsr() | kFlushToZero | kDenormalsAreZero);
  return true;
#elif defined(__aarch64__)
  constexpr uint64_t kFlushToZero = uint64_t{1} << 24;
  uint64_t control = 0;
  __asm__ __volatile__("mrs %0, fpcr" : "=r"(control));
  __asm__ __volatile__("msr fpcr, %0" : : "r"(control | kFlushToZero));
  return true;
#elif defined(_M_ARM64)
  constexpr int64_t kFlushToZero = int64_t{1} << 24;
  _WriteStatusReg(ARM64_FPCR, _ReadStatusReg(ARM64_FPCR) | kFlushToZero);
  return true;
#else
  return false;
#endif
}

}  // namespace

Napi::Value FlushDenormals(const Napi::CallbackInfo& info) {
  return Napi::Boolean::New(info.Env(), SetFlushMode());
}

}  // namespace sieve_node
