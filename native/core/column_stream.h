// Separation indices of features that come as blocks of columns, one after the other.
//
// SI: pass 1 adds up products of all pairs in float32 (vector backends) or their distances in float64
// (serial). The products' bounds leave some pairs open; pass 2 adds up float64 distances for those alone.
// CSI: one pass, or two where a row drops out after the first block.
#ifndef SIEVE_CORE_COLUMN_STREAM_H
#define SIEVE_CORE_COLUMN_STREAM_H

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "core/column_stream_candidates.h"
#include "core/column_stream_centers.h"
#include "core/column_stream_distances.h"
#include "core/column_stream_products.h"
#include "core/column_stream_rows.h"
#include "core/run_context.h"
#include "sieve/sieve.h"

namespace sieve {

class ColumnStream {
 public:
  ColumnStream(const sieve_column_stream_request& request, const RunContext& run);

  void add(const sieve_matrix& matrix, RunContext& run);
  bool end_pass(RunContext& run);  // true: another pass is needed
  void finish(sieve_separation_result* result) const;
  void finish_centers(sieve_center_result* result) const;

 private:
  enum class Stage { kFirstPass, kSecondPass, kDone, kBroken };

  bool counts_centers() const { return request_.index_kind == SIEVE_INDEX_CENTER; }
  void require_pass() const;
  void check_width(const sieve_matrix& matrix) const;
  void add_in_first_pass(const StreamBlock& block, RunContext& run);
  void add_in_second_pass(const StreamBlock& block, RunContext& run);
  bool end_first_pass(RunContext& run);
  void end_second_pass(const RunContext& run);
  void answer_by_distances(const RunContext& run);

  sieve_column_stream_request request_;
  sieve_backend backend_;
  StreamRows rows_;
  Stage stage_ = Stage::kFirstPass;
  std::vector<size_t> widths_;  // of the blocks of pass 1
  size_t columns_ = 0;
  size_t second_blocks_ = 0;
  StreamDigest first_digest_;
  StreamDigest second_digest_;

  std::unique_ptr<StreamProducts> products_;    // SI on a vector backend, pass 1
  std::unique_ptr<StreamDistances> distances_;  // SI, float64
  std::unique_ptr<StreamCenters> centers_;      // CSI; NULL before the first block and for a second pass
  bool rows_dropped_ = false;                   // CSI: the means so far hold rows that are not usable
  StreamAnswers answers_;
};

}  // namespace sieve

struct sieve_column_stream {
  sieve::ColumnStream stream;
};

#endif  // SIEVE_CORE_COLUMN_STREAM_H
