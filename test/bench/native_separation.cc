// Measures sieve_separation_index on made data, as one trial in its own process.
//   native_separation ROWS DIMS KIND BACKEND [THREADS] [REPEATS] [SEED]
// KIND: random (uniform, 10 random labels), clustered (100 Gaussian blobs, label = blob modulo 10), or
// file:PATH with ROWS*DIMS float32 and then ROWS int32 labels from 0 to 9. Prints one JSON line a repeat: CPU
// and wall seconds of the call, GFLOP/s of CPU time as 2*rows^2*dims / seconds (what a full distance matrix
// would take), and how far the process's memory peak rose above the input.
#include <sys/resource.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <random>
#include <string>
#include <vector>

#include "sieve/sieve.h"

namespace {

double cpu_seconds() {
  rusage usage;
  getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& t) {
    return static_cast<double>(t.tv_sec) + 1e-6 * static_cast<double>(t.tv_usec);
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

// The peak since this program started. (ru_maxrss would start from the parent's.) 0 where /proc is missing.
double peak_mebibytes() {
  std::FILE* status = std::fopen("/proc/self/status", "r");
  if (status == nullptr) return 0;
  char line[256];
  double kibibytes = 0;
  while (std::fgets(line, sizeof(line), status) != nullptr) {
    if (std::sscanf(line, "VmHWM: %lf", &kibibytes) == 1) break;
  }
  std::fclose(status);
  return kibibytes / 1024.0;
}

struct Data {
  std::vector<float> features;
  std::vector<int32_t> labels;
};

Data make_data(size_t rows, size_t dims, const std::string& kind, unsigned seed) {
  Data data{std::vector<float>(rows * dims), std::vector<int32_t>(rows)};
  if (kind.rfind("file:", 0) == 0) {
    std::FILE* file = std::fopen(kind.c_str() + 5, "rb");
    if (file == nullptr ||
        std::fread(data.features.data(), sizeof(float), rows * dims, file) != rows * dims ||
        std::fread(data.labels.data(), sizeof(int32_t), rows, file) != rows) {
      std::fprintf(stderr, "Expected %zu x %zu float32 and the labels in %s\n", rows, dims, kind.c_str() + 5);
      std::exit(1);
    }
    std::fclose(file);
    return data;
  }
  std::mt19937 random(seed);
  if (kind == "random") {
    std::uniform_real_distribution<float> uniform(0.0f, 1.0f);
    for (float& value : data.features) value = uniform(random);
    for (int32_t& label : data.labels) label = static_cast<int32_t>(random() % 10);
    return data;
  }
  constexpr size_t kBlobs = 100;
  std::normal_distribution<float> normal(0.0f, 1.0f);
  std::vector<float> centers(kBlobs * dims);
  for (float& value : centers) value = normal(random);
  for (size_t row = 0; row < rows; ++row) {
    const size_t blob = random() % kBlobs;
    data.labels[row] = static_cast<int32_t>(blob % 10);
    for (size_t k = 0; k < dims; ++k) {
      data.features[row * dims + k] = centers[blob * dims + k] + 0.5f * normal(random);
    }
  }
  return data;
}

int32_t backend_of(const char* name) {
  for (int32_t backend = SIEVE_BACKEND_AUTO; backend <= SIEVE_BACKEND_AVX512; ++backend) {
    if (std::strcmp(name, sieve_backend_name(static_cast<sieve_backend>(backend))) == 0) return backend;
  }
  std::fprintf(stderr, "Expected serial, avx2, avx512 or auto for BACKEND but received %s\n", name);
  std::exit(2);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 5) {
    std::fprintf(stderr, "Usage: %s ROWS DIMS random|clustered BACKEND [THREADS] [REPEATS] [SEED]\n",
                 argv[0]);
    return 2;
  }
  const size_t rows = std::strtoull(argv[1], nullptr, 10), dims = std::strtoull(argv[2], nullptr, 10);
  const std::string kind = argv[3];
  sieve_run_options options{};
  options.backend = backend_of(argv[4]);
  options.threads = argc > 5 ? std::atoi(argv[5]) : 0;
  const int repeats = argc > 6 ? std::atoi(argv[6]) : 1;
  const Data data = make_data(rows, dims, kind, argc > 7 ? static_cast<unsigned>(std::atoi(argv[7])) : 1u);

  sieve_separation_request request{};
  request.features = {data.features.data(), rows, dims, 0};
  request.labels = data.labels.data();
  request.class_count = 10;
  const double before_mebibytes = peak_mebibytes();
  for (int repeat = 0; repeat < repeats; ++repeat) {
    sieve_separation_result result{};
    sieve_error error{};
    const double cpu = cpu_seconds();
    const auto wall = std::chrono::steady_clock::now();
    if (sieve_separation_index(&request, &options, &result, &error) != SIEVE_STATUS_OK) {
      std::fprintf(stderr, "%s\n", error.message);
      return 1;
    }
    const double cpu_taken = cpu_seconds() - cpu;
    const double wall_taken = std::chrono::duration<double>(std::chrono::steady_clock::now() - wall).count();
    std::printf(
        "{\"kernel\":\"si\",\"backend\":\"%s\",\"rows\":%zu,\"dims\":%zu,\"data\":\"%s\",\"si\":%.6f,"
        "\"cpuSeconds\":%.4f,\"wallSeconds\":%.4f,\"gflops\":%.1f,\"peakBeyondInputMiB\":%.1f,\"inputMiB\":%."
        "1f}\n",
        sieve_backend_name(static_cast<sieve_backend>(result.backend)), rows, dims, kind.c_str(),
        result.value, cpu_taken, wall_taken,
        2.0 * static_cast<double>(rows) * static_cast<double>(rows) * static_cast<double>(dims) / cpu_taken *
            1e-9,
        peak_mebibytes() - before_mebibytes, static_cast<double>(rows * dims * sizeof(float)) / 1048576.0);
    std::fflush(stdout);
  }
  return 0;
}
