/*
 * npy_separation_index FEATURES.npy LABELS.npy
 *
 * Prints the Separation Index and the center-based one, of all samples and of each class.
 * FEATURES: float32 or float16, [rows, ...]; everything after the first dimension is one feature vector.
 * LABELS: int32 or int64, [rows], class ids from 0.
 * Exit codes: 0 done, 1 the files can not be used (one line on stderr says why), 2 wrong usage.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "npy.h"
#include "sieve/sieve.h"

/* A wrong label should be told, not answered with gigabytes of empty classes. */
#define MAX_CLASSES 65536

typedef struct samples {
  npy_array features; /* [rows, ...] */
  npy_array ids;      /* [rows] */
  int32_t* labels;    /* the ids as the library takes them */
  size_t rows;
  int32_t class_count;
} samples;

/* The functions below return 1, or 0 with the reason on stderr. */

static int has_expected_types(const samples* input) {
  const npy_type features = input->features.type, ids = input->ids.type;
  if (features != NPY_FLOAT32 && features != NPY_FLOAT16) {
    fprintf(stderr, "Expected float32 or float16 for the features but received integers\n");
    return 0;
  }
  if (ids != NPY_INT32 && ids != NPY_INT64) {
    fprintf(stderr, "Expected int32 or int64 for the labels but received floats\n");
    return 0;
  }
  return 1;
}

static int has_expected_shapes(const samples* input) {
  const npy_array *features = &input->features, *ids = &input->ids;
  if (features->dimension_count < 2) {
    fprintf(stderr, "Expected 2 dimensions or more for the features but received %d\n",
            features->dimension_count);
    return 0;
  }
  if (ids->dimension_count != 1 || ids->count != features->sizes[0]) {
    fprintf(stderr, "Expected 1 dimension of %lu for the labels but received %d of %lu elements\n",
            (unsigned long)features->sizes[0], ids->dimension_count, (unsigned long)ids->count);
    return 0;
  }
  return 1;
}

static int convert_labels(samples* input) {
  size_t row;
  input->labels = malloc(input->rows * sizeof *input->labels);
  if (input->labels == NULL) {
    fprintf(stderr, "Expected memory for %lu labels but received none\n", (unsigned long)input->rows);
    return 0;
  }
  for (row = 0; row < input->rows; ++row) {
    const int64_t id = input->ids.type == NPY_INT64 ? ((const int64_t*)input->ids.data)[row]
                                                    : ((const int32_t*)input->ids.data)[row];
    if (id < 0 || id >= MAX_CLASSES) {
      fprintf(stderr, "Expected 0 to %d for the label of row %lu but received %lld\n", MAX_CLASSES - 1,
              (unsigned long)row, (long long)id);
      return 0;
    }
    input->labels[row] = (int32_t)id;
    if (id >= input->class_count) input->class_count = (int32_t)id + 1;
  }
  return 1;
}

/* Fills what has to be freed in either case. */
static int read_samples(const char* features_path, const char* labels_path, samples* input) {
  npy_error error;
  if (!npy_read(features_path, &input->features, &error) || !npy_read(labels_path, &input->ids, &error)) {
    fprintf(stderr, "%s\n", error.message);
    return 0;
  }
  input->rows = input->ids.count;
  return has_expected_types(input) && has_expected_shapes(input) && convert_labels(input);
}

static int print_indices(const samples* input) {
  sieve_separation_request request;
  sieve_separation_result separation;
  sieve_center_result center;
  sieve_error error;
  sieve_status status;
  const size_t dims = input->features.count / input->rows;
  const size_t classes = (size_t)input->class_count;
  double* per_class = calloc(2 * classes, sizeof *per_class);
  size_t* class_rows = calloc(classes, sizeof *class_rows);
  size_t i;
  if (per_class == NULL || class_rows == NULL) {
    fprintf(stderr, "Expected memory for %lu classes but received none\n", (unsigned long)classes);
    free(per_class);
    free(class_rows);
    return 0;
  }

  memset(&request, 0, sizeof request);
  request.features.data = input->features.data;
  request.features.element_type =
      input->features.type == NPY_FLOAT16 ? SIEVE_ELEMENT_FLOAT16 : SIEVE_ELEMENT_FLOAT32;
  request.features.rows = input->rows;
  request.features.columns = dims;
  request.labels = input->labels;
  request.class_count = input->class_count;
  memset(&separation, 0, sizeof separation);
  separation.per_class = per_class;
  memset(&center, 0, sizeof center);
  center.per_class = per_class + classes;

  status = sieve_separation_index(&request, NULL, &separation, &error);
  if (status == SIEVE_STATUS_OK) status = sieve_center_separation_index(&request, NULL, &center, &error);
  if (status == SIEVE_STATUS_OK) {
    for (i = 0; i < input->rows; ++i) ++class_rows[input->labels[i]];
    printf("rows %lu, dims %lu, classes %lu, backend %s\n", (unsigned long)input->rows, (unsigned long)dims,
           (unsigned long)classes, sieve_backend_name((sieve_backend)separation.backend));
    printf("SI   %.6f\nCSI  %.6f\n", separation.value, center.value);
    printf("%8s %10s %9s %9s\n", "class", "rows", "SI", "CSI");
    for (i = 0; i < classes; ++i) {
      if (class_rows[i] == 0) continue;
      printf("%8lu %10lu %9.6f %9.6f\n", (unsigned long)i, (unsigned long)class_rows[i], per_class[i],
             per_class[classes + i]);
    }
  } else {
    fprintf(stderr, "%s\n", error.message);
  }
  free(per_class);
  free(class_rows);
  return status == SIEVE_STATUS_OK;
}

int main(int argument_count, char** arguments) {
  samples input;
  int is_done;
  if (argument_count != 3) {
    fprintf(stderr, "Usage: npy_separation_index FEATURES.npy LABELS.npy\n");
    return 2;
  }
  memset(&input, 0, sizeof input);
  is_done = read_samples(arguments[1], arguments[2], &input) && print_indices(&input);
  free(input.features.data);
  free(input.ids.data);
  free(input.labels);
  return is_done ? 0 : 1;
}
