#include "node/matrices.h"

#include <string>

#include "node/status.h"

namespace sieve_node {

namespace {

int32_t ReadElementType(Napi::Object request, const char* key) {
  if (request.Get(key).IsUndefined()) return SIEVE_ELEMENT_FLOAT32;
  return ReadChoice(request, key,
                    {{"float32", SIEVE_ELEMENT_FLOAT32},
                     {"float16", SIEVE_ELEMENT_FLOAT16},
                     {"bfloat16", SIEVE_ELEMENT_BFLOAT16}});
}

}  // namespace

sieve_matrix ReadMatrix(Pins& pins, Napi::Value array, const MatrixNames& names, Napi::Object request,
                        size_t rows, size_t columns) {
  const Napi::Env env = request.Env();
  const int32_t element_type = ReadElementType(request, names.element_type);
  const RawArray raw = ReadRawArray(
      array, element_type == SIEVE_ELEMENT_FLOAT32 ? napi_float32_array : napi_uint16_array, names.subject);
  pins.Add(array);
  const bool dense = request.Get(names.row_stride).IsUndefined();
  const size_t stride = dense ? columns : ReadCount(request, names.row_stride, 1);
  if (stride < columns) {
    ThrowRangeError(env, "ERR_SHAPE",
                    "Expected at least " + std::to_string(columns) + " for " + names.row_stride +
                        " but received " + std::to_string(stride));
  }
  const size_t before_last = ElementCount(env, {rows == 0 ? 0 : rows - 1, stride}, names.subject);
  const size_t needed = rows == 0 ? 0 : before_last + columns;
  if (dense && raw.length != needed) ThrowLength(env, names.subject, needed, raw.length);
  if (raw.length < needed) {
    ThrowRangeError(env, "ERR_SHAPE",
                    "Expected a length of at least " + std::to_string(needed) + " for " + names.subject +
                        " but received " + std::to_string(raw.length));
  }
  return {raw.data, rows, columns, stride, element_type};
}

Labels ReadLabels(Napi::Value value, const char* subject, size_t rows) {
  const Labels labels = CopyInt32Array<int32_t>(value, subject);
  if (labels->size() != rows) ThrowLength(value.Env(), subject, rows, labels->size());
  return labels;
}

int32_t ReadKind(Napi::Object request) {
  return ReadChoice(
      request, "kind",
      {{"hard", SIEVE_SEPARATION_HARD}, {"soft", SIEVE_SEPARATION_SOFT}, {"anti", SIEVE_SEPARATION_ANTI}});
}

}  // namespace sieve_node
