// float16 and bfloat16 bits as numbers, by their definition.
#ifndef SIEVE_TEST_HALF_VALUES_H
#define SIEVE_TEST_HALF_VALUES_H

#include <cmath>
#include <cstdint>
#include <cstring>

namespace test {

inline float value_of_float16(uint16_t bits) {
  const int exponent = (bits >> 10) & 31;
  const double mantissa = bits & 1023;
  double value = exponent == 0 ? std::ldexp(mantissa, -24) : std::ldexp(1024 + mantissa, exponent - 25);
  if (exponent == 31) value = mantissa == 0 ? INFINITY : NAN;
  return static_cast<float>((bits & 0x8000) != 0 ? -value : value);
}

inline float value_of_bfloat16(uint16_t bits) {
  const uint32_t wide = static_cast<uint32_t>(bits) << 16;
  float value;
  std::memcpy(&value, &wide, sizeof(value));
  return value;
}

}  // namespace test

#endif  // SIEVE_TEST_HALF_VALUES_H
