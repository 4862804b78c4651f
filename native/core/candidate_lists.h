// For each query the references that can still be among its `order` nearest, by the float32 bounds.
#ifndef SIEVE_CORE_CANDIDATE_LISTS_H
#define SIEVE_CORE_CANDIDATE_LISTS_H

#include <algorithm>
#include <cfloat>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <vector>

#include "core/aligned_floats.h"

namespace sieve {

struct Candidate {
  float lower;  // bounds of the squared distance, scaled
  float upper;
  uint32_t point;
};

// Besides the distance of the `order`-th nearest, a label can end a query's interest: whether ALL of the
// nearest bear its own label is known once the nearest with another label is, whether NONE does once the
// nearest with its own is.
enum class LabelStop { kNone, kOtherLabel, kOwnLabel };

// A list has room for a few candidates more than `order`. What has to be dropped is remembered by its least
// lower bound and, where it is the same for all of them, its label: usually enough to know that it does not
// matter.
//
// Short lists are kept sorted. Long ones are only appended to, and when they are full the `order` best are
// selected: a constant time an insertion, whatever the order.
class CandidateLists {
 public:
  static constexpr int32_t kNoLabel = -1;
  static constexpr int32_t kMixedLabels = -2;

  struct Shape {
    size_t order;
    size_t spare;  // room for candidates beyond the order; 0: lower == upper is the distance itself, and
                   // `order` candidates are all that a list needs
    LabelStop stop;
  };

  // labels: of the references by point, or NULL (stop is kNone then).
  CandidateLists(size_t queries, const Shape& shape, const int32_t* labels)
      : shape_(shape),
        appends_(shape.order >= kLongOrder),
        capacity_(list_capacity(shape.order, shape.spare)),
        labels_(labels) {
    resize(queries);
  }

  static size_t bytes_per_query(size_t order, size_t spare) {
    return list_capacity(order, spare) * sizeof(Candidate) + sizeof(Summary) + sizeof(float);
  }

  // Empties all lists; `queries` of them, thresholds readable up to the next multiple of 64.
  void resize(size_t queries) {
    thresholds_ = AlignedFloats((queries + 63) / 64 * 64, -std::numeric_limits<float>::infinity());
    std::fill_n(thresholds_.data(), queries, FLT_MAX);
    summaries_.assign(queries, Summary{});
    candidates_.resize(queries * capacity_);
    if (shape_.stop != LabelStop::kNone) query_labels_.resize(queries);
  }

  // Needed for every query where a label stops.
  void set_query_label(size_t query, int32_t label) {
    if (shape_.stop != LabelStop::kNone) query_labels_[query] = label;
  }

  // No reference with a lower bound above the threshold has a say in the query's answer. FLT_MAX: nothing
  // known yet.
  float threshold(size_t query) const { return thresholds_.data()[query]; }
  void set_threshold(size_t query, float value) { thresholds_.data()[query] = value; }
  // [queries], 64-byte aligned.
  const float* thresholds() const { return thresholds_.data(); }

  // Takes no more candidates.
  void close(size_t query) { set_threshold(query, -std::numeric_limits<float>::infinity()); }

  const Candidate* begin(size_t query) const { return candidates_.data() + query * capacity_; }
  const Candidate* end(size_t query) const { return begin(query) + summaries_[query].count; }
  // True where no dropped candidate is within the threshold.
  bool complete(size_t query) const { return !(summaries_[query].dropped_lower <= threshold(query)); }
  int32_t dropped_label(size_t query) const { return summaries_[query].dropped_label; }
  bool empty(size_t query) const {
    return summaries_[query].count == 0 && summaries_[query].dropped_label == kNoLabel;
  }

  void insert(size_t query, const Candidate& candidate) {
    if (!(candidate.lower <= threshold(query))) return;
    if (appends_) {
      append(query, candidate);
    } else {
      insert_sorted(query, candidate);
    }
    if (shape_.stop == LabelStop::kNone) return;
    const bool own = labels_[candidate.point] == query_labels_[query];
    if (own == (shape_.stop == LabelStop::kOwnLabel)) lower_threshold(query, candidate.upper);
  }

  // Takes over what another object holds of the same query.
  void merge(size_t query, const CandidateLists& other, size_t other_query) {
    for (const Candidate* c = other.begin(other_query); c != other.end(other_query); ++c) insert(query, *c);
    const Summary& dropped = other.summaries_[other_query];
    if (dropped.dropped_label != kNoLabel) drop_summary(query, dropped.dropped_lower, dropped.dropped_label);
  }

  // Call it when everything has been inserted: the threshold is then what the candidates say.
  void finish(size_t query) {
    if (appends_) select_best(query);
  }

 private:
  static constexpr size_t kLongOrder = 8;

  struct Summary {
    uint32_t count = 0;
    float dropped_lower = std::numeric_limits<float>::infinity();
    int32_t dropped_label = kNoLabel;
  };

  static size_t list_capacity(size_t order, size_t spare) {
    return order + spare + (order >= kLongOrder ? order : 0);
  }

  static bool before(const Candidate& a, const Candidate& b) {
    return a.upper < b.upper || (a.upper == b.upper && a.point < b.point);
  }

  static uint32_t drop_beyond_threshold(Candidate* list, uint32_t count, float threshold) {
    return static_cast<uint32_t>(
        std::remove_if(list, list + count, [&](const Candidate& c) { return c.lower > threshold; }) - list);
  }

  void lower_threshold(size_t query, float value) { set_threshold(query, std::min(threshold(query), value)); }

  void insert_sorted(size_t query, const Candidate& candidate) {
    Candidate* list = candidates_.data() + query * capacity_;
    uint32_t& count = summaries_[query].count;
    if (count == capacity_) count = drop_beyond_threshold(list, count, threshold(query));
    if (count == capacity_) {
      if (!before(candidate, list[count - 1])) {
        drop(query, candidate);
        return;
      }
      drop(query, list[--count]);
    }
    size_t at = count++;
    for (; at > 0 && before(candidate, list[at - 1]); --at) list[at] = list[at - 1];
    list[at] = candidate;
    if (count >= shape_.order) lower_threshold(query, list[shape_.order - 1].upper);
  }

  void append(size_t query, const Candidate& candidate) {
    uint32_t& count = summaries_[query].count;
    if (count == capacity_) select_best(query);
    candidates_[query * capacity_ + count++] = candidate;
  }

  // Leaves at least `order` places free.
  void select_best(size_t query) {
    Candidate* list = candidates_.data() + query * capacity_;
    uint32_t& count = summaries_[query].count;
    const auto order = static_cast<std::ptrdiff_t>(shape_.order);
    if (count > shape_.order) {
      std::nth_element(list, list + order - 1, list + count, before);
      if (shape_.spare == 0) count = static_cast<uint32_t>(shape_.order);
    }
    if (count >= shape_.order) {
      const Candidate* last = std::max_element(list, list + order, before);
      lower_threshold(query, last->upper);
    }
    count = drop_beyond_threshold(list, count, threshold(query));
    const size_t room = shape_.order + shape_.spare;
    if (count <= room) return;
    std::nth_element(list, list + room, list + count, before);
    for (; count > room; --count) drop(query, list[count - 1]);
  }

  void drop(size_t query, const Candidate& candidate) {
    if (shape_.spare == 0) return;
    drop_summary(query, candidate.lower, labels_ != nullptr ? labels_[candidate.point] : kMixedLabels);
  }

  void drop_summary(size_t query, float lower, int32_t label) {
    Summary& summary = summaries_[query];
    // What was dropped before and is out of reach by now has no say any more.
    if (summary.dropped_lower > threshold(query)) summary.dropped_label = kNoLabel;
    if (lower > threshold(query)) return;
    summary.dropped_lower =
        summary.dropped_label == kNoLabel ? lower : std::min(summary.dropped_lower, lower);
    summary.dropped_label =
        summary.dropped_label == kNoLabel || summary.dropped_label == label ? label : kMixedLabels;
  }

  Shape shape_;
  bool appends_;
  size_t capacity_;
  const int32_t* labels_;
  AlignedFloats thresholds_;
  std::vector<Summary> summaries_;
  std::vector<Candidate> candidates_;
  std::vector<int32_t> query_labels_;
};

}  // namespace sieve

#endif  // SIEVE_CORE_CANDIDATE_LISTS_H
