#include "workload.h"

#include <cstdio>
#include <memory>
#include <random>
#include <stdexcept>

namespace sieve_bench {
namespace {

constexpr size_t kBlobs = 100;
constexpr float kBlobDeviation = 0.5f;

void read(Workload& workload, const std::string& path) {
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(std::fopen(path.c_str(), "rb"), &std::fclose);
  const auto read_all = [&](auto& values) {
    return std::fread(values.data(), sizeof(values[0]), values.size(), file.get()) == values.size();
  };
  if (file == nullptr || !read_all(workload.features) || !read_all(workload.labels)) {
    throw std::runtime_error("Expected " + std::to_string(workload.rows) + " x " +
                             std::to_string(workload.dims) +
                             " float32 and the labels for the data but received " + path);
  }
  for (const int32_t label : workload.labels) {
    if (label < 0 || label >= kClasses) throw std::runtime_error("Expected labels from 0 to 9 in " + path);
  }
}

}  // namespace

void fill(Workload& workload, const std::string& source, unsigned seed) {
  workload.features.resize(workload.rows * workload.dims);
  workload.labels.resize(workload.rows);
  if (source != "random" && source != "clustered") return read(workload, source);

  std::mt19937 random(seed);
  std::uniform_real_distribution<float> uniform(0.0f, 1.0f);
  std::normal_distribution<float> normal(0.0f, 1.0f);
  std::vector<float> centers(source == "clustered" ? kBlobs * workload.dims : 0);
  for (float& value : centers) value = normal(random);
  for (size_t row = 0; row < workload.rows; ++row) {
    const size_t blob = random() % kBlobs;
    workload.labels[row] = static_cast<int32_t>(blob % kClasses);
    float* values = workload.features.data() + row * workload.dims;
    for (size_t k = 0; k < workload.dims; ++k) {
      values[k] = centers.empty() ? uniform(random)
                                  : centers[blob * workload.dims + k] + kBlobDeviation * normal(random);
    }
  }
}

}  // namespace sieve_bench
