// Moments of a linear layer: gram = sum of x x', cross = sum of x y' over the patches x (with a constant 1)
// and targets y of a batch.
//
// Patches are unrolled block by block into float64 rows, one row per regressor, the constant and each target,
// so that every moment is a dot product of two contiguous rows. Blocks of rows times blocks of rows are the
// tasks; a problem with few of them is also sliced along the patches. Blocks and slices depend on the sizes
// alone, so the result is the same for any number of threads.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <string>
#include <vector>

#include "core/dense_linear_algebra.h"
#include "core/failure.h"
#include "core/parallel.h"
#include "sieve/sieve.h"

namespace sieve {
namespace {

constexpr std::size_t kPatchesPerBlock = 512;
constexpr std::size_t kTileSize = 32;  // rows of a task; a multiple of kGramTileRows
constexpr std::size_t kTasksWanted = 64;
constexpr std::size_t kUnrolledBytes = std::size_t{8} << 20;
constexpr std::size_t kMostBlocks = 64;
constexpr std::size_t kFewestBlocks = 4;
constexpr int64_t kLargestSize = int64_t{1} << 20;

struct Batch {
  const float* input;
  std::size_t input_sample_stride;
  const float* target;
  std::size_t target_sample_stride;
  std::size_t samples;
};

std::size_t map_size(const sieve_patch_geometry& geometry) {
  return static_cast<std::size_t>(geometry.output_height * geometry.output_width);
}

std::size_t regressor_count(const sieve_patch_geometry& geometry) {
  return static_cast<std::size_t>(geometry.channels * geometry.kernel_height * geometry.kernel_width);
}

// Positions along one axis that read inside the map: first <= position < last.
struct ValidRange {
  int64_t first;
  int64_t last;
};

ValidRange valid_range(int64_t stride, int64_t offset, int64_t size, int64_t positions) {
  // 0 <= position * stride + offset < size
  const int64_t first = offset >= 0 ? 0 : (-offset + stride - 1) / stride;
  const int64_t last = size <= offset ? 0 : (size - offset + stride - 1) / stride;
  return {std::min(first, positions), std::clamp(last, std::min(first, positions), positions)};
}

// Fills row[0 .. count) with the regressor (channel, kernel_row, kernel_column) of patches begin .. begin +
// count.
void unroll_regressor(const Batch& batch, const sieve_patch_geometry& geometry, std::size_t regressor,
                      std::size_t begin, std::size_t count, double* row) {
  const int64_t kernel_size = geometry.kernel_height * geometry.kernel_width;
  const int64_t channel = static_cast<int64_t>(regressor) / kernel_size;
  const int64_t kernel_row = static_cast<int64_t>(regressor) % kernel_size / geometry.kernel_width;
  const int64_t kernel_column = static_cast<int64_t>(regressor) % geometry.kernel_width;
  const int64_t stride = geometry.stride_width;
  const int64_t row_offset = kernel_row * geometry.dilation_height - geometry.pad_top;
  const int64_t column_offset = kernel_column * geometry.dilation_width - geometry.pad_left;
  const ValidRange columns = valid_range(stride, column_offset, geometry.width, geometry.output_width);
  const int64_t output_width = geometry.output_width;

  std::size_t done = 0;
  while (done < count) {
    const std::size_t patch = begin + done;
    const std::size_t sample = patch / map_size(geometry);
    const auto position = static_cast<int64_t>(patch % map_size(geometry));
    const int64_t output_row = position / output_width;
    const int64_t from = position % output_width;
    const int64_t to = std::min(output_width, from + static_cast<int64_t>(count - done));
    double* target = row + done;
    done += static_cast<std::size_t>(to - from);

    const int64_t input_row = output_row * geometry.stride_height + row_offset;
    const int64_t first = std::clamp(columns.first, from, to);
    const int64_t last = std::clamp(columns.last, first, to);
    if (input_row < 0 || input_row >= geometry.height || first == last) {
      std::fill(target, target + (to - from), 0.0);
      continue;
    }
    std::fill(target, target + (first - from), 0.0);
    std::fill(target + (last - from), target + (to - from), 0.0);
    const float* source = batch.input + sample * batch.input_sample_stride +
                          (channel * geometry.height + input_row) * geometry.width + first * stride +
                          column_offset;
    double* filled = target + (first - from);
    const int64_t length = last - first;
    if (stride == 1) {
      for (int64_t i = 0; i < length; ++i) filled[i] = source[i];
    } else {
      for (int64_t i = 0; i < length; ++i) filled[i] = source[i * stride];
    }
  }
}

void unroll_target(const Batch& batch, const sieve_patch_geometry& geometry, std::size_t output,
                   std::size_t begin, std::size_t count, double* row) {
  const std::size_t size = map_size(geometry);
  for (std::size_t done = 0; done < count;) {
    const std::size_t sample = (begin + done) / size;
    const std::size_t position = (begin + done) % size;
    const std::size_t length = std::min(size - position, count - done);
    const float* source = batch.target + sample * batch.target_sample_stride + output * size + position;
    for (std::size_t i = 0; i < length; ++i) row[done + i] = source[i];
    done += length;
  }
}

// One block of patches as rows [regressors, constant, targets], zero beyond its last patch.
class UnrolledBlock {
 public:
  explicit UnrolledBlock(std::size_t rows) : values_(rows, kPatchesPerBlock) {}
  double* row(std::size_t index) { return values_.row(index); }
  const double* row(std::size_t index) const { return values_.row(index); }

 private:
  PaddedMatrix values_;
};

struct Tile {
  std::size_t first_row;
  std::size_t first_column;
};

// The tiles that hold some (regressor, row at or after it) pair; pairs of two targets are not needed.
std::vector<Tile> tiles_of(std::size_t regressors, std::size_t rows) {
  std::vector<Tile> tiles;
  for (std::size_t i = 0; i < regressors; i += kTileSize) {
    for (std::size_t j = i; j < rows; j += kTileSize) tiles.push_back({i, j});
  }
  return tiles;
}

// sums[kTileSize * i + j] += dot(row first_row + i, row first_column + j) where that is on or above the
// diagonal.
void add_tile(const GramKernels& kernels, const UnrolledBlock& block, std::size_t depth, const Tile& tile,
              std::size_t regressors, std::size_t rows, double* sums) {
  double partial[kGramTileRows * kGramTileRows];
  const std::size_t last_row = std::min(tile.first_row + kTileSize, regressors);
  const std::size_t last_column = std::min(tile.first_column + kTileSize, rows);
  for (std::size_t i = tile.first_row; i < last_row; i += kGramTileRows) {
    for (std::size_t j = std::max(tile.first_column, i); j < last_column; j += kGramTileRows) {
      kernels.dot_tile(block.row(i), kPatchesPerBlock, block.row(j), kPatchesPerBlock, depth, partial);
      double* corner = sums + (i - tile.first_row) * kTileSize + (j - tile.first_column);
      for (std::size_t r = 0; r < kGramTileRows; ++r) {
        for (std::size_t c = 0; c < kGramTileRows; ++c)
          corner[r * kTileSize + c] += partial[kGramTileRows * r + c];
      }
    }
  }
}

void add_to_moments(const Tile& tile, const double* sums, std::size_t regressors, std::size_t outputs,
                    const sieve_moments& moments) {
  const std::size_t rows = regressors + outputs;
  for (std::size_t i = tile.first_row; i < std::min(tile.first_row + kTileSize, regressors); ++i) {
    for (std::size_t j = std::max(tile.first_column, i); j < std::min(tile.first_column + kTileSize, rows);
         ++j) {
      const double sum = sums[(i - tile.first_row) * kTileSize + (j - tile.first_column)];
      if (j >= regressors) {
        moments.cross[i * outputs + (j - regressors)] += sum;
        continue;
      }
      moments.gram[i * regressors + j] += sum;
      if (i != j) moments.gram[j * regressors + i] += sum;
    }
  }
}

bool all_finite(const float* values, std::size_t count) {
  // An exponent of all ones is an infinity or NaN; integers, so that the loop vectorises under any flags.
  constexpr uint32_t kExponent = 0x7f800000u;
  uint32_t found = 0;
  for (std::size_t i = 0; i < count; ++i) {
    uint32_t bits;
    std::memcpy(&bits, values + i, sizeof bits);
    found |= static_cast<uint32_t>((bits & kExponent) == kExponent);
  }
  return found == 0;
}

void check_finite(const RunContext& run, const Batch& batch, const sieve_patch_geometry& geometry) {
  const auto input_size = static_cast<std::size_t>(geometry.channels * geometry.height * geometry.width);
  const std::size_t target_size = static_cast<std::size_t>(geometry.outputs) * map_size(geometry);
  std::vector<std::uint8_t> finite(batch.samples);
  const std::size_t per_block = std::max<std::size_t>(1, 100000 / (input_size + target_size));
  const double work = static_cast<double>(batch.samples) * static_cast<double>(input_size + target_size);
  parallel_where_it_pays(run, (batch.samples + per_block - 1) / per_block, work, [&](std::size_t block, int) {
    for (std::size_t n = block * per_block; n < std::min(batch.samples, (block + 1) * per_block); ++n) {
      finite[n] = all_finite(batch.input + n * batch.input_sample_stride, input_size) &&
                  all_finite(batch.target + n * batch.target_sample_stride, target_size);
    }
  });
  const auto bad = std::find(finite.begin(), finite.end(), 0);
  if (bad == finite.end()) return;
  const auto sample = static_cast<int64_t>(bad - finite.begin());
  expected(SIEVE_STATUS_NON_FINITE, "finite values", "input and target",
           "NaN or an infinity in sample " + std::to_string(sample), sample);
}

void check_geometry(const sieve_patch_geometry& g) {
  // Products of three such sizes still fit int64.
  const auto positive = [](int64_t value, const char* name) {
    require(value >= 1 && value <= kLargestSize, "a size from 1 to 2^20", name, std::to_string(value));
  };
  positive(g.channels, "channels");
  positive(g.height, "height");
  positive(g.width, "width");
  positive(g.kernel_height, "kernel_height");
  positive(g.kernel_width, "kernel_width");
  positive(g.stride_height, "stride_height");
  positive(g.stride_width, "stride_width");
  positive(g.dilation_height, "dilation_height");
  positive(g.dilation_width, "dilation_width");
  positive(g.output_height, "output_height");
  positive(g.output_width, "output_width");
  positive(g.outputs, "outputs");
  const bool pads =
      g.pad_top >= 0 && g.pad_left >= 0 && g.pad_top <= kLargestSize && g.pad_left <= kLargestSize;
  require(pads, "a size from 0 to 2^20", "pad_top and pad_left",
          std::to_string(g.pad_top) + " and " + std::to_string(g.pad_left));
  const bool few = g.kernel_width <= kLargestSize / g.kernel_height &&
                   g.channels <= kLargestSize / (g.kernel_height * g.kernel_width);
  require(few, "at most 2^20", "channels times kernel size",
          std::to_string(g.channels) + " x " + std::to_string(g.kernel_height) + " x " +
              std::to_string(g.kernel_width));
}

void accumulate(RunContext& run, const Batch& batch, const sieve_patch_geometry& geometry,
                sieve_moments& moments) {
  const GramKernels& kernels = gram_kernels(run);
  const std::size_t regressors = regressor_count(geometry) + 1;
  const auto outputs = static_cast<std::size_t>(geometry.outputs);
  const std::size_t rows = regressors + outputs;
  const std::size_t patches = batch.samples * map_size(geometry);

  const std::vector<Tile> tiles = tiles_of(regressors, rows);
  const std::size_t slices = std::clamp<std::size_t>(kTasksWanted / tiles.size(), 1, kTasksWanted);
  const std::size_t total_blocks = (patches + kPatchesPerBlock - 1) / kPatchesPerBlock;
  const std::size_t fitting = kUnrolledBytes / (rows * kPatchesPerBlock * sizeof(double));
  const std::size_t group_size = std::min(total_blocks, std::clamp(fitting, kFewestBlocks, kMostBlocks));
  std::vector<UnrolledBlock> group(group_size, UnrolledBlock(rows));
  std::vector<std::vector<double>> square_sums(group_size, std::vector<double>(outputs));
  // With one slice the tiles go straight to the moments.
  std::vector<double> slice_sums(slices > 1 ? slices * tiles.size() * kTileSize * kTileSize : 0);

  constexpr std::size_t kRowsPerTask = 32;
  const std::size_t row_tasks = (rows + kRowsPerTask - 1) / kRowsPerTask;
  run.begin_phase(0, 1, total_blocks);
  for (std::size_t group_begin = 0; group_begin < total_blocks; group_begin += group_size) {
    const std::size_t blocks = std::min(group_size, total_blocks - group_begin);
    const auto patches_in = [&](std::size_t block) {
      return std::min(kPatchesPerBlock, patches - (group_begin + block) * kPatchesPerBlock);
    };
    const double unrolled = static_cast<double>(rows) * static_cast<double>(blocks * kPatchesPerBlock);
    parallel_where_it_pays(run, blocks * row_tasks, unrolled, [&](std::size_t task, int) {
      const std::size_t block = task / row_tasks;
      const std::size_t begin = (group_begin + block) * kPatchesPerBlock;
      const std::size_t count = patches_in(block);
      const std::size_t first = task % row_tasks * kRowsPerTask;
      for (std::size_t index = first; index < std::min(first + kRowsPerTask, rows); ++index) {
        double* row = group[block].row(index);
        if (index + 1 < regressors) {
          unroll_regressor(batch, geometry, index, begin, count, row);
        } else if (index + 1 == regressors) {
          std::fill(row, row + count, 1.0);
        } else {
          const std::size_t output = index - regressors;
          unroll_target(batch, geometry, output, begin, count, row);
          double sum = 0;
          for (std::size_t i = 0; i < count; ++i) sum += row[i] * row[i];
          square_sums[block][output] = sum;
        }
        std::fill(row + count, row + kPatchesPerBlock, 0.0);
      }
    });

    const double products = unrolled * static_cast<double>(regressors);
    parallel_where_it_pays(run, slices * tiles.size(), products, [&](std::size_t task, int) {
      const std::size_t slice = task / tiles.size();
      const Tile& tile = tiles[task % tiles.size()];
      double own[kTileSize * kTileSize] = {};
      double* sums = slices > 1 ? slice_sums.data() + task * kTileSize * kTileSize : own;
      for (std::size_t block = slice; block < blocks; block += slices) {
        const std::size_t depth = round_up(patches_in(block), kGramDepthUnit);
        add_tile(kernels, group[block], depth, tile, regressors, rows, sums);
      }
      if (slices == 1) add_to_moments(tile, own, regressors, outputs, moments);
    });
    for (std::size_t block = 0; block < blocks; ++block) {
      for (std::size_t c = 0; c < outputs; ++c) moments.target_square[c] += square_sums[block][c];
    }
    run.advance(blocks);
  }
  for (std::size_t task = 0; slices > 1 && task < slices * tiles.size(); ++task) {
    add_to_moments(tiles[task % tiles.size()], slice_sums.data() + task * kTileSize * kTileSize, regressors,
                   outputs, moments);
  }
  moments.count += static_cast<int64_t>(patches);
}

}  // namespace
}  // namespace sieve

sieve_status sieve_moments_accumulate(const float* input, size_t input_sample_stride, const float* target,
                                      size_t target_sample_stride, size_t samples,
                                      const sieve_patch_geometry* geometry, const sieve_run_options* options,
                                      sieve_moments* moments, sieve_error* error) {
  return sieve::guarded(error, [&] {
    sieve::require(geometry != nullptr, "a geometry", "geometry", "NULL");
    sieve::require(moments != nullptr && moments->gram != nullptr && moments->cross != nullptr &&
                       moments->target_square != nullptr,
                   "arrays", "moments", "NULL");
    sieve::require(samples == 0 || (input != nullptr && target != nullptr), "arrays", "input and target",
                   "NULL");
    sieve::check_geometry(*geometry);
    sieve::RunContext run(options);
    const sieve::Batch batch{input, input_sample_stride, target, target_sample_stride, samples};
    sieve::check_finite(run, batch, *geometry);
    if (samples > 0) sieve::accumulate(run, batch, *geometry, *moments);
    run.finish();
  });
}
