// Products of rounded points with AMX tiles: 2 x 2 tiles of sums, two left and two right tiles. Included by a
// file for each element type inside its anonymous namespace, after tile_multiply<kSum, kA, kB>() and
// rounded_pack_body.h.
//
// A right panel is what the instruction wants of its second operand as it is: rows of pairs. The first
// operand wants rows of points: arrange_left transposes its panels, 16 x 16 pairs at a time. The left panels
// of a block of K (2 x 16 KiB) stay in the first-level cache while the right ones stream from the second.

constexpr size_t kTilePairs = 16;
constexpr size_t kTileBytes = 64;  // of a row

void arrange_left(RoundedPanels panels, const PairRun* runs, size_t run_count, uint32_t* out) {
  for (size_t panel = 0; panel < panels.count; ++panel) {
    const uint32_t* from = panels.data + panel * panels.stride * kRoundedPanel;
    uint32_t* to = out + panel * panels.stride * kRoundedPanel;
    for (size_t run = 0; run < run_count; ++run) {
      for (size_t p = runs[run].begin; p < runs[run].begin + runs[run].count; p += kTilePairs) {
        __m512 block[16];
#pragma GCC unroll 16
        for (size_t i = 0; i < 16; ++i)
          block[i] = _mm512_load_ps(reinterpret_cast<const float*>(from) + (p + i) * 16);
        transpose_block(block);
#pragma GCC unroll 16
        for (size_t i = 0; i < 16; ++i)
          _mm512_store_ps(reinterpret_cast<float*>(to) + (p + i) * 16, block[i]);
      }
    }
  }
}

// 32 points against 32 points.
inline void multiply_panels(const uint32_t* left, size_t left_stride, const uint32_t* right,
                            size_t right_stride, const PairRun* runs, size_t run_count, const float* base,
                            float* out, size_t stride) {
  tile_zero<0>();
  tile_zero<1>();
  tile_zero<2>();
  tile_zero<3>();
  for (size_t run = 0; run < run_count; ++run) {
    const size_t end = (runs[run].begin + runs[run].count) * kRoundedPanel;
    for (size_t p = runs[run].begin * kRoundedPanel; p < end; p += kTilePairs * kRoundedPanel) {
      tile_load<4>(left + p, kTileBytes);
      tile_load<6>(right + p, kTileBytes);
      tile_multiply<0, 4, 6>();
      tile_load<7>(right + right_stride * kRoundedPanel + p, kTileBytes);
      tile_multiply<1, 4, 7>();
      tile_load<5>(left + left_stride * kRoundedPanel + p, kTileBytes);
      tile_multiply<2, 5, 6>();
      tile_multiply<3, 5, 7>();
    }
  }
  if (base == nullptr) {
    const size_t row_bytes = stride * sizeof(float);
    tile_store<0>(out, row_bytes);
    tile_store<1>(out + 16, row_bytes);
    tile_store<2>(out + 16 * stride, row_bytes);
    tile_store<3>(out + 16 * stride + 16, row_bytes);
    return;
  }
  // Added here and not in the tiles: each block of K has a chain of additions of its own.
  alignas(64) float sums[4][16 * 16];
  tile_store<0>(sums[0], kTileBytes);
  tile_store<1>(sums[1], kTileBytes);
  tile_store<2>(sums[2], kTileBytes);
  tile_store<3>(sums[3], kTileBytes);
  for (size_t tile = 0; tile < 4; ++tile) {
    for (size_t row = 0; row < 16; ++row) {
      const size_t at = (tile / 2 * 16 + row) * stride + tile % 2 * 16;
      _mm512_store_ps(out + at,
                      _mm512_add_ps(_mm512_load_ps(base + at), _mm512_load_ps(sums[tile] + row * 16)));
    }
  }
}

// Hands out the lines of the next call's right operand, a share to each 32 x 32 products: tile loads wait for
// the memory behind the second-level cache, and no hardware prefetcher follows them across panels.
class FetchAhead {
 public:
  FetchAhead(RoundedPanels next, size_t calls)
      : next_(next.data), lines_(next.count * next.stride), share_(calls > 0 ? lines_ / calls + 1 : 0) {}
  void fetch() {
    for (size_t i = 0; i < share_ && line_ < lines_; ++i, ++line_) {
      _mm_prefetch(reinterpret_cast<const char*>(next_ + line_ * kRoundedPanel), _MM_HINT_T1);
    }
  }

 private:
  const uint32_t* next_;
  size_t lines_;
  size_t share_;
  size_t line_ = 0;
};

void multiply(RoundedPanels left, RoundedPanels right, const PairRun* runs, size_t run_count,
              const float* base, float* out, size_t stride, const uint32_t* first_right_panel,
              RoundedPanels next) {
  const TileScope tiles;
  FetchAhead ahead(next, left.count / 2 * (right.count / 2));
  for (size_t a = 0; a < left.count; a += 2) {
    const size_t first = first_right_panel != nullptr ? first_right_panel[a] / 2 * 2 : 0;
    const uint32_t* left_panels = left.data + a * left.stride * kRoundedPanel;
    for (size_t b = first; b < right.count; b += 2) {
      const size_t at = a * kRoundedPanel * stride + b * kRoundedPanel;
      ahead.fetch();
      multiply_panels(left_panels, left.stride, right.data + b * right.stride * kRoundedPanel, right.stride,
                      runs, run_count, base != nullptr ? base + at : nullptr, out + at, stride);
    }
  }
}
