#include "kernels/pair_kernels.h"

namespace sieve {
namespace {

#include "kernels/pair_body.h"

}  // namespace

const PairKernels* pair_kernels_serial() { return &kTable; }

}  // namespace sieve
