/*
 * Reads NumPy's .npy files: format versions 1 to 3, C order, little endian, at most 8 dimensions.
 * Files are not trusted: every length is checked, and no more memory is taken than twice what the file holds.
 */
#ifndef SIEVE_EXAMPLES_NPY_H
#define SIEVE_EXAMPLES_NPY_H

#include <stddef.h>

#define NPY_MAX_DIMENSIONS 8

typedef enum npy_type { NPY_FLOAT16, NPY_FLOAT32, NPY_INT32, NPY_INT64 } npy_type;

typedef struct npy_array {
  void* data; /* in C order, in the byte order of this machine; a float16 is a uint16_t */
  npy_type type;
  int dimension_count;
  size_t sizes[NPY_MAX_DIMENSIONS];
  size_t count; /* the product of the sizes, at least 1 */
} npy_array;

typedef struct npy_error {
  char message[512]; /* one line, "Expected X for Y but received Z" */
} npy_error;

/* 1, and data is the caller's to free(); or 0 with the reason in `error`, and data is NULL. An array without
 * elements is a failure. */
int npy_read(const char* path, npy_array* array, npy_error* error);

#endif /* SIEVE_EXAMPLES_NPY_H */
