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

// A list has room for a few candidates more than `order`. What has to be dropped is remembered by its least
// lower bound and, where it is the same for all of them, its label: usually enough to know that it does not
// matter.
class CandidateLists {
 public:
  static constexpr int32_t kNoLabel = -1;
  static constexpr int32_t kMixedLabels = -2;

  // labels: of the references by point, or NULL. spare: room for candidates beyond the order; 0 means that
  // lower == upper is the distance itself, so that `order` candidates are all that a list needs.
  CandidateLists(size_t queries, size_t order, size_t spare, const int32_t* labels)
      : order_(order), exact_(spare == 0), capacity_(order + spare), labels_(labels) {
    resize(queries);
  }

  static size_t bytes_per_query(size_t order, size_t spare) {
    return (order + spare) * sizeof(Candidate) + sizeof(Summary) + sizeof(float);
  }

  // Empties all lists; `queries` of them, thresholds readable up to the next multiple of 64.
  void resize(size_t queries) {
    thresholds_ = AlignedFloats((queries + 63) / 64 * 64, -std::numeric_limits<float>::infinity());
    std::fill_n(thresholds_.data(), queries, FLT_MAX);
    summaries_.assign(queries, Summary{});
    candidates_.resize(queries * capacity_);
  }

  // No reference with a lower bound above the threshold is among the `order` nearest. FLT_MAX: nothing known
  // yet.
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

  void insert(size_t query, Candidate candidate) {
    if (!(candidate.lower <= threshold(query))) return;
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
    if (count >= order_) set_threshold(query, std::min(threshold(query), list[order_ - 1].upper));
  }

  // Takes over what another object holds of the same query.
  void merge(size_t query, const CandidateLists& other, size_t other_query) {
    for (const Candidate* c = other.begin(other_query); c != other.end(other_query); ++c) insert(query, *c);
    const Summary& dropped = other.summaries_[other_query];
    if (dropped.dropped_label != kNoLabel) drop_summary(query, dropped.dropped_lower, dropped.dropped_label);
  }

 private:
  struct Summary {
    uint32_t count = 0;
    float dropped_lower = std::numeric_limits<float>::infinity();
    int32_t dropped_label = kNoLabel;
  };

  static bool before(const Candidate& a, const Candidate& b) {
    return a.upper < b.upper || (a.upper == b.upper && a.point < b.point);
  }

  static uint32_t drop_beyond_threshold(Candidate* list, uint32_t count, float threshold) {
    return static_cast<uint32_t>(
        std::remove_if(list, list + count, [&](const Candidate& c) { return c.lower > threshold; }) - list);
  }

  void drop(size_t query, const Candidate& candidate) {
    if (exact_) return;
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

  size_t order_;
  bool exact_;
  size_t capacity_;
  const int32_t* labels_;
  AlignedFloats thresholds_;
  std::vector<Summary> summaries_;
  std::vector<Candidate> candidates_;
};

}  // namespace sieve

#endif  // SIEVE_CORE_CANDIDATE_LISTS_H
