/* https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html */
#include "npy.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_HEADER_BYTES 65536 /* NumPy writes some 120 */
#define CHUNK_BYTES 65536      /* a multiple of every element size */

typedef struct npy_file {
  FILE* stream;
  const char* path;
  size_t element_bytes;
  npy_array* array;
  npy_error* error;
} npy_file;

/* Writes the error and returns 0, which is what the functions below return on failure. */
static int fail(npy_file* file, const char* format, ...) {
  char text[400];
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(text, sizeof text, format, arguments);
  va_end(arguments);
  snprintf(file->error->message, sizeof file->error->message, "%.100s: %s", file->path, text);
  return 0;
}

/* ---- The header: a Python dictionary with the keys descr, fortran_order and shape -------------------- */

static void skip_spaces(const char** cursor) {
  while (**cursor == ' ' || **cursor == '\n') ++*cursor;
}

static int accept(const char** cursor, const char* text) {
  skip_spaces(cursor);
  if (strncmp(*cursor, text, strlen(text)) != 0) return 0;
  *cursor += strlen(text);
  return 1;
}

/* A quoted string of printable ASCII without escapes, cut to the size of `text`. */
static int parse_string(const char** cursor, char* text, size_t size) {
  size_t length = 0;
  char quote;
  skip_spaces(cursor);
  quote = **cursor;
  if (quote != '\'' && quote != '"') return 0;
  for (++*cursor; **cursor != quote; ++*cursor) {
    if (**cursor < ' ' || **cursor > '~' || **cursor == '\\') return 0;
    if (length + 1 < size) text[length++] = **cursor;
  }
  ++*cursor;
  text[length] = '\0';
  return 1;
}

static int parse_size(const char** cursor, size_t* value) {
  skip_spaces(cursor);
  if (**cursor < '0' || **cursor > '9') return 0;
  for (*value = 0; **cursor >= '0' && **cursor <= '9'; ++*cursor) {
    const size_t digit = (size_t)(**cursor - '0');
    if (*value > (SIZE_MAX - digit) / 10) return 0;
    *value = *value * 10 + digit;
  }
  if (**cursor == 'L') ++*cursor; /* Python 2 */
  return 1;
}

static int parse_shape(const char** cursor, npy_array* array) {
  array->dimension_count = 0;
  if (!accept(cursor, "(")) return 0;
  while (!accept(cursor, ")")) {
    if (array->dimension_count == NPY_MAX_DIMENSIONS) return 0;
    if (!parse_size(cursor, &array->sizes[array->dimension_count++])) return 0;
    if (!accept(cursor, ",")) return accept(cursor, ")");
  }
  return 1;
}

static int parse_type(npy_file* file, const char* description) {
  static const struct {
    const char* description;
    npy_type type;
    size_t bytes;
  } kTypes[] = {
      {"<f2", NPY_FLOAT16, 2}, {"<f4", NPY_FLOAT32, 4}, {"<i4", NPY_INT32, 4}, {"<i8", NPY_INT64, 8}};
  size_t i;
  for (i = 0; i < sizeof kTypes / sizeof kTypes[0]; ++i) {
    if (strcmp(description, kTypes[i].description) == 0) {
      file->array->type = kTypes[i].type;
      file->element_bytes = kTypes[i].bytes;
      return 1;
    }
  }
  return fail(
      file,
      "Expected <f4, <f2 (features), <i4 or <i8 (labels) for the element type but received %s; convert with "
      "array.astype()",
      description);
}

static int parse_header(npy_file* file, const char* header) {
  static const char kMalformed[] =
      "Expected a dictionary with descr, fortran_order and shape for the header but received something else";
  npy_array* array = file->array;
  const char* cursor = header;
  char description[16] = "";
  int has_order = 0, is_fortran = 0, has_shape = 0, i;
  if (!accept(&cursor, "{")) return fail(file, kMalformed);
  while (!accept(&cursor, "}")) {
    char key[16];
    int understood = 0;
    if (!parse_string(&cursor, key, sizeof key) || !accept(&cursor, ":")) return fail(file, kMalformed);
    if (strcmp(key, "descr") == 0) {
      understood = parse_string(&cursor, description, sizeof description);
    } else if (strcmp(key, "fortran_order") == 0) {
      is_fortran = accept(&cursor, "True");
      understood = has_order = is_fortran || accept(&cursor, "False");
    } else if (strcmp(key, "shape") == 0) {
      understood = has_shape = parse_shape(&cursor, file->array);
    }
    if (!understood) return fail(file, kMalformed);
    if (!accept(&cursor, ",")) {
      if (!accept(&cursor, "}")) return fail(file, kMalformed);
      break;
    }
  }
  skip_spaces(&cursor);
  if (*cursor != '\0' || description[0] == '\0' || !has_order || !has_shape) return fail(file, kMalformed);
  if (is_fortran)
    return fail(file,
                "Expected C order for the array but received Fortran order; use np.ascontiguousarray()");
  if (!parse_type(file, description)) return 0;

  array->count = 1;
  for (i = 0; i < array->dimension_count; ++i) {
    const size_t size = array->sizes[i];
    if (size == 0) return fail(file, "Expected elements for the array but received none");
    if (array->count > SIZE_MAX / 8 / size)
      return fail(file, "Expected a shape that fits memory for the array but received a larger one");
    array->count *= size;
  }
  return 1;
}

static int read_header(npy_file* file) {
  static const unsigned char kMagic[6] = {0x93, 'N', 'U', 'M', 'P', 'Y'};
  unsigned char start[8], length_bytes[4] = {0, 0, 0, 0};
  size_t length, length_size;
  char* header;
  int parsed;
  if (fread(start, 1, sizeof start, file->stream) != sizeof start ||
      memcmp(start, kMagic, sizeof kMagic) != 0)
    return fail(file, "Expected a .npy file for the input but received something else");
  if (start[6] < 1 || start[6] > 3)
    return fail(file, "Expected 1, 2 or 3 for the version of the format but received %d", start[6]);
  length_size = start[6] == 1 ? 2 : 4;
  if (fread(length_bytes, 1, length_size, file->stream) != length_size)
    return fail(file, "Expected a header for the file but received its end");
  length = length_bytes[0] | (size_t)length_bytes[1] << 8 | (size_t)length_bytes[2] << 16 |
           (size_t)length_bytes[3] << 24;
  if (length > MAX_HEADER_BYTES)
    return fail(file, "Expected at most %d bytes for the header but received %lu", MAX_HEADER_BYTES,
                (unsigned long)length);
  header = malloc(length + 1);
  if (header == NULL) return fail(file, "Expected memory for the header but received none");
  if (fread(header, 1, length, file->stream) != length) {
    free(header);
    return fail(file, "Expected %lu bytes for the header but received the end of the file",
                (unsigned long)length);
  }
  header[length] = '\0';
  /* A NUL inside would hide what follows it. */
  parsed = strlen(header) == length ? parse_header(file, header)
                                    : fail(file, "Expected text for the header but received a zero byte");
  free(header);
  return parsed;
}

/* ---- The elements ----------------------------------------------------------------------------------- */

/* Copies one element, which is little endian in the file, into the byte order of this machine. */
static void copy_element(const unsigned char* bytes, size_t size, char* element) {
  uint64_t bits = 0;
  size_t i;
  for (i = 0; i < size; ++i) bits |= (uint64_t)bytes[i] << 8 * i;
  if (size == 2) {
    const uint16_t value = (uint16_t)bits;
    memcpy(element, &value, sizeof value);
  } else if (size == 4) {
    const uint32_t value = (uint32_t)bits;
    memcpy(element, &value, sizeof value);
  } else {
    memcpy(element, &bits, sizeof bits);
  }
}

/* NULL on failure. Memory grows with what was really read. */
static void* read_elements(npy_file* file) {
  unsigned char chunk[CHUNK_BYTES];
  const size_t size = file->element_bytes, count = file->array->count;
  size_t capacity = 0, done = 0;
  char* elements = NULL;
  while (done < count) {
    const size_t wanted = count - done < CHUNK_BYTES / size ? count - done : CHUNK_BYTES / size;
    const size_t received = fread(chunk, size, wanted, file->stream);
    size_t i;
    if (received < wanted) {
      fail(file, "Expected %lu elements for the shape but received %lu", (unsigned long)count,
           (unsigned long)(done + received));
      free(elements);
      return NULL;
    }
    if (done + received > capacity) {
      char* grown;
      capacity = count / 2 < done + received ? count : 2 * (done + received);
      grown = realloc(elements, capacity * size);
      if (grown == NULL) {
        fail(file, "Expected memory for %lu elements but received none", (unsigned long)capacity);
        free(elements);
        return NULL;
      }
      elements = grown;
    }
    for (i = 0; i < received; ++i, ++done) copy_element(chunk + i * size, size, elements + done * size);
  }
  if (fgetc(file->stream) != EOF || ferror(file->stream)) {
    fail(file, "Expected the end of the file after %lu elements but received more", (unsigned long)count);
    free(elements);
    return NULL;
  }
  return elements;
}

int npy_read(const char* path, npy_array* array, npy_error* error) {
  npy_file file;
  memset(array, 0, sizeof *array);
  memset(&file, 0, sizeof file);
  file.path = path;
  file.array = array;
  file.error = error;
  file.stream = fopen(path, "rb");
  if (file.stream == NULL) return fail(&file, "Expected a file that can be read but received none");
  if (read_header(&file)) array->data = read_elements(&file);
  fclose(file.stream);
  return array->data != NULL;
}
