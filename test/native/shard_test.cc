// Shards on every backend. Neighbours and distances must equal naive float64 and the unsharded call, to the
// bit: for any ranges of queries and references, for parts of any cut merged in any order, and for the scores
// of what was merged.
#include "separation_support.h"

namespace {

struct Lists {
  std::vector<int64_t> nearest;
  std::vector<double> distance;

  Lists() = default;
  explicit Lists(size_t count) : nearest(count, -7), distance(count, -7) {}
  sieve_neighbour_part part() const { return {nearest.data(), distance.data()}; }
  bool operator==(const Lists& other) const {
    if (nearest != other.nearest || distance.size() != other.distance.size()) return false;
    for (size_t i = 0; i < distance.size(); ++i) {
      const bool both_nan = std::isnan(distance[i]) && std::isnan(other.distance[i]);
      if (!both_nan && distance[i] != other.distance[i]) return false;
    }
    return true;
  }
};

struct Range {
  size_t first, rows;
};

sieve_matrix rows_of(const test::Data& data, Range range) {
  return {data.storage.data() + 1 + range.first * data.stride, range.rows, data.columns, data.stride,
          SIEVE_ELEMENT_FLOAT32};
}

sieve_run_options run_on(sieve_backend backend, int threads = 2) {
  sieve_run_options options{};
  options.backend = backend;
  options.threads = test::threads(threads);
  return options;
}

// The answer by its definition; rows that are not finite are nobody's neighbour and have none.
Lists naively(const test::Data& data, Range queries, Range references, size_t order) {
  const std::vector<size_t> columns = test::all_columns(data.columns);
  const auto finite = [&](size_t row) {
    return std::isfinite(test::square_distance(data, row, data, row, columns));
  };
  Lists lists(queries.rows * order);
  for (size_t i = 0; i < queries.rows; ++i) {
    const size_t query = queries.first + i;
    std::vector<test::Neighbour> all;
    for (size_t j = 0; j < references.rows; ++j) {
      const size_t reference = references.first + j;
      if (reference == query || !finite(query) || !finite(reference)) continue;
      all.push_back({test::square_distance(data, query, data, reference, columns), reference});
    }
    std::sort(all.begin(), all.end());
    for (size_t n = 0; n < order; ++n) {
      lists.nearest[i * order + n] = n < all.size() ? static_cast<int64_t>(all[n].row) : -1;
      lists.distance[i * order + n] = n < all.size() ? all[n].distance : std::nan("");
    }
  }
  return lists;
}

Lists call(const test::Data& data, Range queries, Range references, size_t order, sieve_backend backend,
           bool skip = false) {
  const sieve_run_options options = run_on(backend);
  Lists lists(queries.rows * order);
  sieve_error error{};
  CHECK(sieve_nearest_neighbours(rows_of(data, queries), static_cast<int64_t>(queries.first),
                                 rows_of(data, references), static_cast<int64_t>(references.first),
                                 static_cast<int32_t>(order), skip ? 1 : 0, &options, lists.nearest.data(),
                                 lists.distance.data(), &error) == SIEVE_STATUS_OK,
        "%s", error.message);
  return lists;
}

Lists merge(const std::vector<Lists>& parts, size_t rows, size_t order, bool in_place = false) {
  std::vector<sieve_neighbour_part> views;
  for (const Lists& part : parts) views.push_back(part.part());
  Lists merged = in_place ? parts.front() : Lists(rows * order);
  if (in_place) views.front() = merged.part();
  sieve_error error{};
  CHECK(sieve_merge_neighbours(views.data(), views.size(), rows, static_cast<int32_t>(order), nullptr,
                               merged.nearest.data(), merged.distance.data(), &error) == SIEVE_STATUS_OK,
        "%s", error.message);
  return merged;
}

Range random_range(test::Random& random, size_t rows) {
  const size_t first = random.below(rows);
  return {first, 1 + random.below(rows - first)};
}

void test_ranges(const std::string& kind, size_t rows, size_t columns, sieve_backend backend) {
  const test::Data data = test::make_data(kind, rows, columns, 11);
  test::Random random(rows * 131 + columns);
  std::vector<std::pair<Range, Range>> cases{
      {{0, rows}, {0, rows}}, {{0, 1}, {0, rows}}, {{0, rows}, {rows - 1, 1}}};
  if (rows > 1) cases.push_back({{0, rows / 2}, {rows / 2, rows - rows / 2}});
  for (int i = 0; i < 3; ++i) cases.push_back({random_range(random, rows), random_range(random, rows)});
  const Range same = random_range(random, rows);
  cases.push_back({same, same});
  for (const auto& [queries, references] : cases) {
    for (const size_t order : {size_t{1}, size_t{2}, size_t{5}, references.rows + 1}) {
      CHECK(call(data, queries, references, order, backend) == naively(data, queries, references, order),
            "%s %zux%zu %s order %zu: queries %zu+%zu references %zu+%zu", kind.c_str(), rows, columns,
            sieve_backend_name(backend), order, queries.first, queries.rows, references.first,
            references.rows);
    }
  }
}

// Every query's parts over a random cut of the references, some overlapping, merged in random order.
void test_merge(const std::string& kind, size_t rows, size_t columns, sieve_backend backend) {
  const test::Data data = test::make_data(kind, rows, columns, 12);
  test::Random random(rows * 17 + columns);
  for (const size_t order : {size_t{1}, size_t{3}}) {
    sieve_separation_request request = data.request(static_cast<int32_t>(order));
    const sieve_run_options options = run_on(backend);
    Lists whole(rows * order);
    sieve_separation_result expected{};
    expected.nearest = whole.nearest.data();
    expected.nearest_distance = whole.distance.data();
    sieve_error error{};
    CHECK(sieve_separation_index(&request, &options, &expected, &error) == SIEVE_STATUS_OK, "%s",
          error.message);

    Lists gathered;
    for (size_t first_query = 0; first_query < rows;) {
      const Range queries{first_query, std::min(rows - first_query, 1 + random.below(rows / 2))};
      std::vector<Lists> parts;
      for (size_t first = 0; first < rows;) {
        const size_t count = 1 + random.below(rows - first);
        const size_t overlap = random.below(first + 1) / 2;
        parts.push_back(call(data, queries, {first - overlap, count + overlap}, order, backend));
        first += count;
      }
      for (size_t i = parts.size(); i > 1; --i) std::swap(parts[i - 1], parts[random.below(i)]);
      const Lists merged = merge(parts, queries.rows, order);
      CHECK(merged == merge(parts, queries.rows, order, true), "in place");
      gathered.nearest.insert(gathered.nearest.end(), merged.nearest.begin(), merged.nearest.end());
      gathered.distance.insert(gathered.distance.end(), merged.distance.begin(), merged.distance.end());
      first_query += queries.rows;
    }
    CHECK(gathered == whole, "%s %zux%zu %s order %zu: merged neighbours", kind.c_str(), rows, columns,
          sieve_backend_name(backend), order);

    for (const int32_t index : {SIEVE_SEPARATION_HARD, SIEVE_SEPARATION_SOFT, SIEVE_SEPARATION_ANTI}) {
      request.kind = index;
      std::vector<double> expected_classes(4), classes(4);
      sieve_separation_result truth{}, scored{};
      truth.per_class = expected_classes.data();
      scored.per_class = classes.data();
      CHECK(sieve_separation_index(&request, &options, &truth, &error) == SIEVE_STATUS_OK, "%s",
            error.message);
      CHECK(sieve_score_neighbours(gathered.nearest.data(), rows, static_cast<int32_t>(order),
                                   data.labels.data(), data.labels.data(), rows, data.classes, index, &scored,
                                   &error) == SIEVE_STATUS_OK,
            "%s", error.message);
      CHECK(scored.value == truth.value && scored.rows_used == truth.rows_used, "%s %zu: %.17g not %.17g",
            kind.c_str(), rows, scored.value, truth.value);
      for (size_t c = 0; c < 4; ++c) {
        CHECK(
            classes[c] == expected_classes[c] || (std::isnan(classes[c]) && std::isnan(expected_classes[c])),
            "%s %zu class %zu: %.17g not %.17g", kind.c_str(), rows, c, classes[c], expected_classes[c]);
      }
    }
  }
}

// Ranges of queries cover all rows: their hits add up to the whole call's, and each row's class is the same.
void test_centers(const std::string& kind, size_t rows, size_t columns, sieve_backend backend) {
  test::Data data = test::make_data(kind, rows, columns, 13);
  test::Random random(rows + columns);
  const bool skip = rows > 8;
  if (skip) data.at(3, columns - 1) = INFINITY;
  sieve_separation_request request = data.request();
  request.skip_non_finite = skip ? 1 : 0;
  const sieve_run_options options = run_on(backend);
  sieve_error error{};
  std::vector<int32_t> expected(rows);
  sieve_center_result whole{};
  whole.nearest = expected.data();
  CHECK(sieve_center_separation_index(&request, &options, &whole, &error) == SIEVE_STATUS_OK, "%s",
        error.message);
  std::vector<int32_t> nearest(rows, -9);
  double hits = 0;
  int64_t used = 0;
  for (size_t first = 0; first < rows;) {
    const size_t count = std::min(rows - first, 2 + random.below(rows));
    std::vector<double> centers(4 * columns), classes(4);
    sieve_center_result shard{};
    shard.nearest = nearest.data() + first;
    shard.per_class = classes.data();
    shard.centers = centers.data();
    const sieve_status status =
        sieve_center_separation_shard(&request, first, count, &options, &shard, &error);
    const bool only_skipped = skip && count == 1 && first == 3;
    CHECK(status == (only_skipped ? SIEVE_STATUS_INVALID_ARGUMENT : SIEVE_STATUS_OK), "%s", error.message);
    if (only_skipped) nearest[first] = -1;
    if (!only_skipped) {
      hits += shard.value * static_cast<double>(shard.rows_used);
      used += shard.rows_used;
    }
    first += count;
  }
  CHECK(nearest == expected && used == whole.rows_used, "%s %zux%zu %s", kind.c_str(), rows, columns,
        sieve_backend_name(backend));
  CHECK(std::round(hits) / static_cast<double>(used) == whole.value, "%s %zu: %g of %lld, not %g",
        kind.c_str(), rows, hits, static_cast<long long>(used), whole.value);
}

void test_non_finite(sieve_backend backend) {
  test::Data data = test::make_data("normal", 20, 6, 14);
  data.at(4, 2) = std::nanf("");
  data.at(15, 0) = INFINITY;
  for (const auto& [queries, references] : std::vector<std::pair<Range, Range>>{
           {{0, 20}, {0, 20}}, {{0, 10}, {3, 17}}, {{4, 1}, {0, 20}}, {{0, 20}, {4, 1}}}) {
    CHECK(call(data, queries, references, 2, backend, true) == naively(data, queries, references, 2),
          "%s %zu+%zu", sieve_backend_name(backend), queries.first, queries.rows);
  }
  const sieve_run_options options = run_on(backend);
  std::vector<int64_t> nearest(20);
  sieve_error error{};
  CHECK(sieve_nearest_neighbours(rows_of(data, {2, 5}), 2, rows_of(data, {5, 5}), 5, 1, 0, &options,
                                 nearest.data(), nullptr, &error) == SIEVE_STATUS_NON_FINITE &&
            error.row == 2 && std::string(error.message).find("queries") != std::string::npos,
        "row %lld: %s", static_cast<long long>(error.row), error.message);
  CHECK(sieve_nearest_neighbours(rows_of(data, {5, 5}), 5, rows_of(data, {10, 10}), 10, 1, 0, &options,
                                 nearest.data(), nullptr, &error) == SIEVE_STATUS_NON_FINITE &&
            error.row == 5 && std::string(error.message).find("references") != std::string::npos,
        "row %lld: %s", static_cast<long long>(error.row), error.message);
}

// Numbers beyond 32 bits; the same numbers on other data still mean the same sample.
void test_numbers() {
  const test::Data data = test::make_data("copies", 12, 5, 15);
  const int64_t base = int64_t{1} << 40;
  Lists near(24), far(24);
  sieve_error error{};
  const sieve_matrix all = rows_of(data, {0, 12});
  CHECK(sieve_nearest_neighbours(all, 0, all, 0, 2, 0, nullptr, near.nearest.data(), near.distance.data(),
                                 &error) == SIEVE_STATUS_OK,
        "%s", error.message);
  CHECK(sieve_nearest_neighbours(all, base, all, base, 2, 0, nullptr, far.nearest.data(), far.distance.data(),
                                 &error) == SIEVE_STATUS_OK,
        "%s", error.message);
  for (int64_t& number : far.nearest) number -= base;
  CHECK(near == far, "numbers from 2^40 on");
  // The same rows under other numbers: each sample has its own copy at distance 0.
  CHECK(sieve_nearest_neighbours(all, 0, all, 12, 2, 0, nullptr, far.nearest.data(), far.distance.data(),
                                 &error) == SIEVE_STATUS_OK,
        "%s", error.message);
  for (size_t row = 0; row < 12; ++row) {
    CHECK(far.distance[2 * row] == 0 && far.nearest[2 * row] <= static_cast<int64_t>(12 + row), "row %zu",
          row);
  }
}

template <typename Call>
void refused(const char* what, Call&& call_it, sieve_status wanted, int64_t row = -1) {
  sieve_error error{};
  const sieve_status status = call_it(&error);
  CHECK(status == wanted && error.row == row, "%s: status %d row %lld: %s", what, status,
        static_cast<long long>(error.row), error.message);
  CHECK(std::string(error.message).rfind("Expected ", 0) == 0, "%s: %s", what, error.message);
}

void test_refusals() {
  const test::Data data = test::make_data("normal", 6, 3, 16);
  const sieve_matrix all = rows_of(data, {0, 6});
  std::vector<int64_t> nearest(12);
  std::vector<double> distance(12);
  const auto search = [&](const sieve_matrix& references, int64_t first, int32_t order, int64_t* out) {
    return [=](sieve_error* error) {
      return sieve_nearest_neighbours(all, 0, references, first, order, 0, nullptr, out, nullptr, error);
    };
  };
  sieve_matrix narrow = all;
  narrow.columns = 2;
  refused("order 0", search(all, 0, 0, nearest.data()), SIEVE_STATUS_INVALID_ARGUMENT);
  refused("a negative number", search(all, -1, 1, nearest.data()), SIEVE_STATUS_INVALID_ARGUMENT);
  refused("numbers past 63 bits", search(all, INT64_MAX - 3, 1, nearest.data()),
          SIEVE_STATUS_INVALID_ARGUMENT);
  refused("no output", search(all, 0, 1, nullptr), SIEVE_STATUS_INVALID_ARGUMENT);
  refused("other columns", search(narrow, 0, 1, nearest.data()), SIEVE_STATUS_INVALID_ARGUMENT);
  refused("no data", search({}, 0, 1, nearest.data()), SIEVE_STATUS_INVALID_ARGUMENT);

  const double nan = std::nan("");
  struct Wrong {
    const char* what;
    std::vector<int64_t> nearest;
    std::vector<double> distance;
  };
  for (const Wrong& wrong :
       {Wrong{"descending", {1, 2, 3, 4}, {1, 2, 2, 1}},
        Wrong{"a tie descending", {1, 2, 4, 3}, {1, 2, 2, 2}}, Wrong{"twice", {1, 2, 3, 3}, {1, 2, 2, 2}},
        Wrong{"a hole", {1, 2, -1, 3}, {1, 2, nan, 2}},
        Wrong{"-1 with a distance", {1, 2, 3, -1}, {1, 2, 2, 3}},
        Wrong{"a number without distance", {1, 2, 3, 4}, {1, 2, 2, nan}},
        Wrong{"a negative number", {1, 2, -2, 4}, {1, 2, 2, 3}},
        Wrong{"a negative distance", {1, 2, 3, 4}, {1, 2, -2, 3}},
        Wrong{"infinitely far", {1, 2, 3, 4}, {1, 2, 2, INFINITY}}}) {
    const sieve_neighbour_part part{wrong.nearest.data(), wrong.distance.data()};
    refused(
        wrong.what,
        [&](sieve_error* error) {
          return sieve_merge_neighbours(&part, 1, 2, 2, nullptr, nearest.data(), distance.data(), error);
        },
        SIEVE_STATUS_INVALID_ARGUMENT, 1);
  }
  const int64_t number = 3;
  const double near = 1, far = 2;
  const sieve_neighbour_part disagreeing[2] = {{&number, &near}, {&number, &far}};
  refused(
      "one reference at two distances",
      [&](sieve_error* error) {
        return sieve_merge_neighbours(disagreeing, 2, 1, 1, nullptr, nearest.data(), distance.data(), error);
      },
      SIEVE_STATUS_INVALID_ARGUMENT, 0);
  refused(
      "no parts",
      [&](sieve_error* error) {
        return sieve_merge_neighbours(disagreeing, 0, 1, 1, nullptr, nearest.data(), nullptr, error);
      },
      SIEVE_STATUS_INVALID_ARGUMENT);

  const auto score = [&](std::vector<int64_t> lists, std::vector<int32_t> labels) {
    return [=](sieve_error* error) {
      sieve_separation_result result{};
      return sieve_score_neighbours(lists.data(), lists.size() / 2, 2, labels.data(), data.labels.data(), 6,
                                    4, SIEVE_SEPARATION_HARD, &result, error);
    };
  };
  refused("fewer neighbours", score({0, 1, 2, -1}, {0, 0}), SIEVE_STATUS_INVALID_ARGUMENT, 1);
  refused("a reference too far", score({0, 1, 2, 6}, {0, 0}), SIEVE_STATUS_INVALID_ARGUMENT, 1);
  refused("a label too high", score({0, 1, 2, 5}, {0, 4}), SIEVE_STATUS_INVALID_LABEL, 1);
  refused("no neighbours at all", score({-1, -1, -1, -1}, {0, 0}), SIEVE_STATUS_INVALID_ARGUMENT);

  const sieve_separation_request request = data.request();
  for (const Range range : {Range{0, 0}, Range{6, 1}, Range{2, 5}, Range{SIZE_MAX, 2}}) {
    refused(
        "a range past the rows",
        [&](sieve_error* error) {
          sieve_center_result result{};
          return sieve_center_separation_shard(&request, range.first, range.rows, nullptr, &result, error);
        },
        SIEVE_STATUS_INVALID_ARGUMENT);
  }

  sieve_cancel_token* token = sieve_cancel_token_create();
  sieve_cancel_token_cancel(token);
  sieve_run_options options{};
  options.cancel = token;
  refused(
      "cancelled",
      [&](sieve_error* error) {
        return sieve_nearest_neighbours(all, 0, all, 0, 1, 0, &options, nearest.data(), nullptr, error);
      },
      SIEVE_STATUS_CANCELLED);
  sieve_cancel_token_destroy(token);
}

}  // namespace

int main() {
  for (const sieve_backend backend : test::backends()) {
    for (const std::string& kind : test::data_kinds()) {
      for (const size_t rows : {1, 2, 3, 7, 8, 9, 15, 16, 17, 31, 33, 63, 64, 65})
        test_ranges(kind, rows, 5, backend);
      test_ranges(kind, 130, 200, backend);
      for (const size_t rows : {5, 9, 33, 65}) test_merge(kind, rows, 7, backend);
      test_merge(kind, 150, 129, backend);
      for (const size_t rows : {2, 9, 33, 100}) test_centers(kind, rows, 7, backend);
    }
    test_non_finite(backend);
  }
  test_numbers();
  test_refusals();
  return test::result("shard_test");
}
