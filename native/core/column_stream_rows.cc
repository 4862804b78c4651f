#include "core/column_stream_rows.h"

#include <algorithm>
#include <map>
#include <numeric>
#include <tuple>
#include <utility>

#include "core/conditioning.h"

namespace sieve {

StreamRows::StreamRows(const int32_t* row_labels, size_t count)
    : labels(row_labels, row_labels + count), usable(count, 1), copy_of(count, 0) {}

size_t StreamRows::usable_count() const {
  return static_cast<size_t>(std::count(usable.begin(), usable.end(), uint8_t{1}));
}

StreamBlock take_block(const sieve_matrix& block, bool skip_non_finite, StreamRows& rows, RunContext& run) {
  StreamBlock taken;
  taken.usable = take_points(block, nullptr, 0, skip_non_finite, "the block", run);
  Points& points = taken.usable;
  taken.all = points;
  taken.all.square_norms.clear();
  taken.all.rows.resize(points.matrix_rows);
  std::iota(taken.all.rows.begin(), taken.all.rows.end(), 0u);

  std::vector<uint8_t> finite(points.matrix_rows, 0);
  for (const uint32_t row : points.rows) finite[row] = 1;
  size_t kept = 0;
  for (size_t point = 0; point < points.size(); ++point) {
    if (rows.usable[points.rows[point]] == 0) continue;
    points.rows[kept] = points.rows[point];
    points.square_norms[kept] = points.square_norms[point];
    ++kept;
  }
  points.rows.resize(kept);
  points.square_norms.resize(kept);
  for (size_t row = 0; row < finite.size(); ++row) rows.usable[row] &= finite[row];
  return taken;
}

void refine_copies(const Points& usable, const std::vector<uint64_t>& hashes, StreamRows& rows) {
  using Key = std::tuple<uint32_t, uint64_t, uint32_t>;  // group so far, hash, point
  std::vector<Key> order(usable.size());
  for (size_t point = 0; point < usable.size(); ++point) {
    order[point] = {rows.copy_of[usable.rows[point]], hashes[point], static_cast<uint32_t>(point)};
  }
  std::sort(order.begin(), order.end());

  RowReader reader(usable, 2);
  const Columns columns{{0, usable.columns}};
  std::vector<uint32_t> firsts;  // of the groups that one group and hash splits into: one but for collisions
  for (size_t at = 0; at < order.size(); ++at) {
    const auto& [group, hash, point] = order[at];
    const bool same_key = at > 0 && group == std::get<0>(order[at - 1]) && hash == std::get<1>(order[at - 1]);
    if (!same_key) firsts.clear();
    const float* row = same_key ? reader.read(0, point, columns) : nullptr;
    const auto first = std::find_if(firsts.begin(), firsts.end(), [&](uint32_t other) {
      return std::equal(row, row + usable.columns, reader.read(1, other, columns));
    });
    const uint32_t representative = first == firsts.end() ? point : *first;
    if (first == firsts.end()) firsts.push_back(point);
    rows.copy_of[usable.rows[point]] = usable.rows[representative];
  }
}

std::vector<std::vector<uint32_t>> large_groups(const StreamRows& rows, size_t order) {
  std::map<uint32_t, std::vector<uint32_t>> groups;
  std::vector<uint32_t> counts(rows.size(), 0);
  for (size_t row = 0; row < rows.size(); ++row) {
    if (rows.usable[row] != 0) ++counts[rows.copy_of[row]];
  }
  for (size_t row = 0; row < rows.size(); ++row) {
    if (rows.usable[row] != 0 && counts[rows.copy_of[row]] > order) {
      groups[rows.copy_of[row]].push_back(static_cast<uint32_t>(row));
    }
  }
  std::vector<std::vector<uint32_t>> large;
  for (auto& group : groups) large.push_back(std::move(group.second));
  return large;
}

void StreamDigest::add(const Points& usable, const std::vector<uint64_t>& hashes) {
  for (size_t point = 0; point < usable.size(); ++point) {
    uint64_t& digest = digests_[usable.rows[point]];
    digest = digest * 0x9e3779b97f4a7c15ull + hashes[point];
  }
}

bool StreamDigest::equals(const StreamDigest& other, const StreamRows& rows) const {
  for (size_t row = 0; row < digests_.size(); ++row) {
    if (rows.usable[row] != 0 && digests_[row] != other.digests_[row]) return false;
  }
  return true;
}

std::vector<uint64_t> block_hashes(const Points& points, const RunContext& run) {
  Conditioning as_it_is;
  as_it_is.center.assign(points.columns, 0.0f);
  return point_sums(points, {{0, points.columns}}, as_it_is, run).hashes;
}

}  // namespace sieve
