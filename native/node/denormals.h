// Denormal numbers of the calling thread.
#pragma once

#include <napi.h>

namespace sieve_node {

// () -> boolean. From now on the calling thread reads and writes denormals as zero, until it ends; threads
// that it starts may inherit that. false where the processor has no such mode. What ONNX Runtime offers for
// this (session.set_denormal_as_zero) reaches the threads it starts, but the calling one only for the first
// session of the process.
Napi::Value FlushDenormals(const Napi::CallbackInfo& info);

}  // namespace sieve_node
