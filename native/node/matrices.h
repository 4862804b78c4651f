// Matrices of any element type and row stride, and their labels, as JavaScript passes them.
#pragma once

#include <napi.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "node/arguments.h"
#include "sieve/sieve.h"

namespace sieve_node {

// A matrix in messages, and the keys of the request that say what its elements are.
struct MatrixNames {
  const char* subject;
  const char* element_type;  // "float32" (where absent), "float16" or "bfloat16"
  const char* row_stride;    // in elements; absent: the rows follow each other
};

constexpr MatrixNames kFeatures{"features", "elementType", "rowStride"};
constexpr MatrixNames kReference{"reference", "referenceElementType", "referenceRowStride"};
constexpr MatrixNames kTargets{"targets", "targetElementType", "targetRowStride"};

// A Float32Array, or a Uint16Array of 16-bit floats; pinned, used in place. Without a row stride it has
// exactly rows * columns elements, else at least those from the first row's first to the last row's last.
sieve_matrix ReadMatrix(Pins& pins, Napi::Value array, const MatrixNames& names, Napi::Object request,
                        size_t rows, size_t columns);

using Labels = std::shared_ptr<const std::vector<int32_t>>;

Labels ReadLabels(Napi::Value value, const char* subject, size_t rows);

// sieve_separation_kind
int32_t ReadKind(Napi::Object request);

}  // namespace sieve_node
