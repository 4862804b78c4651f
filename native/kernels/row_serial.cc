#include "kernels/row_kernels.h"

namespace sieve {
namespace {

struct Lanes {
  using Register = double;
  static constexpr size_t kWidth = 1;
  static Register zero() { return 0.0; }
  static Register load(const float* at) { return *at; }
  static Register add(Register a, Register b) { return a + b; }
  static Register subtract(Register a, Register b) { return a - b; }
  static Register multiply_add(Register a, Register b, Register c) { return a * b + c; }
  static double sum(Register a) { return a; }
};

#include "kernels/row_body.h"

}  // namespace

const RowKernels* row_kernels_serial() { return &kRows; }

}  // namespace sieve
