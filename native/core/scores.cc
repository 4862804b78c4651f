#include "core/scores.h"

#include <limits>

namespace sieve {
uint64_t query_credit(uint32_t same_label, size_t order, int32_t kind) {
  switch (kind) {
    case SIEVE_SEPARATION_SOFT:
      return same_label;
    case SIEVE_SEPARATION_ANTI:
      return same_label == 0 ? order : 0;
    default:
      return same_label == order ? order : 0;
  }
}

double separation_score(const std::vector<uint32_t>& same_label, const std::vector<int32_t>& labels,
                        size_t order, int32_t kind, int32_t class_count, double* per_class) {
  std::vector<uint64_t> credits(static_cast<size_t>(class_count), 0);
  std::vector<uint64_t> counts(static_cast<size_t>(class_count), 0);
  uint64_t total = 0;
  for (size_t query = 0; query < same_label.size(); ++query) {
    const uint64_t earned = query_credit(same_label[query], order, kind);
    const size_t label = static_cast<size_t>(labels[query]);
    credits[label] += earned;
    counts[label] += 1;
    total += earned;
  }
  const auto share = [&](uint64_t earned, uint64_t count) {
    return static_cast<double>(earned) / static_cast<double>(count * order);
  };
  if (per_class != nullptr) {
    for (size_t label = 0; label < counts.size(); ++label) {
      per_class[label] = counts[label] == 0 ? std::numeric_limits<double>::quiet_NaN()
                                            : share(credits[label], counts[label]);
    }
  }
  return share(total, same_label.size());
}

double center_score(const std::vector<int32_t>& nearest, const std::vector<int32_t>& labels,
                    int32_t class_count, double* per_class) {
  std::vector<uint32_t> hits(nearest.size());
  for (size_t query = 0; query < nearest.size(); ++query) hits[query] = nearest[query] == labels[query];
  return separation_score(hits, labels, 1, SIEVE_SEPARATION_HARD, class_count, per_class);
}

}  // namespace sieve
