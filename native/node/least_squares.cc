#include "node/least_squares.h"

#include <memory>
#include <string>
#include <vector>

#include "node/arguments.h"
#include "node/job.h"
#include "node/run.h"
#include "node/status.h"
#include "sieve/sieve.h"

namespace sieve_node {

namespace {

sieve_patch_geometry ReadGeometry(Napi::Object object) {
  const auto read = [&](const char* key, int32_t minimum) {
    return int64_t{ReadInt32(object, key, minimum)};
  };
  sieve_patch_geometry geometry{};
  geometry.channels = read("channels", 1);
  geometry.height = read("height", 1);
  geometry.width = read("width", 1);
  geometry.kernel_height = read("kernelHeight", 1);
  geometry.kernel_width = read("kernelWidth", 1);
  geometry.stride_height = read("strideHeight", 1);
  geometry.stride_width = read("strideWidth", 1);
  geometry.dilation_height = read("dilationHeight", 1);
  geometry.dilation_width = read("dilationWidth", 1);
  geometry.pad_top = read("padTop", 0);
  geometry.pad_left = read("padLeft", 0);
  geometry.output_height = read("outputHeight", 1);
  geometry.output_width = read("outputWidth", 1);
  geometry.outputs = read("outputs", 1);
  return geometry;
}

struct Batch {
  const float* first;
  size_t sample_stride;
};

// {data, offset, sampleStride} of `samples` samples of `values` values each.
Batch ReadBatch(Pins& pins, Napi::Value value, const char* subject, size_t samples, size_t values) {
  const Napi::Object object = ReadObject(value, subject);
  const Napi::Env env = object.Env();
  const ArrayView<float> data = ReadArray<float>(pins, object.Get("data"), subject);
  const size_t offset = ReadCount(object, "offset");
  const size_t stride = ReadCount(object, "sampleStride");
  if (samples == 0) return {data.data, stride};
  const size_t last = ElementCount(env, {samples - 1, stride}, subject);
  if (offset > data.length || last > data.length - offset || values > data.length - offset - last)
    ThrowRangeError(env, "ERR_SHAPE",
                    std::string("Expected room for ") + std::to_string(samples) + " samples of " +
                        std::to_string(values) + " values for " + subject + " but received " +
                        std::to_string(data.length) + " values");
  return {data.data + offset, stride};
}

// gram, cross and targetSquare with their sizes, as the core's solvers take them.
struct Problem {
  const double* gram;
  const double* cross;
  const double* target_square;
  size_t regressors;
  size_t outputs;
};

Problem ReadProblem(Pins& pins, Napi::Object object) {
  const Napi::Env env = object.Env();
  Problem problem{};
  problem.regressors = ReadCount(object, "regressors", 1);
  problem.outputs = ReadCount(object, "outputs", 1);
  problem.gram = ReadArray<double>(pins, object.Get("gram"), "gram",
                                   ElementCount(env, {problem.regressors, problem.regressors}, "gram"));
  problem.cross = ReadArray<double>(pins, object.Get("cross"), "cross",
                                    ElementCount(env, {problem.regressors, problem.outputs}, "cross"));
  problem.target_square =
      ReadArray<double>(pins, object.Get("targetSquare"), "targetSquare", problem.outputs);
  return problem;
}

}  // namespace

Napi::Value AccumulateMoments(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  Pins pins(env);
  const size_t samples = ReadCountValue(info[2], "samples");
  const sieve_patch_geometry geometry = ReadGeometry(ReadObject(info[3], "geometry"));
  const auto size = [](int64_t value) { return static_cast<size_t>(value); };
  const size_t outputs = size(geometry.outputs);
  const Batch input = ReadBatch(
      pins, info[0], "input", samples,
      ElementCount(env, {size(geometry.channels), size(geometry.height), size(geometry.width)}, "input"));
  const Batch target = ReadBatch(
      pins, info[1], "target", samples,
      ElementCount(env, {outputs, size(geometry.output_height), size(geometry.output_width)}, "target"));

  const Napi::Object arrays = ReadObject(info[4], "moments");
  const size_t regressors =
      ElementCount(env, {size(geometry.channels), size(geometry.kernel_height), size(geometry.kernel_width)},
                   "gram") +
      1;
  const auto moments = std::make_shared<sieve_moments>();
  moments->gram = ReadArray<double>(pins, arrays.Get("gram"), "gram",
                                    ElementCount(env, {regressors, regressors}, "gram"));
  moments->cross = ReadArray<double>(pins, arrays.Get("cross"), "cross",
                                     ElementCount(env, {regressors, outputs}, "cross"));
  moments->target_square = ReadArray<double>(pins, arrays.Get("targetSquare"), "targetSquare", outputs);
  return StartJob(
      env, info[5], pins,
      [input, target, samples, geometry, moments](const sieve_run_options& run, sieve_error* error) {
        return sieve_moments_accumulate(input.first, input.sample_stride, target.first, target.sample_stride,
                                        samples, &geometry, &run, moments.get(), error);
      },
      [moments](Napi::Env result_env) -> Napi::Value {
        return Napi::Number::New(result_env, static_cast<double>(moments->count));
      });
}

Napi::Value RidgeSolve(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  Pins pins(env);
  const Napi::Object object = ReadObject(info[0], "problem");
  const Problem problem = ReadProblem(pins, object);
  const auto active = CopyInt32Array<int64_t>(object.Get("active"), "active");
  const double ridge = ReadNumber(object, "ridge");
  const size_t weight_count = ElementCount(env, {active->size(), problem.outputs}, "weights");
  const double* prior = ReadOptionalArray<double>(pins, object.Get("prior"), "prior", weight_count);
  double* weights = ReadArray<double>(pins, info[1], "weights", weight_count);
  double* residual = ReadOptionalArray<double>(pins, info[2], "residual", problem.outputs);
  return StartJob(
      env, info[3], pins,
      [problem, active, ridge, prior, weights, residual](const sieve_run_options& run, sieve_error* error) {
        return sieve_ridge_solve(problem.gram, problem.cross, problem.target_square, problem.regressors,
                                 problem.outputs, active->data(), active->size(), ridge, prior, &run, weights,
                                 residual, error);
      },
      Nothing);
}

Napi::Value MomentsResidual(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  Pins pins(env);
  const Problem problem = ReadProblem(pins, ReadObject(info[0], "problem"));
  const double* weights = ReadArray<double>(
      pins, info[1], "weights", ElementCount(env, {problem.regressors, problem.outputs}, "weights"));
  double* residual = ReadArray<double>(pins, info[2], "residual", problem.outputs);
  return StartJob(
      env, info[3], pins,
      [problem, weights, residual](const sieve_run_options& run, sieve_error* error) {
        return sieve_moments_residual(problem.gram, problem.cross, problem.target_square, problem.regressors,
                                      problem.outputs, weights, &run, residual, error);
      },
      Nothing);
}

Napi::Value EliminateUnits(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  Pins pins(env);
  if (!info[0].IsArray())
    ThrowTypeError(env, "ERR_OPTION", "Expected an array for problems but received something else");
  const Napi::Array list = info[0].As<Napi::Array>();
  const size_t units = ReadCountValue(info[1], "units");

  struct Owned {
    std::shared_ptr<const std::vector<int64_t>> members;
    IndexLists lists;
  };
  std::vector<Owned> owned;
  std::vector<sieve_elimination_problem> problems;
  for (uint32_t i = 0; i < list.Length(); ++i) {
    const Napi::Object object = ReadObject(list.Get(i), "a problem");
    const Problem problem = ReadProblem(pins, object);
    const auto members = CopyInt32Array<int64_t>(object.Get("members"), "members");
    const IndexLists lists = ReadOffsets(object.Get("offsets"), members->size());
    if (lists.count() != units) ThrowLength(env, "offsets", units + 1, lists.count() + 1);
    problems.push_back({problem.gram, problem.cross, problem.target_square, problem.regressors,
                        problem.outputs, members->data(), lists.offsets->data()});
    owned.push_back({members, lists});
  }
  const double ridge = ReadNumberValue(info[2], "ridge");
  int32_t* order = ReadArray<int32_t>(pins, info[3], "order", units);
  double* error_after = ReadArray<double>(pins, info[4], "errorAfter", units);
  return StartJob(
      env, info[5], pins,
      [owned, problems, units, ridge, order, error_after](const sieve_run_options& run, sieve_error* error) {
        return sieve_eliminate_units(problems.data(), problems.size(), units, ridge, &run, order, error_after,
                                     error);
      },
      Nothing);
}

}  // namespace sieve_node
