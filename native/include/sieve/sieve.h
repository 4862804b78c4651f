/*
 * onnx-sieve: separation indices and the linear algebra of channel pruning. C ABI; compiles as C99 and C++17.
 *
 * Conventions
 *   - Matrices are row-major float32, float16 or bfloat16; row i starts i * row_stride ELEMENTS (>= columns)
 *     after data. All pointers are host memory owned by the caller; nothing is kept after a call returns.
 *     Outputs may be NULL where marked optional.
 *   - Distance is squared Euclidean. A sample is never its own neighbour. Equal distances go to the
 *     lowest row index; equal centre distances to the lowest class id.
 *   - Answers are exact: the neighbour of a float64 brute force, in the order of the columns, over the same
 *     input as it is (every float16 and bfloat16 value is a float32 one). Kernels may differ in speed only.
 *   - Labels are 0 .. class_count-1. A class without samples has per-class NaN.
 *   - A row that holds NaN or an infinity is an error that names the row, unless skip_non_finite is set: then
 *     such rows are left out, as sample and as neighbour, and counted in rows_used.
 *   - Every function returns a sieve_status; SIEVE_STATUS_OK is 0. On failure `error`, where not NULL,
 *     is filled. Outputs are then unspecified. No C++ exception leaves the library.
 *   - Functions are thread safe: they share nothing but the cancel token, which is atomic.
 */
#ifndef SIEVE_SIEVE_H
#define SIEVE_SIEVE_H

#include <stddef.h>
#include <stdint.h>

#if defined(SIEVE_STATIC)
#define SIEVE_API
#elif defined(_WIN32)
#if defined(SIEVE_BUILDING)
#define SIEVE_API __declspec(dllexport)
#else
#define SIEVE_API __declspec(dllimport)
#endif
#else
#define SIEVE_API __attribute__((visibility("default")))
#endif

#ifdef __cplusplus
extern "C" {
#endif

#define SIEVE_VERSION_MAJOR 0
#define SIEVE_VERSION_MINOR 1
#define SIEVE_VERSION_PATCH 0

typedef enum sieve_status {
  SIEVE_STATUS_OK = 0,
  SIEVE_STATUS_INVALID_ARGUMENT = 1, /* a size, order or option out of range, a NULL that is required */
  SIEVE_STATUS_INVALID_LABEL = 2,    /* error.row says which */
  SIEVE_STATUS_NON_FINITE = 3,       /* error.row says which */
  SIEVE_STATUS_OUT_OF_MEMORY = 4,
  SIEVE_STATUS_CANCELLED = 5,
  SIEVE_STATUS_UNSUPPORTED_BACKEND = 6,
  SIEVE_STATUS_NOT_POSITIVE_DEFINITE = 7,
  SIEVE_STATUS_INTERNAL = 8
} sieve_status;

/* Filled by a failing call; plain memory, nothing to free. row is -1 where no row is to blame. */
typedef struct sieve_error {
  int32_t status;
  int64_t row;
  char message[504]; /* UTF-8, NUL-terminated, "Expected X for Y but received Z" */
} sieve_error;

typedef enum sieve_backend {
  SIEVE_BACKEND_AUTO = 0, /* the environment variable SIEVE_BACKEND if set, else the fastest available */
  SIEVE_BACKEND_SERIAL = 1,
  SIEVE_BACKEND_AVX2 = 2,
  SIEVE_BACKEND_AVX512 = 3,
  SIEVE_BACKEND_AVX512_BF16 = 4, /* AVX-512 with bfloat16 products for the candidates */
  SIEVE_BACKEND_AMX_BF16 = 5,    /* AMX tiles, bfloat16 */
  SIEVE_BACKEND_AMX_FP16 = 6,    /* AMX tiles, float16: sharper, so fewer candidates */
  SIEVE_BACKEND_NEON = 7
} sieve_backend;

/* The values are 0 .. SIEVE_BACKEND_COUNT - 1. */
#define SIEVE_BACKEND_COUNT 8

typedef struct sieve_cancel_token sieve_cancel_token;
SIEVE_API sieve_cancel_token* sieve_cancel_token_create(void); /* NULL when memory is out */
SIEVE_API void sieve_cancel_token_cancel(sieve_cancel_token* token);
SIEVE_API void sieve_cancel_token_destroy(sieve_cancel_token* token);

/* Called with fraction in [0, 1], never decreasing, never from two threads at once, but from any thread. */
typedef void (*sieve_progress_callback)(void* user_data, double fraction);

/* How to run. Zero-initialise; zero means the default everywhere. */
typedef struct sieve_run_options {
  int32_t backend; /* sieve_backend */
  int32_t threads; /* 0: as many as the process may use */
  sieve_cancel_token* cancel;
  sieve_progress_callback progress;
  void* progress_user_data;
} sieve_run_options;

typedef enum sieve_element_type {
  SIEVE_ELEMENT_FLOAT32 = 0,
  SIEVE_ELEMENT_FLOAT16 = 1, /* IEEE 754 binary16 */
  SIEVE_ELEMENT_BFLOAT16 = 2 /* the upper half of a float32 */
} sieve_element_type;

/* Zero-initialise: fields may be added. */
typedef struct sieve_matrix {
  const void* data; /* any alignment that the element type has */
  size_t rows;
  size_t columns;
  size_t row_stride;    /* in elements; 0 means columns */
  int32_t element_type; /* sieve_element_type */
} sieve_matrix;

SIEVE_API const char* sieve_version_string(void);
SIEVE_API const char* sieve_status_name(sieve_status status);
/* Lower-case name as SIEVE_BACKEND takes it: "auto", "serial", "avx2", "avx512", "avx512-bf16", "amx-bf16",
 * "amx-fp16", "neon". */
SIEVE_API const char* sieve_backend_name(sieve_backend backend);
/* 1 where this build and this CPU have it. */
SIEVE_API int sieve_backend_available(sieve_backend backend);
/* What SIEVE_BACKEND_AUTO means here; fails when SIEVE_BACKEND names none or one that is missing. */
SIEVE_API sieve_status sieve_backend_resolve(sieve_backend requested, sieve_backend* resolved,
                                             sieve_error* error);

/* ---- Separation Index and its kin ------------------------------------------------------------------ */

typedef enum sieve_separation_kind {
  SIEVE_SEPARATION_HARD = 0, /* all of the `order` nearest neighbours share the label */
  SIEVE_SEPARATION_SOFT = 1, /* mean share of the `order` nearest neighbours that do */
  SIEVE_SEPARATION_ANTI = 2  /* none of the `order` nearest neighbours does */
} sieve_separation_kind;

typedef struct sieve_separation_request {
  sieve_matrix features; /* [rows, dims] */
  const int32_t* labels; /* [rows] */
  int32_t class_count;
  int32_t order; /* r >= 1; 0 means 1; at most the usable rows - 1 */
  int32_t kind;  /* sieve_separation_kind */
  int32_t skip_non_finite;
} sieve_separation_request;

typedef struct sieve_separation_result {
  double value;
  int64_t rows_used;
  int32_t backend;          /* the sieve_backend that ran */
  double* per_class;        /* optional [class_count]: the value over the samples of each class */
  int64_t* nearest;         /* optional [rows * order], ascending distance; -1 for a row left out */
  double* nearest_distance; /* optional [rows * order], squared, float64; needs nearest */
} sieve_separation_result;

/* SI of order r, soft SI, anti-SI (METHOD: Kalhor et al., arXiv 1906.05156). O(rows^2 * dims / 2)
 * multiply-adds, O(rows * order) memory beyond packed blocks. */
SIEVE_API sieve_status sieve_separation_index(const sieve_separation_request* request,
                                              const sieve_run_options* options,
                                              sieve_separation_result* result, sieve_error* error);

/* Each query row takes its nearest REFERENCE row (kind/order as above; the two sets share nothing).
 * request->features/labels are the queries. nearest holds reference rows. */
SIEVE_API sieve_status sieve_cross_separation_index(const sieve_separation_request* request,
                                                    sieve_matrix reference, const int32_t* reference_labels,
                                                    const sieve_run_options* options,
                                                    sieve_separation_result* result, sieve_error* error);

typedef struct sieve_center_result {
  double value;
  int64_t rows_used;
  double* per_class; /* optional [class_count] */
  int32_t* nearest;  /* optional [rows]: class id of the nearest centre, -1 for a row left out */
  double* centers;   /* optional [class_count * dims]; NaN for an empty class */
} sieve_center_result;

/* CSI: share of the samples whose nearest class mean is their own class's. order and kind of the request are
 * not used. Two passes over the data; O(rows * classes * dims). */
SIEVE_API sieve_status sieve_center_separation_index(const sieve_separation_request* request,
                                                     const sieve_run_options* options,
                                                     sieve_center_result* result, sieve_error* error);

/* Smoothness index (linear) for regression: targets [rows, target_dims]. value in [0, 1]. Queries whose
 * farthest and nearest targets are equally far count as 1. */
SIEVE_API sieve_status sieve_smoothness_index(sieve_matrix features, sieve_matrix targets,
                                              const sieve_run_options* options, double* value,
                                              sieve_error* error);

/* ---- Shards: the same answers from pieces, for one profile on many machines ------------------------- */

/* The `order` nearest references of each query. Rows bear global numbers: row i of the queries is sample
 * first_query + i, row j of the references sample first_reference + j. A reference with the query's own
 * number is the sample itself and left out. nearest, nearest_distance (optional): [queries.rows * order],
 * global numbers and squared float64 distances, ascending, ties to the lowest number; -1 and NaN where there
 * are fewer references, and for a query left out. A non-finite row is named by error.row, counted within its
 * matrix, and the message says which matrix. Where both are the same matrix with the same numbers each pair
 * is computed once: O(rows^2 * dims / 2) multiply-adds, else O(queries * references * dims). */
SIEVE_API sieve_status sieve_nearest_neighbours(sieve_matrix queries, int64_t first_query,
                                                sieve_matrix references, int64_t first_reference,
                                                int32_t order, int32_t skip_non_finite,
                                                const sieve_run_options* options, int64_t* nearest,
                                                double* nearest_distance, sieve_error* error);

/* What sieve_nearest_neighbours said of some queries and one range of references. */
typedef struct sieve_neighbour_part {
  const int64_t* nearest;         /* [rows * order] */
  const double* nearest_distance; /* [rows * order] */
} sieve_neighbour_part;

/* The nearest among the references of all parts, which are about the same queries, in the same order: what
 * one call with all these references would have said, to the bit. A reference that several parts name counts
 * once. A list that is not ascending, or a reference at two distances from one query, is an error (error.row
 * is the query's). nearest and nearest_distance: [rows * order]; they may be one of the parts. O(rows * parts
 * * order * log(parts * order)). */
SIEVE_API sieve_status sieve_merge_neighbours(const sieve_neighbour_part* parts, size_t part_count,
                                              size_t rows, int32_t order, const sieve_run_options* options,
                                              int64_t* nearest, double* nearest_distance, sieve_error* error);

/* The indices of sieve_separation_index from the queries' neighbours, to the bit. nearest: [rows * order];
 * labels: [rows], those of the queries; reference_labels: [references], by global number. A row without any
 * neighbour was left out; one with fewer than `order` is an error. Of result, nearest and nearest_distance
 * are not used and backend is not set. O(rows * order + references). */
SIEVE_API sieve_status sieve_score_neighbours(const int64_t* nearest, size_t rows, int32_t order,
                                              const int32_t* labels, const int32_t* reference_labels,
                                              size_t references, int32_t class_count, int32_t kind,
                                              sieve_separation_result* result, sieve_error* error);

/* CSI of some samples among all: the class means are those of all rows of the request, summed in the order of
 * the rows, so they are the ones of sieve_center_separation_index to the bit; counted (value, per_class,
 * rows_used) are only the rows first_query .. first_query + query_rows - 1. nearest: [query_rows]. */
SIEVE_API sieve_status sieve_center_separation_shard(const sieve_separation_request* request,
                                                     size_t first_query, size_t query_rows,
                                                     const sieve_run_options* options,
                                                     sieve_center_result* result, sieve_error* error);

/* ---- Column streams: the same answers where all columns at once do not fit into memory -------------- */

/* The caller hands over the features as blocks of columns, in order:
 *     create; add each block; end_pass; if that asks for it: add the same blocks again, end_pass; finish;
 *     destroy.
 * SI: the answer of sieve_separation_index for all columns in one matrix, to the bit, for any widths. Pass 1
 * adds up float32 products of all pairs: 2 * rows^2 bytes (800 MB at 20,000 rows, the most it takes: beyond,
 * see Shards). A second pass, of float64 distances of undecided pairs, is asked for unless the labels are
 * certain without (where wants_neighbours, it nearly always is). It takes little memory; at worst, where
 * float32 can not tell rows apart, 4 * rows^2 bytes. SIEVE_BACKEND_SERIAL holds float64 distances of all
 * pairs, 4 * rows^2 bytes, in one pass. Backends with 16-bit products work in float32 here.
 * CSI: the answer of sieve_center_separation_index; one pass (two where skip_non_finite leaves out a row that
 * was finite in the first block), 8 * rows * classes bytes, any number of rows.
 * Each SI block costs O(rows^2 * columns / 2) multiply-adds and reads and writes all products once: blocks of
 * 64 columns or more are worth while. One call on a stream at a time. */
typedef struct sieve_column_stream sieve_column_stream;

/* Zero-initialise: fields may be added. */
typedef struct sieve_column_stream_request {
  size_t rows;
  const int32_t* labels; /* [rows]; copied */
  int32_t class_count;
  int32_t index_kind;       /* SIEVE_INDEX_SEPARATION or SIEVE_INDEX_CENTER */
  int32_t order;            /* as in sieve_separation_request; not for CSI */
  int32_t kind;             /* as in sieve_separation_request; not for CSI */
  int32_t skip_non_finite;  /* a row that is not finite in any block is left out of everything */
  int32_t wants_neighbours; /* finish will be asked for `nearest` */
} sieve_column_stream_request;

/* The backend of `options` is that of the whole stream; the other calls' options say threads, cancel and
 * progress of their own. */
SIEVE_API sieve_status sieve_column_stream_create(const sieve_column_stream_request* request,
                                                  const sieve_run_options* options,
                                                  sieve_column_stream** stream, sieve_error* error);

/* block: [rows, any number of columns], in pass 2 as many as the same block had in pass 1; nothing is kept of
 * it. A call that fails with SIEVE_STATUS_INVALID_ARGUMENT or SIEVE_STATUS_NON_FINITE because of the block
 * changes nothing. After any other failure (cancelled, out of memory, other values in pass 2) the stream can
 * only be destroyed. */
SIEVE_API sieve_status sieve_column_stream_add(sieve_column_stream* stream, sieve_matrix block,
                                               const sieve_run_options* options, sieve_error* error);

/* Ends a pass, after at least one block; pass 2 after all of its blocks. needs_another: 1 where the blocks
 * have to come once more. That pass 2 brought the values of pass 1 is checked here, by hash. */
SIEVE_API sieve_status sieve_column_stream_end_pass(sieve_column_stream* stream,
                                                    const sieve_run_options* options, int32_t* needs_another,
                                                    sieve_error* error);

/* After the end of the last pass; any number of times. */
SIEVE_API sieve_status sieve_column_stream_finish(const sieve_column_stream* stream,
                                                  sieve_separation_result* result, sieve_error* error);
/* For SIEVE_INDEX_CENTER. result->centers must be NULL: a stream does not keep the means. */
SIEVE_API sieve_status sieve_column_stream_finish_centers(const sieve_column_stream* stream,
                                                          sieve_center_result* result, sieve_error* error);
SIEVE_API void sieve_column_stream_destroy(sieve_column_stream* stream); /* NULL: nothing */

/* ---- Filters: features are [rows, filters * dims], filter f owns columns f*dims .. f*dims+dims-1 ------- */

typedef enum sieve_index_kind { SIEVE_INDEX_SEPARATION = 0, SIEVE_INDEX_CENTER = 1 } sieve_index_kind;

/* SI (or CSI) of each filter alone. values: [filters]. */
SIEVE_API sieve_status sieve_filter_separation(const sieve_separation_request* request, size_t filters,
                                               int32_t index_kind, const sieve_run_options* options,
                                               double* values, sieve_error* error);

/* SI (or CSI) of `subset_count` sets of filters: set s is members[offsets[s]] .. members[offsets[s+1]-1],
 * offsets has subset_count + 1 entries; an empty set is an error. values: [subset_count]. */
SIEVE_API sieve_status sieve_subset_separation(const sieve_separation_request* request, size_t filters,
                                               const int32_t* members, const int64_t* offsets,
                                               size_t subset_count, int32_t index_kind,
                                               const sieve_run_options* options, double* values,
                                               sieve_error* error);

typedef enum sieve_selection_strategy {
  SIEVE_SELECTION_GREEDY = 0, /* "si": add the filter that makes the joint index highest; ties: lowest id */
  SIEVE_SELECTION_RANK = 1    /* "si-rank": by single-filter index, descending; ties: lowest id */
} sieve_selection_strategy;

/* order: [filters], best first; curve: [filters], joint index of the first k+1 filters of `order`. Exact at
 * every step. limit: stop after that many filters (0: all); the rest of `order` is then -1 and of `curve`
 * NaN. */
SIEVE_API sieve_status sieve_select_filters(const sieve_separation_request* request, size_t filters,
                                            int32_t strategy, int32_t index_kind, size_t limit,
                                            const sieve_run_options* options, int32_t* order, double* curve,
                                            sieve_error* error);

/* ---- Least squares for linear layers --------------------------------------------------------------- */

/* Geometry of a layer whose patches are the regressors. A dense layer is kernel 1x1 on a 1x1 map. */
typedef struct sieve_patch_geometry {
  int64_t channels, height, width; /* of the input of ONE group, NCHW */
  int64_t kernel_height, kernel_width, stride_height, stride_width, dilation_height, dilation_width;
  int64_t pad_top, pad_left;                    /* zeros before; those after follow from the output size */
  int64_t output_height, output_width, outputs; /* of the same group */
} sieve_patch_geometry;

/* Running moments of regressors x (d = channels*kernel_height*kernel_width values of a patch, then a
 * constant 1) and targets y (m = outputs). Float32 data, float64 sums. All caller-owned, zeroed by the caller
 * before the first batch: gram [(d+1)*(d+1)] full symmetric, cross [(d+1)*m], target_square [m] (sum of y
 * squared). */
typedef struct sieve_moments {
  double* gram;
  double* cross;
  double* target_square;
  int64_t count; /* patches so far */
} sieve_moments;

/* Adds `samples` images: input element (n, c, h, w) is
 *   input[n*input_sample_stride + (c*height + h)*width + w],
 * target (n, m, h, w) is
 *   target[n*target_sample_stride + (m*output_height + h)*output_width + w].
 * A sample with NaN or an infinity is refused (error.row) and nothing is added. The sums are the same bits
 * for any number of threads. O(patches * d * (d/2 + m)). */
SIEVE_API sieve_status sieve_moments_accumulate(const float* input, size_t input_sample_stride,
                                                const float* target, size_t target_sample_stride,
                                                size_t samples, const sieve_patch_geometry* geometry,
                                                const sieve_run_options* options, sieve_moments* moments,
                                                sieve_error* error);

/* Minimises ||X w - Y||^2 + ridge * mean(diag(gram)) * ||w - prior||^2 over the regressors in `active`
 * (indices into d+1, ascending; the last of all regressors is the constant: never penalised, not in that
 * mean). A regressor that the others determine (a dead channel, a copy) keeps its prior where ridge is 0.
 * prior: optional [active_count * outputs], else 0. weights: [active_count * outputs].
 * residual: optional [outputs], the sum of squared residuals on the data in the moments.
 * Cholesky in float64, O(active^3 / 3). */
SIEVE_API sieve_status sieve_ridge_solve(const double* gram, const double* cross, const double* target_square,
                                         size_t regressors, size_t outputs, const int64_t* active,
                                         size_t active_count, double ridge, const double* prior,
                                         const sieve_run_options* options, double* weights, double* residual,
                                         sieve_error* error);

/* Sum of squared residuals of GIVEN weights [regressors * outputs] on the data in the moments: what a fit on
 * other data, or the weights a layer already has, leave unexplained here.
 * residual: [outputs]. O(regressors^2 * outputs). */
SIEVE_API sieve_status sieve_moments_residual(const double* gram, const double* cross,
                                              const double* target_square, size_t regressors, size_t outputs,
                                              const double* weights, const sieve_run_options* options,
                                              double* residual, sieve_error* error);

/* One least-squares problem that shares its channels with others: unit u owns the regressors listed in
 * members[offsets[u]] .. members[offsets[u+1]-1]; regressors of no unit (the constant, other groups'
 * channels) always stay. */
typedef struct sieve_elimination_problem {
  const double* gram;          /* [regressors * regressors] */
  const double* cross;         /* [regressors * outputs] */
  const double* target_square; /* [outputs] */
  size_t regressors;
  size_t outputs;
  const int64_t* members;
  const int64_t* offsets; /* [units + 1] */
} sieve_elimination_problem;

/* Structured optimal brain surgeon: eliminates, one at a time, the unit whose removal, all remaining weights
 * re-fitted, raises the sum over the problems of residual / total target variance least (ties to the lowest
 * id). order: [units], first removed first. error_after: [units], that sum after each removal (the last: all
 * removed). Residuals are penalised as in sieve_ridge_solve without prior, ridge at least 1e-8, so they are
 * exact for singular moments too. A problem whose targets do not vary counts nothing.
 * O(units * regressors^2 * unit size) a problem. */
SIEVE_API sieve_status sieve_eliminate_units(const sieve_elimination_problem* problems, size_t problem_count,
                                             size_t units, double ridge, const sieve_run_options* options,
                                             int32_t* order, double* error_after, sieve_error* error);

#ifdef __cplusplus
}
#endif

#endif /* SIEVE_SIEVE_H */
