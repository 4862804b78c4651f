// Column streams answer as sieve_separation_index and sieve_center_separation_index do for all columns in one
// matrix, bit for bit, however the columns are cut into blocks.
#include <cstring>
#include <functional>
#include <limits>
#include <map>
#include <memory>

#include "rounding_data.h"
#include "separation_support.h"

namespace {

struct Destroy {
  void operator()(sieve_column_stream* stream) const { sieve_column_stream_destroy(stream); }
};
using Stream = std::unique_ptr<sieve_column_stream, Destroy>;

struct Wanted {
  int32_t order = 1;
  int32_t kind = SIEVE_SEPARATION_HARD;
  bool neighbours = false;
  bool skip = false;
};

sieve_column_stream_request stream_request(const test::Data& data, const Wanted& wanted,
                                           int32_t index = SIEVE_INDEX_SEPARATION) {
  sieve_column_stream_request request{};
  request.rows = data.rows;
  request.labels = data.labels.data();
  request.class_count = data.classes;
  request.index_kind = index;
  request.order = wanted.order;
  request.kind = wanted.kind;
  request.skip_non_finite = wanted.skip ? 1 : 0;
  request.wants_neighbours = wanted.neighbours ? 1 : 0;
  return request;
}

sieve_run_options run_options(sieve_backend backend, int32_t threads) {
  sieve_run_options options{};
  options.backend = backend;
  options.threads = threads;
  return options;
}

sieve_matrix block_of(const sieve_matrix& matrix, size_t column, size_t count) {
  const size_t bytes = matrix.element_type == SIEVE_ELEMENT_FLOAT32 ? 4 : 2;
  return {static_cast<const char*>(matrix.data) + column * bytes, matrix.rows, count,
          matrix.row_stride == 0 ? matrix.columns : matrix.row_stride, matrix.element_type};
}

// Widths that are repeated until the columns are used up.
std::vector<size_t> cut(size_t columns, const std::vector<size_t>& widths) {
  std::vector<size_t> blocks;
  for (size_t used = 0, i = 0; used < columns; used += blocks.back(), ++i) {
    blocks.push_back(std::min(columns - used, widths[i % widths.size()]));
  }
  return blocks;
}

sieve_status add_all(sieve_column_stream* stream, const sieve_matrix& matrix,
                     const std::vector<size_t>& widths, const sieve_run_options& options,
                     sieve_error* error) {
  size_t column = 0;
  for (const size_t width : cut(matrix.columns, widths)) {
    const sieve_status status =
        sieve_column_stream_add(stream, block_of(matrix, column, width), &options, error);
    if (status != SIEVE_STATUS_OK) return status;
    column += width;
  }
  return SIEVE_STATUS_OK;
}

// All passes; the stream is ready to finish. passes: how many it took.
sieve_status run_stream(const sieve_column_stream_request& request, const sieve_matrix& matrix,
                        const std::vector<size_t>& widths, const sieve_run_options& options, Stream& stream,
                        int& passes, sieve_error* error) {
  sieve_column_stream* created = nullptr;
  sieve_status status = sieve_column_stream_create(&request, &options, &created, error);
  stream.reset(created);
  int32_t needs_another = 1;
  for (passes = 0; status == SIEVE_STATUS_OK && needs_another == 1; ++passes) {
    status = add_all(stream.get(), matrix, widths, options, error);
    if (status == SIEVE_STATUS_OK) {
      status = sieve_column_stream_end_pass(stream.get(), &options, &needs_another, error);
    }
  }
  return status;
}

struct Answer {
  Answer(const test::Data& data, int32_t order, bool neighbours)
      : per_class(static_cast<size_t>(data.classes)),
        nearest(data.rows * static_cast<size_t>(order)),
        distances(nearest.size()) {
    result.per_class = per_class.data();
    if (!neighbours) return;
    result.nearest = nearest.data();
    result.nearest_distance = distances.data();
  }
  std::vector<double> per_class;
  std::vector<int64_t> nearest;
  std::vector<double> distances;
  sieve_separation_result result{};
};

bool same_bits(const std::vector<double>& a, const std::vector<double>& b) {
  return a.size() == b.size() && std::equal(a.begin(), a.end(), b.begin(), [](double x, double y) {
           return x == y || (std::isnan(x) && std::isnan(y));
         });
}

// What sieve_separation_index says, once for every split and backend. name: of the data.
const Answer& answer_in_memory(const test::Data& data, const sieve_matrix& matrix, const Wanted& wanted,
                               const std::string& name) {
  static std::map<std::string, Answer> known;
  const std::string key = name + " " + std::to_string(wanted.order) + " " + std::to_string(wanted.kind) +
                          std::to_string(wanted.neighbours) + std::to_string(wanted.skip);
  const auto at = known.find(key);
  if (at != known.end()) return at->second;
  Answer& answer = known.emplace(key, Answer(data, wanted.order, wanted.neighbours)).first->second;
  sieve_separation_request request = data.request(wanted.order, wanted.kind);
  request.features = matrix;
  request.skip_non_finite = wanted.skip ? 1 : 0;
  answer.result.per_class = answer.per_class.data();
  if (wanted.neighbours) {
    answer.result.nearest = answer.nearest.data();
    answer.result.nearest_distance = answer.distances.data();
  }
  sieve_error error{};
  const sieve_run_options serial = run_options(SIEVE_BACKEND_SERIAL, 1);
  CHECK(sieve_separation_index(&request, &serial, &answer.result, &error) == SIEVE_STATUS_OK, "%s: %s",
        key.c_str(), error.message);
  return answer;
}

// Returns the number of passes.
int compare(const test::Data& data, const sieve_matrix& matrix, const Wanted& wanted,
            const std::vector<size_t>& widths, sieve_backend backend, int32_t threads,
            const std::string& name) {
  const sieve_run_options options = run_options(backend, test::threads(threads));
  sieve_error error{};
  const Answer& expected = answer_in_memory(data, matrix, wanted, name);

  std::string at = name + " " + sieve_backend_name(backend) + " order " + std::to_string(wanted.order) +
                   " kind " + std::to_string(wanted.kind) + (wanted.neighbours ? " with neighbours" : "") +
                   " widths";
  for (const size_t width : widths) at += " " + std::to_string(width);
  Stream stream;
  int passes = 0;
  Answer answer(data, wanted.order, wanted.neighbours);
  sieve_status status =
      run_stream(stream_request(data, wanted), matrix, widths, options, stream, passes, &error);
  if (status == SIEVE_STATUS_OK) status = sieve_column_stream_finish(stream.get(), &answer.result, &error);
  CHECK(status == SIEVE_STATUS_OK, "%s: %s", at.c_str(), error.message);
  if (status != SIEVE_STATUS_OK) return passes;
  CHECK(passes <= 2 && (backend != SIEVE_BACKEND_SERIAL || passes == 1), "%s: %d passes", at.c_str(), passes);
  CHECK(answer.result.value == expected.result.value, "%s: %.17g, expected %.17g", at.c_str(),
        answer.result.value, expected.result.value);
  CHECK(answer.result.rows_used == expected.result.rows_used, "%s: %lld rows", at.c_str(),
        static_cast<long long>(answer.result.rows_used));
  CHECK(same_bits(answer.per_class, expected.per_class), "%s: per class", at.c_str());
  CHECK(answer.nearest == expected.nearest, "%s: neighbours", at.c_str());
  CHECK(same_bits(answer.distances, expected.distances), "%s: distances", at.c_str());
  return passes;
}

const std::vector<std::vector<size_t>>& splits() {
  static const std::vector<std::vector<size_t>> all{{1}, {7}, {64}, {1000000}, {5, 1, 190, 33, 64}};
  return all;
}

// Backends with 16-bit products work in float32 here: the many shapes are for those that differ.
const std::vector<sieve_backend>& float32_backends() {
  static const std::vector<sieve_backend> kept = [] {
    std::vector<sieve_backend> backends = test::backends();
    backends.erase(std::remove_if(backends.begin(), backends.end(),
                                  [](sieve_backend backend) {
                                    return backend == SIEVE_BACKEND_AVX512_BF16 ||
                                           backend == SIEVE_BACKEND_AMX_BF16 ||
                                           backend == SIEVE_BACKEND_AMX_FP16;
                                  }),
                   backends.end());
    return backends;
  }();
  return kept;
}

void test_shape(const std::string& kind, size_t rows, size_t columns) {
  const test::Data data = test::make_data(kind, rows, columns, 1);
  const std::string name = kind + " " + std::to_string(rows) + "x" + std::to_string(columns);
  const int32_t largest = static_cast<int32_t>(std::min<size_t>(rows - 1, 9));  // long and short lists
  const std::vector<Wanted> all{{1, SIEVE_SEPARATION_HARD, false},
                                {1, SIEVE_SEPARATION_ANTI, true},
                                {largest, SIEVE_SEPARATION_SOFT, false},
                                {std::min(largest, 3), SIEVE_SEPARATION_HARD, true},
                                {std::min(largest, 2), SIEVE_SEPARATION_ANTI, false}};
  for (const sieve_backend backend : float32_backends()) {
    for (size_t w = 0; w < all.size(); ++w) {
      for (size_t s = 0; s < splits().size(); ++s) {
        if ((columns > 100 || rows > 100) && (splits()[s].front() == 1 || (w + s) % 3 != 0)) continue;
        compare(data, data.matrix(), all[w], splits()[s], backend, (rows + w) % 2 == 0 ? 1 : 3, name);
      }
    }
  }
}

// The scales of the blocks differ as far as float32 allows, in both directions; some columns are dead, some
// constant, some exact integers.
void test_blocks_of_other_scales() {
  const std::vector<std::vector<double>> scales{{1e-30, 1, 1e30}, {1e30, 1, 1e-30},    {0, 1e-38, 0},
                                                {1e38, 1e-40, 0}, {-1, -2, -3},        {-1, 1, -2},
                                                {0, -1, 1e5},     {1e20, 1e-20, 1e19}, {-7, 1e-30, -7},
                                                {1e-44, -1, 1},   {-9, -9, 1e-35},     {-8, 0.1, -8}};
  for (size_t which = 0; which < scales.size(); ++which) {
    test::Data data(90, 3 * 11, 3);
    test::Random random(which + 1);
    for (size_t row = 0; row < data.rows; ++row) {
      data.labels[row] = static_cast<int32_t>(random.below(3));
      for (size_t k = 0; k < data.columns; ++k) {
        const double scale = scales[which][k / 11];
        double value = random.normal() * scale;
        if (scale < 0) value = static_cast<double>(random.below(4)) * std::pow(2.0, scale);  // exact
        if (scale == -7) value = 0.1;                                                        // constant
        if (scale == -8) value = 3;
        if (scale == -9) value = row == 4 ? 1e30 : 1e-3;
        data.at(row, k) = static_cast<float>(value);
      }
    }
    for (const sieve_backend backend : float32_backends()) {
      for (const Wanted& wanted :
           {Wanted{1, SIEVE_SEPARATION_HARD, true, false}, Wanted{3, SIEVE_SEPARATION_SOFT, false, false}}) {
        for (const size_t width : {11, 4, 33}) {
          compare(data, data.matrix(), wanted, {width}, backend, 2, "scales " + std::to_string(which));
        }
      }
    }
  }
}

// Rows that float32 products can not hold are the nearest of rows that they can.
void test_oversized_rows() {
  const test::Data data = test::straddling_powers(9, 3);
  for (const sieve_backend backend : float32_backends()) {
    for (const size_t width : {1, 4, 9}) {
      for (const bool neighbours : {false, true}) {
        const Wanted wanted{1, SIEVE_SEPARATION_HARD, neighbours, false};
        compare(data, data.matrix(), wanted, {width}, backend, 2, "straddling powers of two");
      }
    }
  }
}

// Sums that lose all that they can, however they are cut, and integers that only together are too large.
void test_rounding() {
  const auto test_data = [](const test::Data& data, const std::string& name) {
    for (const sieve_backend backend : float32_backends()) {
      for (const size_t width : {size_t{1}, size_t{64}, data.columns}) {
        compare(data, data.matrix(), {}, {width}, backend, 1, name);
        compare(data, data.matrix(), {4, SIEVE_SEPARATION_SOFT, true, false}, {width}, backend, 2, name);
      }
    }
  };
  for (const double part : {0.9375, 1.375, 1.9375}) {
    const std::string name = "swallowed, part " + std::to_string(part);
    for (const size_t columns : {193, 512})
      test_data(test::swallowed(part, 40, columns, columns), name + " of " + std::to_string(columns));
  }
  for (const double a : {0.984375, 1.3984375}) {
    for (const size_t block : {192, 512}) {
      test_data(test::opposed(a * 0x1p-12, block, block + 1),
                "opposed, " + std::to_string(a) + " of " + std::to_string(block));
    }
  }
  for (const double first : {510.0, 1021.0, 1501.0, 2044.0}) {
    test_data(test::large_integers(first, 61, 33, 8), "integers about " + std::to_string(first));
  }
}

// Where the bounds decide, there is no second pass; copies need none; and few pairs are looked at twice.
void test_passes() {
  for (const sieve_backend backend : test::backends()) {
    const auto passes_of = [&](const test::Data& data, const Wanted& wanted, const std::string& name) {
      return compare(data, data.matrix(), wanted, {16}, backend, 2, name);
    };
    const int more = backend == SIEVE_BACKEND_SERIAL ? 1 : 2;
    const Wanted plain, neighbours{1, SIEVE_SEPARATION_HARD, true, false};
    const test::Data clustered = test::make_data("clustered", 300, 48, 5);
    CHECK(passes_of(clustered, plain, "passes clustered") == 1, "clusters of one label");
    CHECK(passes_of(clustered, neighbours, "passes clustered") == more, "clusters' neighbours");
    const test::Data equal = test::make_data("all-equal", 300, 48, 5);
    CHECK(passes_of(equal, plain, "passes equal") == 1, "all rows equal");
    CHECK(passes_of(equal, neighbours, "passes equal") == 1, "all rows equal, neighbours");
    const test::Data integers = test::make_data("integers", 300, 48, 5);
    CHECK(passes_of(integers, neighbours, "passes integers") == 1, "float32 is exact for integers");
    CHECK(passes_of(test::make_data("half-zero", 300, 48, 5), neighbours, "passes half-zero") == more,
          "half of the rows zero");
  }
}

void test_refined_copies() {
  // Equal in the first columns and the last, different in between, and the other way round.
  test::Data data(60, 24, 2);
  test::Random random(4);
  for (size_t row = 0; row < data.rows; ++row) {
    data.labels[row] = static_cast<int32_t>(random.below(2));
    for (size_t k = 0; k < data.columns; ++k) {
      const bool varies = row >= 20 && k / 8 == (row / 20) - 1;
      data.at(row, k) =
          static_cast<float>(varies ? 0.1 * static_cast<double>(row % 5) : (row % 2 == 0 ? 0.0 : -0.0));
    }
  }
  for (const sieve_backend backend : test::backends()) {
    for (const int32_t order : {1, 2, 4, 12}) {
      for (const size_t width : {1, 4, 8, 24}) {
        compare(data, data.matrix(), {order, SIEVE_SEPARATION_SOFT, true, false}, {width}, backend, 2,
                "copies");
      }
    }
  }
}

void test_skipped_rows() {
  test::Data data = test::make_data("normal", 70, 30, 3);
  data.at(5, 2) = std::numeric_limits<float>::quiet_NaN();
  data.at(33, 17) = std::numeric_limits<float>::infinity();
  data.at(69, 29) = -std::numeric_limits<float>::infinity();
  for (const sieve_backend backend : test::backends()) {
    const sieve_run_options options = run_options(backend, 2);
    for (const size_t width : {1, 7, 10, 30}) {
      const Wanted wanted{2, SIEVE_SEPARATION_SOFT, true, true};
      compare(data, data.matrix(), wanted, {width}, backend, 2, "skipped");

      // A refused block leaves the stream as it was.
      Wanted strict = wanted;
      strict.skip = false;
      const sieve_column_stream_request request = stream_request(data, strict);
      sieve_column_stream* created = nullptr;
      sieve_error error{};
      CHECK(sieve_column_stream_create(&request, &options, &created, &error) == SIEVE_STATUS_OK, "%s",
            error.message);
      const Stream stream(created);
      CHECK(add_all(created, data.matrix(), {width}, options, &error) == SIEVE_STATUS_NON_FINITE,
            "NaN passed");
      CHECK(error.row == 5 || width == 30 || width == 10 || width == 7, "row %lld",
            static_cast<long long>(error.row));
      test::Data clean = test::make_data("normal", 70, 30, 3);
      CHECK(sieve_column_stream_add(created, block_of(clean.matrix(), 0, 30), &options, &error) ==
                SIEVE_STATUS_OK,
            "%s", error.message);
    }
  }
}

void test_element_types() {
  test::Data data(65, 50, 3);
  std::vector<uint16_t> bits(data.storage.size());
  test::Random random(8);
  for (size_t row = 0; row < data.rows; ++row) {
    data.labels[row] = static_cast<int32_t>(random.below(3));
    for (size_t k = 0; k < data.columns; ++k) {
      const auto value = static_cast<uint16_t>((random.below(65536) & 0x80ff) | 0x3f00);
      const uint32_t wide = static_cast<uint32_t>(value) << 16;
      bits[1 + row * data.stride + k] = value;
      std::memcpy(&data.at(row, k), &wide, sizeof(float));
    }
  }
  for (const int32_t type : {SIEVE_ELEMENT_BFLOAT16, SIEVE_ELEMENT_FLOAT16}) {
    const sieve_matrix half{bits.data() + 1, data.rows, data.columns, data.stride, type};
    for (const sieve_backend backend : test::backends()) {
      for (const std::vector<size_t>& widths : splits()) {
        compare(data, half, {2, SIEVE_SEPARATION_SOFT, true, false}, widths, backend, 2,
                "type " + std::to_string(type));
        compare(data, half, {2, SIEVE_SEPARATION_SOFT, false, false}, widths, backend, 2,
                "type " + std::to_string(type));
      }
    }
  }
}

void compare_centers(const test::Data& data, bool skip, const std::vector<size_t>& widths,
                     sieve_backend backend, int expected_passes, const std::string& name) {
  const sieve_run_options options = run_options(backend, test::threads(3));
  sieve_error error{};
  sieve_separation_request request = data.request();
  request.skip_non_finite = skip ? 1 : 0;
  std::vector<double> expected_per_class(static_cast<size_t>(data.classes)), per_class = expected_per_class;
  std::vector<int32_t> expected_nearest(data.rows), nearest(data.rows);
  sieve_center_result expected{}, result{};
  expected.per_class = expected_per_class.data();
  expected.nearest = expected_nearest.data();
  result.per_class = per_class.data();
  result.nearest = nearest.data();
  CHECK(sieve_center_separation_index(&request, &options, &expected, &error) == SIEVE_STATUS_OK, "%s",
        error.message);
  Wanted wanted;
  wanted.skip = skip;
  Stream stream;
  int passes = 0;
  CHECK(run_stream(stream_request(data, wanted, SIEVE_INDEX_CENTER), data.matrix(), widths, options, stream,
                   passes, &error) == SIEVE_STATUS_OK,
        "%s: %s", name.c_str(), error.message);
  CHECK(sieve_column_stream_finish_centers(stream.get(), &result, &error) == SIEVE_STATUS_OK, "%s: %s",
        name.c_str(), error.message);
  CHECK(passes == expected_passes, "%s: %d passes", name.c_str(), passes);
  CHECK(nearest == expected_nearest && result.value == expected.value &&
            result.rows_used == expected.rows_used && same_bits(per_class, expected_per_class),
        "%s %s: %g, expected %g", name.c_str(), sieve_backend_name(backend), result.value, expected.value);
}

void test_centers() {
  for (const sieve_backend backend : test::backends()) {
    for (const std::string& kind : test::data_kinds()) {
      for (const size_t rows : {2, 3, 17, 66}) {
        for (const std::vector<size_t>& widths : splits()) {
          compare_centers(test::make_data(kind, rows, 40, 2), false, widths, backend, 1, "centres " + kind);
        }
      }
    }
    compare_centers(test::make_data("normal", 40, 1500, 2), false, {700}, backend, 1,
                    "centres of many columns");
    test::Data data = test::make_data("normal", 50, 20, 2);
    data.at(7, 1) = std::numeric_limits<float>::quiet_NaN();
    compare_centers(data, true, {10}, backend, 1, "centres, skipped at once");
    data.at(9, 15) = std::numeric_limits<float>::quiet_NaN();
    compare_centers(data, true, {10}, backend, 2, "centres, skipped later");
    compare_centers(data, true, {20}, backend, 1, "centres, skipped in one block");
  }
}

void test_misuse() {
  const test::Data data = test::make_data("normal", 40, 20, 3);
  const sieve_run_options options = run_options(test::backends().back(), 2);
  sieve_error error{};
  const auto refused = [&](sieve_status status, const char* what,
                           sieve_status wanted = SIEVE_STATUS_INVALID_ARGUMENT) {
    CHECK(status == wanted, "%s: status %d, %s", what, status, error.message);
    CHECK(std::strstr(error.message, "Expected") != nullptr, "%s: %s", what, error.message);
  };
  const auto created = [&](const std::function<void(sieve_column_stream_request&)>& change) {
    sieve_column_stream_request request = stream_request(data, {1, SIEVE_SEPARATION_HARD, true, false});
    change(request);
    sieve_column_stream* stream = nullptr;
    const sieve_status status = sieve_column_stream_create(&request, &options, &stream, &error);
    CHECK((stream != nullptr) == (status == SIEVE_STATUS_OK), "status %d", status);
    sieve_column_stream_destroy(stream);
    return status;
  };
  refused(created([](auto& request) { request.rows = 1; }), "one row");
  refused(created([](auto& request) { request.rows = 20001; }), "many rows");
  CHECK(std::strstr(error.message, "shards") != nullptr, "%s", error.message);
  refused(created([](auto& request) { request.labels = nullptr; }), "no labels");
  refused(created([](auto& request) { request.class_count = 0; }), "no classes");
  refused(created([](auto& request) { request.class_count = 1; }), "a label", SIEVE_STATUS_INVALID_LABEL);
  refused(created([](auto& request) { request.order = 40; }), "order");
  refused(created([](auto& request) { request.order = -1; }), "negative order");
  refused(created([](auto& request) { request.kind = 3; }), "kind");
  refused(created([](auto& request) { request.index_kind = 2; }), "index");
  CHECK(sieve_column_stream_create(nullptr, nullptr, nullptr, nullptr) == SIEVE_STATUS_INVALID_ARGUMENT,
        "NULL");
  sieve_column_stream_destroy(nullptr);

  const auto start = [&](bool neighbours) {
    Wanted wanted;
    wanted.neighbours = neighbours;
    const sieve_column_stream_request request = stream_request(data, wanted);
    sieve_column_stream* stream = nullptr;
    CHECK(sieve_column_stream_create(&request, &options, &stream, &error) == SIEVE_STATUS_OK, "%s",
          error.message);
    return Stream(stream);
  };
  int32_t needs_another = -1;
  Answer answer(data, 1, true);
  sieve_center_result centers{};
  Stream stream = start(true);
  sieve_column_stream* handle = stream.get();
  const sieve_matrix matrix = data.matrix();
  refused(sieve_column_stream_add(nullptr, matrix, &options, &error), "no stream");
  refused(sieve_column_stream_end_pass(handle, &options, &needs_another, &error), "no block");
  refused(sieve_column_stream_finish(handle, &answer.result, &error), "finish at once");
  sieve_matrix wrong = matrix;
  wrong.rows = 39;
  refused(sieve_column_stream_add(handle, wrong, &options, &error), "other rows");
  wrong = matrix;
  wrong.columns = 0;
  refused(sieve_column_stream_add(handle, wrong, &options, &error), "no columns");
  wrong = matrix;
  wrong.data = nullptr;
  refused(sieve_column_stream_add(handle, wrong, &options, &error), "no data");
  CHECK(add_all(handle, matrix, {8}, options, &error) == SIEVE_STATUS_OK, "%s", error.message);
  refused(sieve_column_stream_finish(handle, &answer.result, &error), "finish before the end");
  refused(sieve_column_stream_end_pass(handle, &options, nullptr, &error), "needs_another NULL");
  CHECK(sieve_column_stream_end_pass(handle, &options, &needs_another, &error) == SIEVE_STATUS_OK &&
            needs_another == (options.backend == SIEVE_BACKEND_SERIAL ? 0 : 1),
        "%d %s", needs_another, error.message);
  if (needs_another == 0) return;
  refused(sieve_column_stream_finish(handle, &answer.result, &error), "finish before pass 2");
  refused(sieve_column_stream_add(handle, block_of(matrix, 0, 7), &options, &error), "another width");
  CHECK(sieve_column_stream_add(handle, block_of(matrix, 0, 8), &options, &error) == SIEVE_STATUS_OK, "%s",
        error.message);
  refused(sieve_column_stream_end_pass(handle, &options, &needs_another, &error), "too few columns");
  CHECK(sieve_column_stream_add(handle, block_of(matrix, 8, 8), &options, &error) == SIEVE_STATUS_OK, "%s",
        error.message);
  CHECK(sieve_column_stream_add(handle, block_of(matrix, 16, 4), &options, &error) == SIEVE_STATUS_OK, "%s",
        error.message);
  refused(sieve_column_stream_add(handle, block_of(matrix, 0, 8), &options, &error), "too many columns");
  CHECK(sieve_column_stream_end_pass(handle, &options, &needs_another, &error) == SIEVE_STATUS_OK &&
            needs_another == 0,
        "%s", error.message);
  refused(sieve_column_stream_add(handle, block_of(matrix, 0, 8), &options, &error), "a third pass");
  refused(sieve_column_stream_end_pass(handle, &options, &needs_another, &error), "a third end");
  refused(sieve_column_stream_finish_centers(handle, &centers, &error), "the wrong index");
  refused(sieve_column_stream_finish(handle, nullptr, &error), "no result");
  for (int i = 0; i < 2; ++i) {
    CHECK(sieve_column_stream_finish(handle, &answer.result, &error) == SIEVE_STATUS_OK, "%s", error.message);
  }

  // Pass 2 with other values.
  stream = start(true);
  CHECK(add_all(stream.get(), matrix, {20}, options, &error) == SIEVE_STATUS_OK, "%s", error.message);
  CHECK(sieve_column_stream_end_pass(stream.get(), &options, &needs_another, &error) == SIEVE_STATUS_OK, "%s",
        error.message);
  test::Data other = data;
  other.at(20, 11) = std::nextafter(other.at(20, 11), 100.0f);
  CHECK(add_all(stream.get(), other.matrix(), {20}, options, &error) == SIEVE_STATUS_OK, "%s", error.message);
  refused(sieve_column_stream_end_pass(stream.get(), &options, &needs_another, &error), "other values");
  refused(sieve_column_stream_end_pass(stream.get(), &options, &needs_another, &error), "after a failure");

  // Neighbours that nobody announced.
  stream = start(false);
  const test::Data equal = test::make_data("all-equal", 40, 20, 1);
  CHECK(add_all(stream.get(), equal.matrix(), {20}, options, &error) == SIEVE_STATUS_OK, "%s", error.message);
  CHECK(sieve_column_stream_end_pass(stream.get(), &options, &needs_another, &error) == SIEVE_STATUS_OK &&
            needs_another == 0,
        "%s", error.message);
  refused(sieve_column_stream_finish(stream.get(), &answer.result, &error), "neighbours");

  // Cancelled on the way.
  stream = start(false);
  sieve_run_options cancelled = options;
  cancelled.cancel = sieve_cancel_token_create();
  cancelled.progress = [](void* token, double) {
    sieve_cancel_token_cancel(static_cast<sieve_cancel_token*>(token));
  };
  cancelled.progress_user_data = cancelled.cancel;
  const test::Data wide = test::make_data("normal", 400, 700, 3);
  Wanted plain;
  const sieve_column_stream_request request = stream_request(wide, plain);
  sieve_column_stream* wide_stream = nullptr;
  CHECK(sieve_column_stream_create(&request, &options, &wide_stream, &error) == SIEVE_STATUS_OK, "%s",
        error.message);
  stream.reset(wide_stream);
  refused(sieve_column_stream_add(wide_stream, wide.matrix(), &cancelled, &error), "cancelled",
          SIEVE_STATUS_CANCELLED);
  refused(sieve_column_stream_add(wide_stream, wide.matrix(), &options, &error), "after a cancellation");
  sieve_cancel_token_destroy(cancelled.cancel);
}

}  // namespace

int main() {
  for (const std::string& kind : test::data_kinds()) {
    for (const size_t rows : {2, 3, 8, 17, 65}) {
      for (const size_t columns : {1, 7, 33}) test_shape(kind, rows, columns);
    }
    test_shape(kind, 97, 193);
    test_shape(kind, 20, 1025);
    test_shape(kind, test::size_unless_trimmed(403, 105), 40);
  }
  const size_t many = test::size_unless_trimmed(1200, 300);
  for (const char* kind : {"normal", "clustered", "far-clusters", "half-zero", "huge-row"}) {
    test_shape(kind, many, 65);
  }
  test_blocks_of_other_scales();
  test_oversized_rows();
  test_rounding();
  test_passes();
  test_refined_copies();
  test_skipped_rows();
  test_element_types();
  test_centers();
  test_misuse();
  return test::result("column_stream_test");
}
