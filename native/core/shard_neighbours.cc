// sieve_nearest_neighbours, sieve_merge_neighbours, sieve_score_neighbours.
#include <algorithm>
#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "core/failure.h"
#include "core/neighbour_search.h"
#include "core/parallel.h"
#include "core/points.h"
#include "core/run_context.h"
#include "core/scores.h"
#include "sieve/sieve.h"

namespace sieve {
namespace {

constexpr size_t kMergeGrain = 256;
constexpr double kNoDistance = std::numeric_limits<double>::quiet_NaN();

struct NumberedNeighbour {
  double distance;
  int64_t number;
};

bool nearer_numbered(const NumberedNeighbour& a, const NumberedNeighbour& b) {
  return a.distance < b.distance || (a.distance == b.distance && a.number < b.number);
}

struct NeighbourLists {
  int64_t* nearest;
  double* distance;  // may be NULL
  size_t order;

  // The first `order` of a query's neighbours.
  void write(size_t row, const std::vector<NumberedNeighbour>& neighbours) const {
    for (size_t i = 0; i < order; ++i) {
      const bool there = i < neighbours.size();
      nearest[row * order + i] = there ? neighbours[i].number : -1;
      if (distance != nullptr) distance[row * order + i] = there ? neighbours[i].distance : kNoDistance;
    }
  }
};

size_t checked_list_order(int32_t order) {
  require(order >= 1, "at least 1 neighbour", "order", std::to_string(order));
  return static_cast<size_t>(order);
}

void check_numbers(const sieve_matrix& matrix, int64_t first, const char* subject) {
  const bool fits = first >= 0 && matrix.rows <= static_cast<uint64_t>(INT64_MAX) &&
                    first <= INT64_MAX - static_cast<int64_t>(matrix.rows);
  require(fits, "a first number of 0 or more whose rows fit in 63 bits", subject, std::to_string(first));
}

bool same_matrix(const sieve_matrix& a, const sieve_matrix& b) {
  const auto stride = [](const sieve_matrix& matrix) {
    return matrix.row_stride == 0 ? matrix.columns : matrix.row_stride;
  };
  return a.data == b.data && a.rows == b.rows && a.columns == b.columns && stride(a) == stride(b) &&
         a.element_type == b.element_type;
}

// first[i] .. first[i] + rows[i] - 1 have a number in common.
bool ranges_overlap(int64_t first, size_t rows, int64_t other_first, size_t other_rows) {
  return first < other_first + static_cast<int64_t>(other_rows) &&
         other_first < first + static_cast<int64_t>(rows);
}

struct NumberedPoints {
  const Points& points;
  int64_t first;
  int64_t number(size_t point) const { return first + static_cast<int64_t>(points.rows[point]); }
};

// Where a query may be among the references, one neighbour more than asked is looked for and the sample
// itself is dropped from the list. That is exact: let L be all references in the order of (distance, number),
// and M be L without the sample itself. Taking one element out of a sequence moves those behind it up by one,
// so the first `order` of M are among the first order+1 of L, in the same order: those before the sample are
// where they were, those behind it one further on. If the sample is not among the first order+1 of L, the
// first `order` of L are those of M. Copies of the sample with lower or higher numbers change nothing in
// this: they are other elements of L. The search orders equal distances by point, and points ascend with rows
// and so with numbers. If there are no more than `order` references, L itself is whole.
void find_neighbours(const NumberedPoints& queries, const NumberedPoints& references, bool may_meet_itself,
                     const NeighbourLists& lists, RunContext& run) {
  const bool leave_one_out = &queries.points == &references.points;
  for (size_t row = 0; row < queries.points.matrix_rows; ++row) lists.write(row, {});
  const size_t usable = references.points.size();
  if (queries.points.size() == 0 || usable <= (leave_one_out ? 1 : 0)) return;
  const size_t available = usable - (leave_one_out ? 1 : 0);
  const size_t wanted = lists.order + (may_meet_itself && !leave_one_out ? 1 : 0);

  const SearchProblem problem{&queries.points, &references.points, std::min(wanted, available), true};
  const NeighbourSearch search(problem, run);
  std::vector<SearchSet> sets;
  sets.push_back(search.set_of({{0, queries.points.columns}}, run));
  const SearchAnswer answer = std::move(search.search({}, false, sets, run, 0.0, 1.0).front());
  std::vector<NumberedNeighbour> neighbours;
  for (size_t query = 0; query < queries.points.size(); ++query) {
    neighbours.clear();
    for (size_t i = 0; i < problem.order; ++i) {
      const Neighbour& found = answer.neighbours[query * problem.order + i];
      const int64_t number = references.number(found.point);
      if (number != queries.number(query)) neighbours.push_back({found.distance, number});
    }
    lists.write(queries.points.rows[query], neighbours);
  }
}

[[noreturn]] void refuse_list(const std::string& what, size_t part, size_t row, const std::string& received) {
  expected(SIEVE_STATUS_INVALID_ARGUMENT, what,
           "row " + std::to_string(row) + " of part " + std::to_string(part), received,
           static_cast<int64_t>(row));
}

// Appends one part's neighbours of a query; they must ascend, and nothing may follow the first -1.
void read_list(const sieve_neighbour_part& part, size_t part_number, size_t row, size_t order,
               std::vector<NumberedNeighbour>& neighbours) {
  const size_t before = neighbours.size();
  for (size_t i = row * order; i < (row + 1) * order; ++i) {
    const NumberedNeighbour neighbour{part.nearest_distance[i], part.nearest[i]};
    if (neighbour.number == -1 && std::isnan(neighbour.distance)) {
      for (; i < (row + 1) * order; ++i) {
        if (part.nearest[i] != -1 || !std::isnan(part.nearest_distance[i])) {
          refuse_list("nothing behind the end of its list", part_number, row,
                      "neighbour " + std::to_string(part.nearest[i]));
        }
      }
      return;
    }
    if (neighbour.number < 0 || !(neighbour.distance >= 0.0) || !std::isfinite(neighbour.distance)) {
      refuse_list("numbers and distances of 0 or more, or -1 and NaN", part_number, row,
                  std::to_string(neighbour.number) + " at " + std::to_string(neighbour.distance));
    }
    if (neighbours.size() > before && !nearer_numbered(neighbours.back(), neighbour)) {
      refuse_list("neighbours in ascending order", part_number, row,
                  std::to_string(neighbours.back().number) + " before " + std::to_string(neighbour.number));
    }
    neighbours.push_back(neighbour);
  }
}

// Leaves each reference once.
void drop_repeats(std::vector<NumberedNeighbour>& neighbours, size_t row) {
  std::sort(neighbours.begin(), neighbours.end(), [](const NumberedNeighbour& a, const NumberedNeighbour& b) {
    return a.number < b.number || (a.number == b.number && a.distance < b.distance);
  });
  for (size_t i = 1; i < neighbours.size(); ++i) {
    if (neighbours[i].number == neighbours[i - 1].number &&
        neighbours[i].distance != neighbours[i - 1].distance) {
      expected(SIEVE_STATUS_INVALID_ARGUMENT, "parts of the same data",
               "row " + std::to_string(row) + " of the parts",
               "reference " + std::to_string(neighbours[i].number) + " at two distances",
               static_cast<int64_t>(row));
    }
  }
  const auto end = std::unique(
      neighbours.begin(), neighbours.end(),
      [](const NumberedNeighbour& a, const NumberedNeighbour& b) { return a.number == b.number; });
  neighbours.erase(end, neighbours.end());
}

void check_labels(const int32_t* labels, size_t count, int32_t class_count, const char* subject) {
  require(labels != nullptr, "a pointer", subject, "NULL");
  for (size_t row = 0; row < count; ++row) {
    if (labels[row] < 0 || labels[row] >= class_count) {
      expected(SIEVE_STATUS_INVALID_LABEL, "a class from 0 to " + std::to_string(class_count - 1),
               std::string(subject) + "[" + std::to_string(row) + "]", std::to_string(labels[row]),
               static_cast<int64_t>(row));
    }
  }
}

// How many of a query's neighbours bear its label; -1 where the query was left out.
int64_t count_same_label(const int64_t* nearest, size_t row, size_t order, int32_t label,
                         const int32_t* reference_labels, size_t references) {
  const int64_t* list = nearest + row * order;
  if (std::all_of(list, list + order, [](int64_t number) { return number == -1; })) return -1;
  int64_t same = 0;
  for (size_t i = 0; i < order; ++i) {
    if (list[i] < 0 || static_cast<uint64_t>(list[i]) >= references) {
      expected(SIEVE_STATUS_INVALID_ARGUMENT,
               std::to_string(order) + " references from 0 to " + std::to_string(references - 1),
               "row " + std::to_string(row) + " of nearest", std::to_string(list[i]),
               static_cast<int64_t>(row));
    }
    same += reference_labels[list[i]] == label ? 1 : 0;
  }
  return same;
}

}  // namespace
}  // namespace sieve

extern "C" {

sieve_status sieve_nearest_neighbours(sieve_matrix queries, int64_t first_query, sieve_matrix references,
                                      int64_t first_reference, int32_t order, int32_t skip_non_finite,
                                      const sieve_run_options* options, int64_t* nearest,
                                      double* nearest_distance, sieve_error* error) {
  using namespace sieve;
  return guarded(error, [&] {
    const NeighbourLists lists{nearest, nearest_distance, checked_list_order(order)};
    require(nearest != nullptr, "a pointer", "nearest", "NULL");
    require(references.columns == queries.columns, "as many columns as the queries have", "references",
            std::to_string(references.columns));
    check_numbers(queries, first_query, "first_query");
    check_numbers(references, first_reference, "first_reference");
    RunContext run(options);
    const bool skip = skip_non_finite != 0;
    const Points query_points = take_points(queries, nullptr, 0, skip, "queries", run);
    const NumberedPoints numbered_queries{query_points, first_query};
    if (same_matrix(queries, references) && first_query == first_reference) {
      find_neighbours(numbered_queries, numbered_queries, true, lists, run);
    } else {
      const Points reference_points = take_points(references, nullptr, 0, skip, "references", run);
      find_neighbours(numbered_queries, {reference_points, first_reference},
                      ranges_overlap(first_query, queries.rows, first_reference, references.rows), lists,
                      run);
    }
    run.finish();
  });
}

sieve_status sieve_merge_neighbours(const sieve_neighbour_part* parts, size_t part_count, size_t rows,
                                    int32_t order, const sieve_run_options* options, int64_t* nearest,
                                    double* nearest_distance, sieve_error* error) {
  using namespace sieve;
  return guarded(error, [&] {
    const NeighbourLists lists{nearest, nearest_distance, checked_list_order(order)};
    require(parts != nullptr, "a pointer", "parts", "NULL");
    require(part_count >= 1, "at least 1 part", "part_count", "0");
    require(rows >= 1, "at least 1 row", "rows", "0");
    require(nearest != nullptr, "a pointer", "nearest", "NULL");
    for (size_t part = 0; part < part_count; ++part) {
      require(parts[part].nearest != nullptr && parts[part].nearest_distance != nullptr, "two pointers",
              "every part", "NULL");
    }
    RunContext run(options);
    run.begin_phase(0.0, 1.0, rows);
    parallel_ranges(run, rows, kMergeGrain, [&](size_t begin, size_t end, int) {
      std::vector<NumberedNeighbour> neighbours;
      for (size_t row = begin; row < end; ++row) {
        neighbours.clear();
        for (size_t part = 0; part < part_count; ++part)
          read_list(parts[part], part, row, lists.order, neighbours);
        drop_repeats(neighbours, row);
        std::sort(neighbours.begin(), neighbours.end(), nearer_numbered);
        lists.write(row, neighbours);
      }
      run.advance(end - begin);
    });
    run.finish();
  });
}

sieve_status sieve_score_neighbours(const int64_t* nearest, size_t rows, int32_t order, const int32_t* labels,
                                    const int32_t* reference_labels, size_t references, int32_t class_count,
                                    int32_t kind, sieve_separation_result* result, sieve_error* error) {
  using namespace sieve;
  return guarded(error, [&] {
    const size_t neighbours = checked_list_order(order);
    require(result != nullptr, "a pointer", "result", "NULL");
    require(nearest != nullptr, "a pointer", "nearest", "NULL");
    require(references >= 1, "at least 1 reference", "references", "0");
    require(class_count >= 1, "at least 1 class", "class_count", std::to_string(class_count));
    require(kind >= SIEVE_SEPARATION_HARD && kind <= SIEVE_SEPARATION_ANTI, "a sieve_separation_kind", "kind",
            std::to_string(kind));
    check_labels(labels, rows, class_count, "labels");
    check_labels(reference_labels, references, class_count, "reference_labels");
    std::vector<uint32_t> same_label;
    std::vector<int32_t> used_labels;
    for (size_t row = 0; row < rows; ++row) {
      const int64_t same =
          count_same_label(nearest, row, neighbours, labels[row], reference_labels, references);
      if (same < 0) continue;
      same_label.push_back(static_cast<uint32_t>(same));
      used_labels.push_back(labels[row]);
    }
    require(!used_labels.empty(), "at least 1 row with neighbours", "nearest", "0");
    result->value =
        separation_score(same_label, used_labels, neighbours, kind, class_count, result->per_class);
    result->rows_used = static_cast<int64_t>(used_labels.size());
  });
}

}  // extern "C"
