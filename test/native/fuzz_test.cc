// Random calls of the separation functions of the C ABI. Right arguments must give what naive float64 gives;
// wrong ones a status that one of them explains, and the row that is to blame. SIEVE_FUZZ_SEED (default 1)
// and SIEVE_FUZZ_CASES choose others; a failure prints the seed of its case, which SIEVE_FUZZ_SEED reproduces
// with SIEVE_FUZZ_CASES=1.
#include <functional>

#include "fuzz_support.h"

namespace {

using test::Data;
using test::Faults;
using test::Neighbour;
using test::Random;
using test::RandomMatrix;

uint64_t seed_of_case = 0;

#define CHECK_CASE(condition, what)                                               \
  CHECK(condition, "SIEVE_FUZZ_SEED=%llu SIEVE_FUZZ_CASES=1: %s: status %d (%s)", \
        static_cast<unsigned long long>(seed_of_case), what, status, error.message)

// One random call in the making: matrix, request and options, with what is wrong about them.
struct Call {
  Random& random;
  Faults faults;
  size_t filters = 1, dims = 1;
  RandomMatrix features;
  std::vector<int32_t> labels;
  sieve_separation_request request{};
  sieve_run_options options{};
  const sieve_run_options* run = &options;
  bool spoiled = false;
  bool only_row_to_blame = true;  // nothing but one bad row or label is wrong
  int64_t bad_row = -1;

  static size_t some_rows(Random& random) {
    static const size_t kEdges[] = {1, 2, 3, 7, 8, 9, 15, 16, 17, 31, 32, 33, 63, 64, 65, 96, 97, 200};
    return random.below(3) == 0 ? kEdges[random.below(18)] : 1 + random.below(40);
  }
  static size_t some_dims(Random& random) {
    static const size_t kEdges[] = {1, 2, 7, 8, 15, 16, 17, 31, 32, 33, 63, 64, 65, 191, 193, 511, 513, 700};
    return random.below(3) == 0 ? kEdges[random.below(18)] : 1 + random.below(40);
  }

  explicit Call(Random& of, size_t filter_count = 1)
      : random(of),
        faults(of),
        filters(filter_count),
        dims(filter_count == 1 ? some_dims(of) : 1 + of.below(12)),
        features(of, some_rows(of), filter_count * dims) {
    labels = features.decoded.labels;
    request.features = features.matrix();
    request.class_count = features.decoded.classes;
    request.kind = static_cast<int32_t>(random.below(3));
    request.order = static_cast<int32_t>(random.below(4));
    request.skip_non_finite = random.below(2) == 0 ? 1 : 0;
    const auto& backends = test::backends();
    options.backend = random.below(8) == 0 ? SIEVE_BACKEND_AUTO : backends[random.below(backends.size())];
    const int32_t threads[] = {0, 1, 1, 2, 3, 7};
    options.threads = threads[random.below(6)];
    if (random.below(20) == 0) run = nullptr;
    spoil();
  }

  size_t order() const { return request.order == 0 ? 1 : static_cast<size_t>(request.order); }
  size_t rows() const { return features.decoded.rows; }

  void wrong(sieve_status status = SIEVE_STATUS_INVALID_ARGUMENT) {
    faults.add(status);
    only_row_to_blame = false;
  }
  bool inject() {
    if (!faults.inject(SIEVE_STATUS_INVALID_ARGUMENT)) return false;
    only_row_to_blame = false;
    return true;
  }

 private:
  void spoil() {
    sieve_matrix& matrix = request.features;
    request.labels = labels.data();
    if (random.below(5) == 0) {
      spoiled = features.spoil(random);
      if (request.skip_non_finite == 0) {
        faults.add(SIEVE_STATUS_NON_FINITE);
        for (size_t row = rows(); row-- > 0;) {
          for (size_t k = 0; k < features.decoded.columns; ++k) {
            if (!std::isfinite(features.decoded.at(row, k))) bad_row = static_cast<int64_t>(row);
          }
        }
      }
    }
    if (inject()) request.features.data = nullptr;
    if (inject()) matrix.rows = random.below(2) == 0 ? 0 : SIZE_MAX / 2;
    if (inject()) matrix.columns = random.below(2) == 0 ? 0 : SIZE_MAX / 2;
    if (matrix.columns > 1 && inject()) matrix.row_stride = matrix.columns - 1;
    if (inject()) matrix.row_stride = SIZE_MAX / 4;
    if (inject()) matrix.element_type = random.below(2) == 0 ? -1 : 3;
    if (inject()) request.labels = nullptr;
    if (inject()) request.class_count = random.below(2) == 0 ? 0 : -5;
    if (inject()) request.kind = random.below(2) == 0 ? -1 : 3;
    if (run != nullptr && inject()) options.threads = -3;
    if (run != nullptr && inject()) options.backend = random.below(2) == 0 ? -1 : SIEVE_BACKEND_COUNT;
    if (faults.inject(SIEVE_STATUS_INVALID_LABEL, 40)) {
      const size_t row = random.below(rows());
      const int32_t values[] = {-1, request.class_count, INT32_MAX, INT32_MIN};
      labels[row] = values[random.below(4)];
      bad_row = spoiled && request.skip_non_finite == 0 ? -1 : static_cast<int64_t>(row);
    }
  }
};

// Whether the call must have succeeded, after checks of what it says if not.
bool must_succeed(const Call& call, sieve_status status, const sieve_error& error, const char* what) {
  if (call.faults.none()) {
    CHECK_CASE(status == SIEVE_STATUS_OK, what);
    return status == SIEVE_STATUS_OK;
  }
  CHECK_CASE(call.faults.explains(status), what);
  CHECK_CASE(error.status == status && error.message[0] != '\0', what);
  const bool about_row = status == SIEVE_STATUS_INVALID_LABEL || status == SIEVE_STATUS_NON_FINITE;
  CHECK_CASE(about_row == (error.row >= 0), what);
  if (call.only_row_to_blame && about_row && call.bad_row >= 0) CHECK_CASE(error.row == call.bad_row, what);
  return false;
}

// Outputs with a guard behind them. Sanitizers see a step outside; this sees it without them.
template <typename T>
struct Guarded {
  std::vector<T> values;
  size_t count;
  T guard;
  Guarded(size_t size, T value) : values(size + 3, value), count(size), guard(value) {}
  T* data() { return values.data(); }
  bool intact() const {
    return std::all_of(values.begin() + static_cast<std::ptrdiff_t>(count), values.end(),
                       [&](const T& value) { return value == guard; });
  }
};

struct SeparationOutput {
  Guarded<double> per_class, distances;
  Guarded<int64_t> nearest;
  sieve_separation_result result{};

  SeparationOutput(Random& random, const Call& call)
      : per_class(static_cast<size_t>(call.features.decoded.classes), -8),
        distances(call.rows() * call.order(), -8),
        nearest(call.rows() * call.order(), -8) {
    if (random.below(4) != 0) result.per_class = per_class.data();
    if (random.below(2) == 0) result.nearest = nearest.data();
    if (result.nearest != nullptr && random.below(2) == 0) result.nearest_distance = distances.data();
  }

  void compare(const Call& call, const Data& queries, const std::vector<size_t>& query_rows,
               const Data& references, const std::vector<size_t>& reference_rows, sieve_status status,
               const sieve_error& error, const char* what) {
    const auto truth =
        test::neighbours_naively(queries, references, call.order(), test::all_columns(queries.columns));
    const test::Scores scores =
        test::scores_naively(queries, references, truth, call.order(), call.request.kind);
    CHECK_CASE(test::same_score(result.value, scores.value), what);
    CHECK_CASE(result.rows_used == static_cast<int64_t>(queries.rows), what);
    CHECK_CASE(per_class.intact() && distances.intact() && nearest.intact(), what);
    for (size_t c = 0; result.per_class != nullptr && c < scores.per_class.size(); ++c) {
      CHECK_CASE(test::same_score(per_class.values[c], scores.per_class[c]), what);
    }
    if (result.nearest == nullptr) return;
    std::vector<int64_t> expected(call.rows() * call.order(), -1);
    bool distances_equal = true;
    for (size_t i = 0; i < queries.rows; ++i) {
      for (size_t n = 0; n < call.order(); ++n) {
        const size_t at = query_rows[i] * call.order() + n;
        expected[at] = static_cast<int64_t>(reference_rows[truth[i][n].row]);
        if (result.nearest_distance != nullptr) {
          distances_equal = distances_equal && distances.values[at] == truth[i][n].distance;
        }
      }
    }
    CHECK_CASE(std::equal(expected.begin(), expected.end(), nearest.values.begin()), what);
    CHECK_CASE(distances_equal, what);
  }
};

void fuzz_separation(Random& random) {
  Call call(random);
  std::vector<size_t> rows;
  const Data data = call.features.finite_rows(rows);
  SeparationOutput output(random, call);
  if (data.rows < 2) call.wrong();
  if (call.inject()) call.request.order = random.below(2) == 0 ? -1 : INT32_MAX;
  if (call.order() + 1 > data.rows) call.wrong();
  const sieve_separation_request* request = call.inject() ? nullptr : &call.request;
  sieve_separation_result* result = call.inject() ? nullptr : &output.result;
  if (output.result.nearest == nullptr && call.inject()) {
    output.result.nearest_distance = output.distances.data();
  }
  sieve_error error{};
  const sieve_status status = sieve_separation_index(request, call.run, result, &error);
  if (must_succeed(call, status, error, "separation")) {
    output.compare(call, data, rows, data, rows, status, error, "separation");
  }
}

void fuzz_cross(Random& random) {
  Call call(random);
  RandomMatrix reference(random, Call::some_rows(random), call.features.decoded.columns);
  std::vector<size_t> query_rows, reference_rows;
  const Data queries = call.features.finite_rows(query_rows);
  const Data references = reference.finite_rows(reference_rows);
  SeparationOutput output(random, call);
  sieve_matrix matrix = reference.matrix();
  if (queries.rows < 1 || call.order() > references.rows) call.wrong();
  if (call.inject()) matrix.columns += 1;
  if (call.inject()) matrix.data = nullptr;
  std::vector<int32_t> labels = reference.decoded.labels;
  const int32_t* reference_labels = call.inject() ? nullptr : labels.data();
  if (call.faults.inject(SIEVE_STATUS_INVALID_LABEL)) {
    labels[random.below(labels.size())] = -1;
    call.only_row_to_blame = false;
  }
  sieve_error error{};
  const sieve_status status =
      sieve_cross_separation_index(&call.request, matrix, reference_labels, call.run, &output.result, &error);
  if (must_succeed(call, status, error, "cross")) {
    output.compare(call, queries, query_rows, references, reference_rows, status, error, "cross");
  }
}

void fuzz_neighbours(Random& random) {
  Call call(random);
  const bool same = random.below(2) == 0;
  RandomMatrix other(random, Call::some_rows(random), call.features.decoded.columns);
  const RandomMatrix& reference = same ? call.features : other;
  std::vector<size_t> query_rows, reference_rows;
  const Data queries = call.features.finite_rows(query_rows);
  const Data references = reference.finite_rows(reference_rows);
  const size_t order = call.order();
  const auto first_query = static_cast<int64_t>(random.below(60));
  auto first_reference = random.below(3) == 0 ? first_query : static_cast<int64_t>(random.below(60));
  Guarded<int64_t> nearest(call.rows() * order, -8);
  Guarded<double> distances(call.rows() * order, -8);
  sieve_matrix matrix = same ? call.request.features : reference.matrix();
  // What only functions with labels look at is wrong elsewhere.
  const bool no_labels_wrong = call.request.labels != nullptr && call.request.class_count > 0 &&
                               call.request.kind >= 0 && call.request.kind <= 2 &&
                               !call.faults.explains(SIEVE_STATUS_INVALID_LABEL);
  if (!no_labels_wrong) return;
  if (call.inject()) first_reference = -1;
  if (call.inject()) first_reference = INT64_MAX;
  const int32_t asked = call.inject() ? 0 : static_cast<int32_t>(order);
  int64_t* out = call.inject() ? nullptr : nearest.data();
  sieve_error error{};
  const sieve_status status = sieve_nearest_neighbours(
      call.request.features, first_query, matrix, first_reference, asked, call.request.skip_non_finite,
      call.run, out, random.below(4) == 0 ? nullptr : distances.data(), &error);
  if (!must_succeed(call, status, error, "neighbours")) return;
  std::vector<int64_t> expected(call.rows() * order, -1);
  std::vector<double> expected_distances(expected.size(), NAN);
  const std::vector<size_t> columns = test::all_columns(queries.columns);
  for (size_t i = 0; i < queries.rows; ++i) {
    std::vector<Neighbour> all;
    for (size_t j = 0; j < references.rows; ++j) {
      if (first_query + static_cast<int64_t>(query_rows[i]) ==
          first_reference + static_cast<int64_t>(reference_rows[j]))
        continue;
      all.push_back({test::square_distance(queries, i, references, j, columns), reference_rows[j]});
    }
    std::sort(all.begin(), all.end());
    for (size_t n = 0; n < std::min(order, all.size()); ++n) {
      expected[query_rows[i] * order + n] = first_reference + static_cast<int64_t>(all[n].row);
      expected_distances[query_rows[i] * order + n] = all[n].distance;
    }
  }
  CHECK_CASE(std::equal(expected.begin(), expected.end(), nearest.values.begin()), "neighbours");
  CHECK_CASE(nearest.intact() && distances.intact(), "neighbours");
  for (size_t i = 0; distances.values[0] != -8 && i < expected.size(); ++i) {
    CHECK_CASE(test::same_score(distances.values[i], expected_distances[i]), "neighbour distances");
  }
}

// By definition: the mean of each class, then the nearest mean, ties to the lowest class.
std::vector<int32_t> nearest_centers_naively(const Data& data, size_t first_column, size_t columns) {
  const auto classes = static_cast<size_t>(data.classes);
  std::vector<std::vector<double>> mean(classes, std::vector<double>(columns, 0));
  std::vector<double> counts(classes, 0);
  for (size_t i = 0; i < data.rows; ++i) {
    const auto c = static_cast<size_t>(data.labels[i]);
    counts[c] += 1;
    for (size_t k = 0; k < columns; ++k) mean[c][k] += data.at(i, first_column + k);
  }
  for (size_t c = 0; c < classes; ++c) {
    for (double& value : mean[c]) value /= counts[c];
  }
  std::vector<int32_t> nearest(data.rows);
  for (size_t i = 0; i < data.rows; ++i) {
    double least = std::numeric_limits<double>::infinity();
    for (size_t c = 0; c < classes; ++c) {
      if (counts[c] == 0) continue;
      double distance = 0;
      for (size_t k = 0; k < columns; ++k) {
        const double difference = data.at(i, first_column + k) - mean[c][k];
        distance += difference * difference;
      }
      if (distance < least) {
        least = distance;
        nearest[i] = static_cast<int32_t>(c);
      }
    }
  }
  return nearest;
}

double share_of_hits(const std::vector<int32_t>& nearest, const Data& data) {
  double hits = 0;
  for (size_t i = 0; i < data.rows; ++i) hits += nearest[i] == data.labels[i];
  return hits / static_cast<double>(data.rows);
}

void fuzz_center(Random& random) {
  Call call(random);
  std::vector<size_t> rows;
  const Data data = call.features.finite_rows(rows);
  if (data.rows < 2) call.wrong();
  Guarded<int32_t> nearest(call.rows(), -8);
  sieve_center_result result{};
  result.nearest = nearest.data();
  sieve_error error{};
  const sieve_status status = sieve_center_separation_index(&call.request, call.run, &result, &error);
  if (!must_succeed(call, status, error, "centre")) return;
  const std::vector<int32_t> truth = nearest_centers_naively(data, 0, data.columns);
  std::vector<int32_t> expected(call.rows(), -1);
  for (size_t i = 0; i < data.rows; ++i) expected[rows[i]] = truth[i];
  CHECK_CASE(std::equal(expected.begin(), expected.end(), nearest.values.begin()), "centre");
  CHECK_CASE(nearest.intact(), "centre");
  CHECK_CASE(test::same_score(result.value, share_of_hits(truth, data)), "centre");
}

void fuzz_filters(Random& random) {
  Call call(random, 2 + random.below(4));
  std::vector<size_t> rows;
  const Data data = call.features.finite_rows(rows);
  const auto index_kind = static_cast<int32_t>(random.below(2));
  const bool by_center = index_kind == SIEVE_INDEX_CENTER;
  if (data.rows < 2 || (!by_center && call.order() + 1 > data.rows)) call.wrong();
  size_t filters = call.filters;
  if (call.inject()) filters = random.below(2) == 0 ? 0 : call.request.features.columns + 1;
  const int32_t asked_kind = call.inject() ? 2 : index_kind;
  Guarded<double> values(call.filters, -8);
  sieve_error error{};
  const sieve_status status = sieve_filter_separation(&call.request, filters, asked_kind, call.run,
                                                      call.inject() ? nullptr : values.data(), &error);
  if (!must_succeed(call, status, error, "filters")) return;
  std::vector<double> alone;
  for (size_t f = 0; f < call.filters; ++f) {
    std::vector<size_t> columns(call.dims);
    std::iota(columns.begin(), columns.end(), f * call.dims);
    const auto neighbours = by_center ? std::vector<std::vector<Neighbour>>()
                                      : test::neighbours_naively(data, data, call.order(), columns);
    alone.push_back(
        by_center ? share_of_hits(nearest_centers_naively(data, f * call.dims, call.dims), data)
                  : test::scores_naively(data, data, neighbours, call.order(), call.request.kind).value);
    CHECK_CASE(test::same_score(values.values[f], alone[f]), "filter");
  }
  CHECK_CASE(values.intact(), "filters");

  // The first step of the greedy selection takes the best of these, the lowest of equals; its end is all.
  Guarded<int32_t> order(call.filters, -8);
  Guarded<double> curve(call.filters, -8);
  const sieve_status selected =
      sieve_select_filters(&call.request, call.filters, SIEVE_SELECTION_GREEDY, index_kind, 0, call.run,
                           order.data(), curve.data(), &error);
  size_t best = 0;
  for (size_t f = 1; f < alone.size(); ++f) best = alone[f] > alone[best] + 1e-12 ? f : best;
  CHECK_CASE(selected == SIEVE_STATUS_OK, "selection");
  CHECK_CASE(order.values[0] == static_cast<int32_t>(best) && order.intact() && curve.intact(), "selection");
  CHECK_CASE(test::same_score(curve.values[0], alone[best]), "selection");

  // Every set of the selection, asked for by itself.
  std::vector<int32_t> members;
  std::vector<int64_t> offsets{0};
  for (size_t step = 0; step < call.filters; ++step) {
    members.insert(members.end(), order.values.begin(),
                   order.values.begin() + static_cast<std::ptrdiff_t>(step + 1));
    offsets.push_back(static_cast<int64_t>(members.size()));
  }
  Guarded<double> sets(call.filters, -8);
  CHECK_CASE(
      sieve_subset_separation(&call.request, call.filters, members.data(), offsets.data(), call.filters,
                              index_kind, call.run, sets.data(), &error) == SIEVE_STATUS_OK,
      "subsets");
  for (size_t s = 0; s < call.filters; ++s) {
    CHECK_CASE(test::same_score(sets.values[s], curve.values[s]), "subsets against the selection");
  }
}

uint64_t number_from(const char* name, uint64_t otherwise) {
  const char* text = std::getenv(name);
  return text == nullptr ? otherwise : std::strtoull(text, nullptr, 10);
}

}  // namespace

int main() {
  const uint64_t first = number_from("SIEVE_FUZZ_SEED", 1);
  const uint64_t cases = number_from("SIEVE_FUZZ_CASES", test::size_unless_trimmed(4000, 1000));
  const std::vector<std::function<void(Random&)>> kinds{fuzz_separation, fuzz_cross, fuzz_neighbours,
                                                        fuzz_center, fuzz_filters};
  for (uint64_t i = 0; i < cases; ++i) {
    seed_of_case = first + i;
    Random random(seed_of_case);
    kinds[random.below(kinds.size())](random);
  }
  return test::result("fuzz_test");
}
