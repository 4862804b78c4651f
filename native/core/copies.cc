#include "core/copies.h"

#include <algorithm>
#include <utility>

namespace sieve {
namespace {

bool equal_rows(const float* a, const float* b, const Columns& columns) {
  for (const ColumnRange& range : columns) {
    if (!std::equal(a + range.begin, a + range.begin + range.count, b + range.begin)) return false;
  }
  return true;
}

}  // namespace

std::vector<std::vector<uint32_t>> groups_of_copies(const Points& points, const Columns& columns,
                                                    const std::vector<uint64_t>& hashes, size_t smallest) {
  std::vector<std::pair<uint64_t, uint32_t>> order(points.size());
  for (size_t point = 0; point < points.size(); ++point) {
    order[point] = {hashes[point], static_cast<uint32_t>(point)};
  }
  std::sort(order.begin(), order.end());

  RowReader reader(points, 2);
  std::vector<std::vector<uint32_t>> groups;
  for (size_t first = 0; first < order.size();) {
    size_t last = first + 1;
    while (last < order.size() && order[last].first == order[first].first) ++last;
    if (last - first >= smallest) {
      // One hash is one group but for collisions; those split here.
      std::vector<std::vector<uint32_t>> split;
      for (size_t at = first; at < last; ++at) {
        const uint32_t point = order[at].second;
        const auto group =
            std::find_if(split.begin(), split.end(), [&](const std::vector<uint32_t>& members) {
              return equal_rows(reader.read(0, members.front(), columns), reader.read(1, point, columns),
                                columns);
            });
        if (group == split.end()) {
          split.push_back({point});
        } else {
          group->push_back(point);
        }
      }
      for (std::vector<uint32_t>& group : split) {
        if (group.size() >= smallest) groups.push_back(std::move(group));
      }
    }
    first = last;
  }
  return groups;
}

}  // namespace sieve
