#include "core/column_stream.h"

#include <algorithm>
#include <limits>
#include <string>
#include <utility>

#include "core/backend.h"
#include "core/failure.h"
#include "core/parallel.h"
#include "core/scores.h"

namespace sieve {
namespace {

constexpr size_t kMostRows = 20000;  // 800 MB of products
constexpr size_t kMostColumns = size_t{1} << 27;

const sieve_column_stream_request& checked(const sieve_column_stream_request& request) {
  require(request.labels != nullptr, "a pointer", "request->labels", "NULL");
  require(request.class_count >= 1, "at least 1 class", "request->class_count",
          std::to_string(request.class_count));
  require(request.kind >= SIEVE_SEPARATION_HARD && request.kind <= SIEVE_SEPARATION_ANTI,
          "a sieve_separation_kind", "request->kind", std::to_string(request.kind));
  require(request.index_kind == SIEVE_INDEX_SEPARATION || request.index_kind == SIEVE_INDEX_CENTER,
          "a sieve_index_kind", "request->index_kind", std::to_string(request.index_kind));
  require(request.rows >= 2 && request.rows <= 0x7fffffff, "2 to 2^31-1 rows", "request->rows",
          std::to_string(request.rows));
  if (request.index_kind == SIEVE_INDEX_SEPARATION) {
    require(request.rows <= kMostRows,
            "at most 20000 rows (all pairs are held; beyond, take shards of rows: sieve_nearest_neighbours)",
            "a stream of columns", std::to_string(request.rows));
    require(request.order >= 0 && static_cast<size_t>(request.order) < request.rows,
            "fewer neighbours than there are rows", "request->order", std::to_string(request.order));
  }
  for (size_t row = 0; row < request.rows; ++row) {
    if (request.labels[row] < 0 || request.labels[row] >= request.class_count) {
      expected(SIEVE_STATUS_INVALID_LABEL, "a class from 0 to " + std::to_string(request.class_count - 1),
               "the label of row " + std::to_string(row), std::to_string(request.labels[row]),
               static_cast<int64_t>(row));
    }
  }
  return request;
}

// Sums of these take 12 bytes each; for more, sums of all pairs are cheaper.
size_t most_pairs(size_t rows) { return std::max(rows * rows / 8, 64 * rows); }

}  // namespace

ColumnStream::ColumnStream(const sieve_column_stream_request& request, const RunContext& run)
    : request_(checked(request)),
      backend_(float32_backend(resolve_backend(run.requested_backend()))),
      rows_(request.labels, request.rows),
      first_digest_(request.rows),
      second_digest_(request.rows) {
  request_.labels = nullptr;
  if (counts_centers()) return;
  answers_.order = request.order == 0 ? 1 : static_cast<size_t>(request.order);
  answers_.wants_neighbours = request.wants_neighbours != 0;
  answers_.answered.assign(request.rows, 0);
  answers_.same_label.assign(request.rows, 0);
  if (answers_.wants_neighbours) answers_.neighbours.resize(request.rows * answers_.order);
  const TileKernels* kernels = tile_kernels(backend_);
  if (kernels != nullptr) {
    products_ = std::make_unique<StreamProducts>(request.rows, *kernels, run.threads());
  } else {
    distances_ = std::make_unique<AllDistances>(request.rows, center_kernels(backend_).distances);
  }
}

void ColumnStream::require_pass() const {
  require(stage_ != Stage::kBroken, "a stream of which no call has failed on its way", "the stream",
          "one that can only be destroyed");
  require(stage_ != Stage::kDone, "a pass that has not ended", "the stream", "one that needs no more blocks");
}

void ColumnStream::check_width(const sieve_matrix& matrix) const {
  require(matrix.rows == rows_.size(),
          ("the " + std::to_string(rows_.size()) + " rows of the stream").c_str(), "the block",
          std::to_string(matrix.rows));
  if (stage_ == Stage::kFirstPass) {
    require(matrix.columns <= kMostColumns - columns_, "at most 2^27 columns in all", "the stream",
            std::to_string(matrix.columns) + " more");
    return;
  }
  require(second_blocks_ < widths_.size(),
          ("the " + std::to_string(widths_.size()) + " blocks of pass 1").c_str(), "pass 2", "more");
  require(matrix.columns == widths_[second_blocks_],
          ("the " + std::to_string(widths_[second_blocks_]) + " columns that it had in pass 1").c_str(),
          ("block " + std::to_string(second_blocks_)).c_str(), std::to_string(matrix.columns));
}

void ColumnStream::add(const sieve_matrix& matrix, RunContext& run) {
  require_pass();
  check_width(matrix);
  const size_t usable_before = rows_.usable_count();
  const bool first = stage_ == Stage::kFirstPass;
  StreamRows& rows = rows_;
  const StreamBlock block = take_block(matrix, !first || request_.skip_non_finite != 0, rows, run);
  const Stage stage = std::exchange(stage_, Stage::kBroken);  // until all of the block is added
  if (first) {
    rows_dropped_ = rows_dropped_ || (!widths_.empty() && rows_.usable_count() < usable_before);
    add_in_first_pass(block, run);
    widths_.push_back(matrix.columns);
    columns_ += matrix.columns;
  } else {
    require(rows_.usable_count() == usable_before, "the values of pass 1", "a block of pass 2",
            "NaN or an infinity where there was none");
    add_in_second_pass(block, run);
    ++second_blocks_;
  }
  stage_ = stage;
  run.finish();
}

void ColumnStream::add_in_first_pass(const StreamBlock& block, RunContext& run) {
  if (counts_centers()) {
    if (request_.skip_non_finite != 0) first_digest_.add(block.usable, block_hashes(block.usable, run));
    if (rows_dropped_ || block.usable.size() == 0) return;
    if (!centers_) {
      centers_ =
          std::make_unique<StreamCenters>(rows_, request_.class_count, center_kernels(backend_).distances);
    }
    centers_->add(block.usable, run);
  } else if (products_) {
    const std::vector<uint64_t> hashes = products_->add(block, run);
    first_digest_.add(block.usable, hashes);
    refine_copies(block.usable, hashes, rows_);
  } else {
    distances_->add(block.all, run);
  }
}

void ColumnStream::add_in_second_pass(const StreamBlock& block, RunContext& run) {
  second_digest_.add(block.usable, block_hashes(block.usable, run));
  if (counts_centers()) {
    centers_->add(block.usable, run);
  } else {
    distances_->add(block.all, run);
  }
}

bool ColumnStream::end_pass(RunContext& run) {
  require_pass();
  bool needs_another = false;
  if (stage_ == Stage::kFirstPass) {
    const size_t usable = rows_.usable_count();
    require(!widths_.empty(), "at least 1 block", "pass 1", "none");
    require(usable >= 2, "at least 2 usable rows", "the stream", std::to_string(usable));
    require(counts_centers() || answers_.order < usable, "fewer neighbours than there are usable rows",
            "request->order", std::to_string(answers_.order));
    stage_ = Stage::kBroken;
    needs_another = end_first_pass(run);
  } else {
    require(second_blocks_ == widths_.size(),
            ("the " + std::to_string(widths_.size()) + " blocks of pass 1").c_str(), "pass 2",
            std::to_string(second_blocks_));
    stage_ = Stage::kBroken;
    end_second_pass(run);
  }
  stage_ = needs_another ? Stage::kSecondPass : Stage::kDone;
  run.finish();
  return needs_another;
}

bool ColumnStream::end_first_pass(RunContext& run) {
  if (counts_centers()) {
    if (rows_dropped_) {
      centers_.reset();
      centers_ =
          std::make_unique<StreamCenters>(rows_, request_.class_count, center_kernels(backend_).distances);
    }
    return rows_dropped_;
  }
  for (size_t row = 0; row < rows_.size(); ++row) answers_.answered[row] = rows_.usable[row] == 0 ? 1 : 0;
  if (!products_) {
    answer_by_distances(run);
    return false;
  }
  const std::vector<std::vector<uint32_t>> groups = large_groups(rows_, answers_.order);
  answer_copies(groups, rows_, answers_);
  WantedPairs pairs = answer_by_products(*products_, rows_, groups, most_pairs(rows_.size()), answers_, run);
  products_.reset();
  if (pairs.too_many) {
    distances_ = std::make_unique<AllDistances>(rows_.size(), center_kernels(backend_).distances);
  } else if (!pairs.references.empty()) {
    distances_ = std::make_unique<PairDistances>(std::move(pairs));
  }
  return distances_ != nullptr;
}

void ColumnStream::end_second_pass(const RunContext& run) {
  require(first_digest_.equals(second_digest_, rows_), "the values of pass 1", "pass 2", "others");
  if (!counts_centers()) answer_by_distances(run);
}

void ColumnStream::answer_by_distances(const RunContext& run) {
  parallel_ranges(run, rows_.size(), 16, [&](size_t begin, size_t end, int) {
    for (size_t row = begin; row < end; ++row) {
      if (answers_.answered[row] != 0) continue;
      NearestList nearest(answers_.order);
      distances_->offer(row, rows_.usable, nearest);
      answers_.answer(row, nearest.neighbours(), rows_);
    }
  });
  distances_.reset();
}

void ColumnStream::finish(sieve_separation_result* result) const {
  require(result != nullptr, "a pointer", "result", "NULL");
  require(!counts_centers(), "a stream of SIEVE_INDEX_SEPARATION", "the stream", "one of SIEVE_INDEX_CENTER");
  require(stage_ == Stage::kDone, "a stream whose last pass has ended", "the stream", "one that has not");
  require(result->nearest_distance == nullptr || result->nearest != nullptr, "result->nearest beside it",
          "result->nearest_distance", "NULL");
  require(result->nearest == nullptr || answers_.wants_neighbours, "request->wants_neighbours",
          "result->nearest", "a stream created without");
  std::vector<uint32_t> same_label;
  std::vector<int32_t> labels;
  for (size_t row = 0; row < rows_.size(); ++row) {
    if (rows_.usable[row] == 0) continue;
    same_label.push_back(answers_.same_label[row]);
    labels.push_back(rows_.labels[row]);
  }
  result->value = separation_score(same_label, labels, answers_.order, request_.kind, request_.class_count,
                                   result->per_class);
  result->rows_used = static_cast<int64_t>(labels.size());
  result->backend = backend_;
  for (size_t slot = 0; result->nearest != nullptr && slot < answers_.neighbours.size(); ++slot) {
    const bool used = rows_.usable[slot / answers_.order] != 0;
    const Neighbour& neighbour = answers_.neighbours[slot];
    result->nearest[slot] = used ? static_cast<int64_t>(neighbour.point) : -1;
    if (result->nearest_distance != nullptr) {
      result->nearest_distance[slot] = used ? neighbour.distance : std::numeric_limits<double>::quiet_NaN();
    }
  }
}

void ColumnStream::finish_centers(sieve_center_result* result) const {
  require(result != nullptr, "a pointer", "result", "NULL");
  require(counts_centers(), "a stream of SIEVE_INDEX_CENTER", "the stream", "one of SIEVE_INDEX_SEPARATION");
  require(stage_ == Stage::kDone, "a stream whose last pass has ended", "the stream", "one that has not");
  require(result->centers == nullptr, "NULL (a stream does not keep the means)", "result->centers",
          "a pointer");
  const std::vector<int32_t> nearest = centers_->nearest_classes();
  const std::vector<int32_t>& labels = centers_->labels();
  result->value = center_score(nearest, labels, request_.class_count, result->per_class);
  result->rows_used = static_cast<int64_t>(labels.size());
  if (result->nearest == nullptr) return;
  size_t point = 0;
  for (size_t row = 0; row < rows_.size(); ++row) {
    result->nearest[row] = rows_.usable[row] != 0 ? nearest[point++] : -1;
  }
}

}  // namespace sieve

extern "C" {

sieve_status sieve_column_stream_create(const sieve_column_stream_request* request,
                                        const sieve_run_options* options, sieve_column_stream** stream,
                                        sieve_error* error) {
  using namespace sieve;
  return guarded(error, [&] {
    require(stream != nullptr, "a pointer", "stream", "NULL");
    *stream = nullptr;
    require(request != nullptr, "a pointer", "request", "NULL");
    const RunContext run(options);
    *stream = new sieve_column_stream{ColumnStream(*request, run)};
  });
}

sieve_status sieve_column_stream_add(sieve_column_stream* stream, sieve_matrix block,
                                     const sieve_run_options* options, sieve_error* error) {
  using namespace sieve;
  return guarded(error, [&] {
    require(stream != nullptr, "a pointer", "stream", "NULL");
    RunContext run(options);
    stream->stream.add(block, run);
  });
}

sieve_status sieve_column_stream_end_pass(sieve_column_stream* stream, const sieve_run_options* options,
                                          int32_t* needs_another, sieve_error* error) {
  using namespace sieve;
  return guarded(error, [&] {
    require(stream != nullptr, "a pointer", "stream", "NULL");
    require(needs_another != nullptr, "a pointer", "needs_another", "NULL");
    RunContext run(options);
    *needs_another = stream->stream.end_pass(run) ? 1 : 0;
  });
}

sieve_status sieve_column_stream_finish(const sieve_column_stream* stream, sieve_separation_result* result,
                                        sieve_error* error) {
  using namespace sieve;
  return guarded(error, [&] {
    require(stream != nullptr, "a pointer", "stream", "NULL");
    stream->stream.finish(result);
  });
}

sieve_status sieve_column_stream_finish_centers(const sieve_column_stream* stream,
                                                sieve_center_result* result, sieve_error* error) {
  using namespace sieve;
  return guarded(error, [&] {
    require(stream != nullptr, "a pointer", "stream", "NULL");
    stream->stream.finish_centers(result);
  });
}

void sieve_column_stream_destroy(sieve_column_stream* stream) { delete stream; }

}  // extern "C"
