// What every C++ consumer runs.
#include <cstdio>
#include <string>
#include <vector>

/* clang-format off */
#include <sieve/sieve.h>
#include <sieve/sieve.h>
/* clang-format on */

#if defined(SIEVE_STATIC) != EXPECTED_STATIC
#error "SIEVE_STATIC has to be defined for the static library, and only for that"
#endif

int main() {
  const std::vector<float> features = {0.0f, 0.1f, 5.0f, 5.1f, 0.2f};
  const std::vector<int32_t> labels = {0, 0, 1, 1, 1};
  sieve_separation_request request{};
  request.features.data = features.data();
  request.features.rows = features.size();
  request.features.columns = 1;
  request.labels = labels.data();
  request.class_count = 2;

  sieve_separation_result separation{};
  sieve_center_result center{};
  sieve_error error{};
  const bool is_computed =
      sieve_separation_index(&request, nullptr, &separation, &error) == SIEVE_STATUS_OK &&
      sieve_center_separation_index(&request, nullptr, &center, &error) == SIEVE_STATUS_OK &&
      separation.value == 0.8 && center.value == 0.8 &&
      sieve_version_string() == std::string(EXPECTED_VERSION);

  request.features.data = nullptr;
  const bool is_refused =
      sieve_separation_index(&request, nullptr, &separation, &error) == SIEVE_STATUS_INVALID_ARGUMENT &&
      std::string(error.message).find("Expected") == 0;

  std::printf("SI %g, CSI %g, error \"%s\": %s\n", separation.value, center.value, error.message,
              is_computed && is_refused ? "passed" : "FAILED");
  return is_computed && is_refused ? 0 : 1;
}
