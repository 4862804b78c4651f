#include "kernels/center_kernels.h"

namespace sieve {
namespace {
#include "kernels/center_body.h"
}  // namespace

CenterDistances center_distances_serial() { return center_distances; }

}  // namespace sieve
