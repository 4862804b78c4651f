// Which kernels run.
#ifndef SIEVE_CORE_BACKEND_H
#define SIEVE_CORE_BACKEND_H

#include "kernels/center_kernels.h"
#include "kernels/decode_kernels.h"
#include "kernels/gather_kernels.h"
#include "kernels/rounded_kernels.h"
#include "kernels/row_kernels.h"
#include "kernels/tile_kernels.h"
#include "sieve/sieve.h"

namespace sieve {

// SIEVE_BACKEND_AUTO: the environment variable SIEVE_BACKEND if set and not empty, else the fastest
// available. Throws Failure where the wanted one is unknown or missing.
sieve_backend resolve_backend(sieve_backend requested);

bool backend_available(sieve_backend backend);

// The backend of the same processor that works in float32 and float64 only: AVX-512 for those that round to
// 16 bits, else the same.
sieve_backend float32_backend(sieve_backend resolved);

// NULL for SIEVE_BACKEND_SERIAL. Backends that round to 16 bits have those of AVX-512.
const TileKernels* tile_kernels(sieve_backend resolved);

// NULL for the backends that work in float32 only.
const RoundedKernels* rounded_kernels(sieve_backend resolved);

const CenterKernels& center_kernels(sieve_backend resolved);

const RowKernels& row_kernels(sieve_backend resolved);

// NULL for SIEVE_BACKEND_SERIAL.
GatherDistances gather_distances(sieve_backend resolved);

// NULL for float32, which needs none.
DecodeHalf element_decoder(sieve_element_type type, sieve_backend resolved);

}  // namespace sieve

#endif  // SIEVE_CORE_BACKEND_H
