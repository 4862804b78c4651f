// The separation indices for JavaScript; src/binding/addon.ts declares the signatures.
#pragma once

#include <napi.h>

namespace sieve_node {

Napi::Value SeparationIndex(const Napi::CallbackInfo& info);
Napi::Value CrossSeparationIndex(const Napi::CallbackInfo& info);
Napi::Value CenterSeparationIndex(const Napi::CallbackInfo& info);
Napi::Value SmoothnessIndex(const Napi::CallbackInfo& info);
Napi::Value FilterSeparation(const Napi::CallbackInfo& info);
Napi::Value SubsetSeparation(const Napi::CallbackInfo& info);
Napi::Value SelectFilters(const Napi::CallbackInfo& info);

}  // namespace sieve_node
