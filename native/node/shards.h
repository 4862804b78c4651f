// Neighbours in parts, for JavaScript; src/binding/addon.ts declares the signatures.
#pragma once

#include <napi.h>

namespace sieve_node {

Napi::Value NearestNeighbours(const Napi::CallbackInfo& info);
Napi::Value MergeNeighbours(const Napi::CallbackInfo& info);
Napi::Value ScoreNeighbours(const Napi::CallbackInfo& info);

}  // namespace sieve_node
