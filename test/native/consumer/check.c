/* What every C consumer runs: known indices and an error, from strict C99, with the header included twice. */
#include <stdio.h>
#include <string.h>

/* The formatter would drop the second of the two. */
/* clang-format off */
#include <sieve/sieve.h>
#include <sieve/sieve.h>
/* clang-format on */

#if defined(SIEVE_STATIC) != EXPECTED_STATIC
#error "SIEVE_STATIC has to be defined for the static library, and only for that"
#endif

#define ROWS 5

static int failures = 0;

static void expect(int holds, const char* what) {
  if (holds) return;
  printf("FAILED: %s\n", what);
  ++failures;
}

int main(void) {
  /* The nearest neighbours are 1, 0, 3, 2, 1; the class means 0.05 and 3.43. Row 4 is wrong by both. */
  float features[ROWS] = {0.0f, 0.1f, 5.0f, 5.1f, 0.2f};
  int32_t labels[ROWS] = {0, 0, 1, 1, 1};
  const float zero = 0.0f;
  double separation_per_class[2], center_per_class[2];
  sieve_separation_request request;
  sieve_separation_result separation;
  sieve_center_result center;
  sieve_error error;

  memset(&request, 0, sizeof request);
  request.features.data = features;
  request.features.rows = ROWS;
  request.features.columns = 1;
  request.labels = labels;
  request.class_count = 2;
  memset(&separation, 0, sizeof separation);
  separation.per_class = separation_per_class;
  memset(&center, 0, sizeof center);
  center.per_class = center_per_class;

  expect(strcmp(sieve_version_string(), EXPECTED_VERSION) == 0,
         "the version of the package is that of the library");
  expect(sieve_separation_index(&request, NULL, &separation, &error) == SIEVE_STATUS_OK, "SI is computed");
  expect(separation.value == 0.8, "SI is 0.8");
  expect(separation_per_class[0] == 1.0 && separation_per_class[1] == 2.0 / 3.0, "SI per class is 1 and 2/3");
  expect(sieve_center_separation_index(&request, NULL, &center, &error) == SIEVE_STATUS_OK,
         "CSI is computed");
  expect(center.value == 0.8, "CSI is 0.8");
  expect(center_per_class[0] == 1.0 && center_per_class[1] == 2.0 / 3.0, "CSI per class is 1 and 2/3");

  labels[3] = 2;
  expect(sieve_separation_index(&request, NULL, &separation, &error) == SIEVE_STATUS_INVALID_LABEL,
         "a label out of range is refused");
  expect(error.status == SIEVE_STATUS_INVALID_LABEL && error.row == 3, "the error names its row");
  expect(strncmp(error.message, "Expected ", 9) == 0, "the error says what was expected");
  labels[3] = 1;
  features[2] = zero / zero;
  expect(sieve_center_separation_index(&request, NULL, &center, &error) == SIEVE_STATUS_NON_FINITE &&
             error.row == 2,
         "NaN is refused with its row");

  if (failures == 0) printf("sieve %s: passed\n", sieve_version_string());
  return failures == 0 ? 0 : 1;
}
