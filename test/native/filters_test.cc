// Indices of filters, subsets and selections, every backend against naive float64 on the extracted columns.
#include <cstring>
#include <iterator>

#include "separation_support.h"

namespace {

std::vector<size_t> columns_of(std::vector<int32_t> filters, size_t dims) {
  std::sort(filters.begin(), filters.end());
  std::vector<size_t> columns;
  for (const int32_t filter : filters) {
    for (size_t k = 0; k < dims; ++k) columns.push_back(static_cast<size_t>(filter) * dims + k);
  }
  return columns;
}

double center_index_naively(const test::Data& data, const std::vector<size_t>& columns) {
  std::vector<std::vector<double>> mean(static_cast<size_t>(data.classes),
                                        std::vector<double>(columns.size(), 0));
  std::vector<double> counts(static_cast<size_t>(data.classes), 0);
  for (size_t i = 0; i < data.rows; ++i) {
    const size_t c = static_cast<size_t>(data.labels[i]);
    counts[c] += 1;
    for (size_t k = 0; k < columns.size(); ++k) mean[c][k] += data.at(i, columns[k]);
  }
  double hits = 0;
  for (size_t c = 0; c < mean.size(); ++c) {
    for (double& value : mean[c]) value /= counts[c];
  }
  for (size_t i = 0; i < data.rows; ++i) {
    double least = std::numeric_limits<double>::infinity();
    size_t nearest = 0;
    for (size_t c = 0; c < mean.size(); ++c) {
      if (counts[c] == 0) continue;
      double distance = 0;
      for (size_t k = 0; k < columns.size(); ++k) {
        const double difference = data.at(i, columns[k]) - mean[c][k];
        distance += difference * difference;
      }
      if (distance < least) {
        least = distance;
        nearest = c;
      }
    }
    hits += nearest == static_cast<size_t>(data.labels[i]);
  }
  return hits / static_cast<double>(data.rows);
}

struct Problem {
  test::Data data;
  size_t filters;
  size_t dims;
  int32_t order;
  int32_t kind;
  int32_t index_kind;
};

double index_naively(const Problem& p, const std::vector<int32_t>& filters) {
  const std::vector<size_t> columns = columns_of(filters, p.dims);
  if (p.index_kind == SIEVE_INDEX_CENTER) return center_index_naively(p.data, columns);
  const size_t order = static_cast<size_t>(p.order);
  return test::scores_naively(p.data, p.data, test::neighbours_naively(p.data, p.data, order, columns), order,
                              p.kind)
      .value;
}

struct Selection {
  std::vector<int32_t> order;
  std::vector<double> curve;
};

// Scores here are sums of equal doubles in one order, so equal indices are equal doubles.
Selection select_naively(const Problem& p, int32_t strategy) {
  Selection selection;
  std::vector<double> alone;
  for (size_t f = 0; f < p.filters; ++f) alone.push_back(index_naively(p, {static_cast<int32_t>(f)}));
  std::vector<uint8_t> taken(p.filters, 0);
  for (size_t step = 0; step < p.filters; ++step) {
    int32_t best = -1;
    double best_value = -1;
    for (size_t f = 0; f < p.filters; ++f) {
      if (taken[f] != 0) continue;
      std::vector<int32_t> joint = selection.order;
      joint.push_back(static_cast<int32_t>(f));
      const double value = strategy == SIEVE_SELECTION_RANK ? alone[f] : index_naively(p, joint);
      if (value > best_value + 1e-12) {
        best_value = value;
        best = static_cast<int32_t>(f);
      }
    }
    taken[static_cast<size_t>(best)] = 1;
    selection.order.push_back(best);
    selection.curve.push_back(index_naively(p, selection.order));
  }
  return selection;
}

void test_problem(const Problem& p, const std::string& name) {
  const std::vector<int32_t> members{0, static_cast<int32_t>(p.filters) - 1, 1, 0, 1};
  const std::vector<int64_t> offsets{0, 2, 3, 5};  // {0, last}, {1}, {0, 1}
  const Selection greedy = select_naively(p, SIEVE_SELECTION_GREEDY);
  const Selection ranked = select_naively(p, SIEVE_SELECTION_RANK);
  for (const sieve_backend backend : test::backends()) {
    const std::string at = name + " " + sieve_backend_name(backend) + " index " +
                           std::to_string(p.index_kind) + " order " + std::to_string(p.order);
    sieve_run_options options{};
    options.backend = backend;
    options.threads = test::threads(3);
    sieve_separation_request request = p.data.request(p.order, p.kind);
    sieve_error error{};

    std::vector<double> each(p.filters);
    CHECK(sieve_filter_separation(&request, p.filters, p.index_kind, &options, each.data(), &error) == 0,
          "%s", error.message);
    for (size_t f = 0; f < p.filters; ++f) {
      const double expected = index_naively(p, {static_cast<int32_t>(f)});
      CHECK(test::same_score(each[f], expected), "%s filter %zu: %g not %g", at.c_str(), f, each[f],
            expected);
    }

    std::vector<double> sets(3);
    CHECK(sieve_subset_separation(&request, p.filters, members.data(), offsets.data(), 3, p.index_kind,
                                  &options, sets.data(), &error) == 0,
          "%s", error.message);
    for (size_t s = 0; s < 3; ++s) {
      const double expected =
          index_naively(p, {members.begin() + offsets[s], members.begin() + offsets[s + 1]});
      CHECK(test::same_score(sets[s], expected), "%s set %zu: %g not %g", at.c_str(), s, sets[s], expected);
    }

    for (const int32_t strategy : {SIEVE_SELECTION_GREEDY, SIEVE_SELECTION_RANK}) {
      const Selection& truth = strategy == SIEVE_SELECTION_GREEDY ? greedy : ranked;
      for (const size_t limit : {size_t{0}, p.filters / 2}) {
        std::vector<int32_t> order(p.filters);
        std::vector<double> curve(p.filters);
        CHECK(sieve_select_filters(&request, p.filters, strategy, p.index_kind, limit, &options, order.data(),
                                   curve.data(), &error) == 0,
              "%s", error.message);
        for (size_t i = 0; i < p.filters; ++i) {
          const bool wanted = limit == 0 || i < limit;
          CHECK(order[i] == (wanted ? truth.order[i] : -1),
                "%s strategy %d limit %zu step %zu: filter %d not %d", at.c_str(), strategy, limit, i,
                order[i], truth.order[i]);
          CHECK(wanted ? test::same_score(curve[i], truth.curve[i]) : std::isnan(curve[i]),
                "%s strategy %d step %zu: %g not %g", at.c_str(), strategy, i, curve[i], truth.curve[i]);
        }
      }
    }
  }
}

// Two classes opposite each other, the same in all of the first `used` columns. Half of the rows have
// values whose sum, and so which mean is nearer, is one unit in the last place of 1: roundings decide where
// no bound stops them. All rotations of a row are there, so that the means are the same in all those columns.
test::Data balanced(size_t columns, size_t used, size_t patterns, uint64_t seed) {
  constexpr size_t kFar = 24;
  test::Random random(seed);
  test::Data data(2 * (patterns * used + kFar), columns, 2);
  std::fill(data.storage.begin(), data.storage.end(), 0.0f);
  size_t row = 0;
  const auto add = [&](const std::vector<double>& values, size_t rotation) {
    for (const double sign : {1.0, -1.0}) {
      for (size_t k = 0; k < used; ++k)
        data.at(row, k) = static_cast<float>(sign * values[(k + rotation) % used]);
      data.labels[row++] = sign > 0 ? 0 : 1;
    }
  };
  for (size_t i = 0; i < kFar; ++i) add(std::vector<double>(used, 3.0 + static_cast<double>(i % 5)), 0);
  for (size_t pattern = 0; pattern < patterns; ++pattern) {
    std::vector<double> values(used);
    double sum;
    do {
      sum = pattern % 2 == 0 ? -0x1p-23 : 0x1p-23;
      for (size_t k = 0; k + 1 < used; ++k) {
        const double size = 1.0 + static_cast<double>(random.below(1 << 23)) * 0x1p-23;
        values[k] = sum > 0 ? -size : size;
        sum += values[k];
      }
      values.back() = -sum;
    } while (std::abs(sum) < 1 || std::abs(sum) >= 2);
    for (size_t rotation = 0; rotation < used; ++rotation) add(values, rotation);
  }
  return data;
}

void test_center_margins() {
  for (uint64_t seed = 1; seed <= 4; ++seed) {
    test_problem({balanced(8, 8, 12, seed), 8, 1, 1, SIEVE_SEPARATION_HARD, SIEVE_INDEX_CENTER},
                 "balanced over filters");
    test_problem({balanced(3 * 16, 16, 8, seed), 3, 16, 1, SIEVE_SEPARATION_HARD, SIEVE_INDEX_CENTER},
                 "balanced within a filter");
  }
  // Products of the small rows with every class's mean are beyond float32.
  for (const size_t dims : {8, 16, 40}) {
    test::Data huge = test::make_data("normal", 90, 3 * dims, 9);
    for (size_t row = 0; row < huge.rows; ++row) {
      for (size_t k = 0; k < huge.columns; ++k) huge.at(row, k) *= row % 5 == 0 ? 1e5f : 1e37f;
    }
    test_problem({huge, 3, dims, 1, SIEVE_SEPARATION_HARD, SIEVE_INDEX_CENTER}, "huge classes");
  }
}

// Forward selection on the vector backends answers most queries from short lists. Here it meets the serial
// backend, which evaluates every candidate in float64: the same filters and the same doubles.
struct Greedy {
  std::vector<int32_t> order;
  std::vector<double> curve;
};

Greedy select_with(const sieve_separation_request& request, size_t filters, size_t limit,
                   sieve_backend backend, int32_t threads, const std::string& name) {
  Greedy result{std::vector<int32_t>(filters), std::vector<double>(filters)};
  sieve_run_options options{};
  options.backend = backend;
  options.threads = threads;
  struct Progress {
    double last = 0;
    bool falls = false;
  } progress;
  options.progress_user_data = &progress;
  options.progress = [](void* user_data, double fraction) {
    auto& seen = *static_cast<Progress*>(user_data);
    seen.falls = seen.falls || fraction < seen.last || fraction > 1;
    seen.last = fraction;
  };
  sieve_error error{};
  const sieve_status status =
      sieve_select_filters(&request, filters, SIEVE_SELECTION_GREEDY, SIEVE_INDEX_SEPARATION, limit, &options,
                           result.order.data(), result.curve.data(), &error);
  CHECK(status == SIEVE_STATUS_OK, "%s: %s", name.c_str(), error.message);
  CHECK(!progress.falls && progress.last == 1, "%s: progress to %g", name.c_str(), progress.last);
  return result;
}

void test_greedy(const test::Data& data, size_t filters, int32_t order, int32_t kind, const std::string& name,
                 size_t limit = 0, bool skip_non_finite = false) {
  sieve_separation_request request = data.request(order, kind);
  request.skip_non_finite = skip_non_finite ? 1 : 0;
  const std::string what = name + " rows " + std::to_string(data.rows) + " columns " +
                           std::to_string(data.columns) + " filters " + std::to_string(filters) + " order " +
                           std::to_string(order) + " kind " + std::to_string(kind);
  const Greedy truth = select_with(request, filters, limit, SIEVE_BACKEND_SERIAL, test::threads(4), what);
  static const std::vector<sieve_backend> backends = test::backends();
  for (const sieve_backend backend : backends) {
    if (backend == SIEVE_BACKEND_SERIAL) continue;
    for (const int32_t threads : {1, 3}) {
      const std::string at = what + " " + sieve_backend_name(backend) + " threads " + std::to_string(threads);
      const Greedy found = select_with(request, filters, limit, backend, threads, at);
      CHECK(found.order == truth.order, "%s: another order", at.c_str());
      CHECK(std::memcmp(found.curve.data(), truth.curve.data(), filters * sizeof(double)) == 0,
            "%s: another curve", at.c_str());
    }
  }
}

test::Data with_filters(test::Data data, size_t filters, const std::string& how, uint64_t seed) {
  test::Random random(seed);
  const size_t dims = data.columns / filters;
  for (size_t f = 1; f < filters; ++f) {
    const size_t shift = random.below(dims);
    const bool dead = random.below(2) == 0;
    for (size_t row = 0; row < data.rows; ++row) {
      for (size_t k = 0; k < dims; ++k) {
        float& value = data.at(row, f * dims + k);
        if (how == "identical") value = data.at(row, k);
        if (how == "permuted") value = data.at(row, (k + shift) % dims);
        if (how == "pairs" && f % 2 == 1) value = data.at(row, (f - 1) * dims + k);
        if (how == "dead" && dead) value = 0;
        if (how == "sparse") value = std::max(0.0f, value - static_cast<float>(f) / 4);
        if (how == "scaled") value *= static_cast<float>(std::pow(10.0, static_cast<double>(f) - 3));
      }
    }
  }
  return data;
}

// The first filter is the best, and so small beside the others that it only decides between equals of these.
test::Data small_first(size_t rows, size_t filters, size_t dims, uint64_t seed) {
  test::Random random(seed);
  test::Data data(rows, filters * dims, 3);
  for (size_t row = 0; row < rows; ++row) {
    data.labels[row] = static_cast<int32_t>(random.below(3));
    for (size_t k = 0; k < data.columns; ++k) {
      const double small = 1e-3 * (data.labels[row] + 0.01 * random.normal());
      data.at(row, k) = static_cast<float>(k < dims ? small : 123.4 * static_cast<double>(random.below(3)));
    }
  }
  return data;
}

void test_greedy_selections() {
  const size_t many = test::size_unless_trimmed(240, 70), some = test::size_unless_trimmed(150, 60);
  const size_t alike = test::size_unless_trimmed(180, 60), tall = test::size_unless_trimmed(1100, 300);
  for (const std::string& kind : test::data_kinds()) {
    test_greedy(test::make_data(kind, many, 7 * 4, 21), 7, 1, SIEVE_SEPARATION_HARD, kind);
    test_greedy(test::make_data(kind, some, 5 * 3, 22), 5, 3, SIEVE_SEPARATION_SOFT, kind);
    test_greedy(test::make_data(kind, 97, 6 * 17, 23), 6, 2, SIEVE_SEPARATION_ANTI, kind);
  }
  for (const char* how : {"identical", "permuted", "pairs", "dead", "sparse", "scaled"}) {
    for (const char* kind : {"normal", "integers", "binary", "copies", "near-ties", "far-clusters"}) {
      const test::Data data = with_filters(test::make_data(kind, alike, 8 * 5, 24), 8, how, 25);
      test_greedy(data, 8, 1, SIEVE_SEPARATION_HARD, std::string(kind) + " " + how);
      test_greedy(data, 8, 4, SIEVE_SEPARATION_HARD, std::string(kind) + " " + how, 3);
    }
  }
  for (const char* kind : {"normal", "clustered", "half-zero", "integers"}) {
    test_greedy(test::make_data(kind, tall, 6 * 8, 26), 6, 1, SIEVE_SEPARATION_HARD, kind);
  }
  for (uint64_t seed = 1; seed <= 4; ++seed) {
    test_greedy(small_first(alike, 5, 7, seed), 5, 1, SIEVE_SEPARATION_HARD, "small first");
    test_greedy(small_first(some, 4, 20, seed), 4, 2, SIEVE_SEPARATION_SOFT, "small first");
  }
  test::Data holes = test::make_data("normal", 160, 6 * 3, 27);
  for (size_t row = 5; row < holes.rows; row += 31) {
    holes.at(row, row % holes.columns) = std::numeric_limits<float>::infinity();
  }
  test_greedy(holes, 6, 1, SIEVE_SEPARATION_HARD, "holes", 0, true);
  test_greedy(test::make_data("normal", 2, 4, 28), 4, 1, SIEVE_SEPARATION_HARD, "two rows");
  test_greedy(test::make_data("normal", 40, 4, 28), 1, 1, SIEVE_SEPARATION_HARD, "one filter");
  test_greedy(test::make_data("integers", 40, 12, 28), 4, 39, SIEVE_SEPARATION_SOFT, "all are neighbours");

  test::Random random(29);
  const std::vector<std::string>& kinds = test::data_kinds();
  const char* ways[] = {"as it is", "identical", "permuted", "pairs", "dead", "sparse", "scaled"};
  const uint64_t problems = test::size_unless_trimmed(400, 60);
  for (uint64_t problem = 0; problem < problems; ++problem) {
    const size_t rows = 2 + random.below(120), filters = 1 + random.below(9), dims = 1 + random.below(6);
    const auto order = static_cast<int32_t>(1 + random.below(std::min<size_t>(4, rows - 1)));
    const std::string& kind = kinds[random.below(kinds.size())];
    const char* how = ways[random.below(std::size(ways))];
    const test::Data data =
        with_filters(test::make_data(kind, rows, filters * dims, problem), filters, how, problem + 1);
    test_greedy(data, filters, order, static_cast<int32_t>(random.below(3)),
                "problem " + std::to_string(problem) + " " + kind + " " + how, random.below(filters + 1));
  }
}

void test_errors() {
  const test::Data data = test::make_data("normal", 10, 12, 1);
  sieve_separation_request request = data.request();
  sieve_error error{};
  double values[12];
  int32_t order[12];
  const auto refused = [&](sieve_status status, const char* what) {
    CHECK(status == SIEVE_STATUS_INVALID_ARGUMENT, "%s: %d", what, status);
  };
  refused(sieve_filter_separation(&request, 5, 0, nullptr, values, &error), "5 filters in 12 columns");
  refused(sieve_filter_separation(&request, 0, 0, nullptr, values, &error), "0 filters");
  refused(sieve_filter_separation(&request, 3, 2, nullptr, values, &error), "index kind 2");
  refused(sieve_filter_separation(&request, 3, 0, nullptr, nullptr, &error), "no values");
  const int32_t members[] = {0, 0, 3};
  const int64_t empty[] = {0, 0}, repeated[] = {0, 2}, outside[] = {1, 3};
  refused(sieve_subset_separation(&request, 3, members, empty, 1, 0, nullptr, values, &error), "empty set");
  refused(sieve_subset_separation(&request, 3, members, repeated, 1, 0, nullptr, values, &error),
          "a filter twice");
  refused(sieve_subset_separation(&request, 3, members, outside, 1, 0, nullptr, values, &error),
          "filter 3 of 3");
  refused(sieve_select_filters(&request, 3, 2, 0, 0, nullptr, order, values, &error), "strategy 2");
  refused(sieve_select_filters(&request, 3, 0, 0, 4, nullptr, order, values, &error), "limit 4 of 3");
}

}  // namespace

int main() {
  for (const std::string& kind : test::data_kinds()) {
    for (const int32_t index_kind : {SIEVE_INDEX_SEPARATION, SIEVE_INDEX_CENTER}) {
      test_problem({test::make_data(kind, 61, 6 * 3, 7), 6, 3, 1, SIEVE_SEPARATION_HARD, index_kind}, kind);
      test_problem({test::make_data(kind, 130, 5, 8), 5, 1, 1, SIEVE_SEPARATION_HARD, index_kind},
                   kind + " dims 1");
    }
    test_problem(
        {test::make_data(kind, 43, 4 * 5, 9), 4, 5, 3, SIEVE_SEPARATION_SOFT, SIEVE_INDEX_SEPARATION}, kind);
  }
  test_problem({test::make_data("half-zero", 220, 3 * 70, 9), 3, 70, 1, SIEVE_SEPARATION_HARD, 0}, "wide");
  test_problem({test::make_data("clustered", 8, 2 * 300, 9), 2, 300, 2, SIEVE_SEPARATION_ANTI, 0}, "deep");
  test_center_margins();
  test_greedy_selections();
  test_errors();
  return test::result("filters_test");
}
