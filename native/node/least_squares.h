// Least squares of linear layers for JavaScript; src/binding/addon.ts declares the signatures.
#pragma once

#include <napi.h>

namespace sieve_node {

Napi::Value AccumulateMoments(const Napi::CallbackInfo& info);
Napi::Value RidgeSolve(const Napi::CallbackInfo& info);
Napi::Value MomentsResidual(const Napi::CallbackInfo& info);
Napi::Value EliminateUnits(const Napi::CallbackInfo& info);

}  // namespace sieve_node
