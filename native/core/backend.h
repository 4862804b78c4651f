// Which kernels run.
#ifndef SIEVE_CORE_BACKEND_H
#define SIEVE_CORE_BACKEND_H

#include "kernels/center_kernels.h"
#include "kernels/tile_kernels.h"
#include "sieve/sieve.h"

namespace sieve {

// SIEVE_BACKEND_AUTO: the environment variable SIEVE_BACKEND if set and not empty, else the fastest
// available. Throws Failure where the wanted one is unknown or missing.
sieve_backend resolve_backend(sieve_backend requested);

bool backend_available(sieve_backend backend);

// NULL for SIEVE_BACKEND_SERIAL.
const TileKernels* tile_kernels(sieve_backend resolved);

CenterDistances center_distances(sieve_backend resolved);

}  // namespace sieve

#endif  // SIEVE_CORE_BACKEND_H
