// The end of the process.
#pragma once

#include <napi.h>

namespace sieve_node {

// (code: 0 .. 255) -> never. Ends the process at once with this exit code: no JavaScript, destructor or
// `atexit` function runs any more, and no other thread is waited for. Node's own exit waits until worker
// threads have left native code; one that leaves ONNX Runtime for a stopped thread aborts the process.
Napi::Value ExitNow(const Napi::CallbackInfo& info);

}  // namespace sieve_node
