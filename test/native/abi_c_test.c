/* The header is C99, may be included twice, and its functions can be called from C. */
#include <stdio.h>
#include <string.h>

/* The formatter would drop the second of the two. */
/* clang-format off */
#include "sieve/sieve.h"
#include "sieve/sieve.h"
/* clang-format on */

int main(void) {
  const float features[] = {0.0f, 0.1f, 5.0f, 5.1f, 0.2f};
  const int32_t labels[] = {0, 0, 1, 1, 1};
  sieve_separation_request request;
  sieve_separation_result result;
  sieve_run_options options;
  sieve_error error;
  int64_t nearest[5];
  double per_class[2];
  const int64_t expected[] = {1, 0, 3, 2, 1};
  int i;

  memset(&request, 0, sizeof request);
  memset(&result, 0, sizeof result);
  memset(&options, 0, sizeof options);
  request.features.data = features;
  request.features.rows = 5;
  request.features.columns = 1;
  request.labels = labels;
  request.class_count = 2;
  result.nearest = nearest;
  result.per_class = per_class;
  if (sieve_separation_index(&request, &options, &result, &error) != SIEVE_STATUS_OK) {
    printf("abi_c_test: FAILED: %s\n", error.message);
    return 1;
  }
  for (i = 0; i < 5; ++i) {
    if (nearest[i] != expected[i]) {
      printf("abi_c_test: FAILED: row %d has neighbour %ld\n", i, (long)nearest[i]);
      return 1;
    }
  }
  if (result.value != 0.8 || per_class[0] != 1.0) {
    printf("abi_c_test: FAILED: SI %g, class 0 %g\n", result.value, per_class[0]);
    return 1;
  }
  request.labels = NULL;
  if (sieve_separation_index(&request, &options, &result, &error) != SIEVE_STATUS_INVALID_ARGUMENT ||
      strstr(error.message, "Expected") == NULL) {
    printf("abi_c_test: FAILED: missing labels passed\n");
    return 1;
  }
  for (i = SIEVE_BACKEND_SERIAL; i < SIEVE_BACKEND_COUNT; ++i) {
    if (sieve_backend_available((sieve_backend)i) == 1)
      printf("available: %s\n", sieve_backend_name((sieve_backend)i));
  }
  printf("abi_c_test: passed\n");
  return 0;
}
