// AMX tile instructions in plain code, for kernels/amx_tiles.h on CPUs without them. As pessimistic as the
// bound in kernels/rounded_kernels.h allows: every addition is cut off towards zero instead of rounded, and
// results below the normal range are flushed.

struct EmulatedTiles {
  uint32_t rows[8][16][16];
  bool configured = false;
};

inline EmulatedTiles& emulated_tiles() {
  static thread_local EmulatedTiles tiles;
  return tiles;
}

class TileScope {
 public:
  TileScope() { emulated_tiles().configured = true; }
  ~TileScope() { emulated_tiles().configured = false; }
  TileScope(const TileScope&) = delete;
  TileScope& operator=(const TileScope&) = delete;
};

// The hardware faults as well.
inline EmulatedTiles& configured_tiles() {
  EmulatedTiles& tiles = emulated_tiles();
  if (!tiles.configured) __builtin_trap();
  return tiles;
}

template <int kTile>
inline void tile_zero() {
  std::memset(configured_tiles().rows[kTile], 0, sizeof(EmulatedTiles::rows[kTile]));
}

template <int kTile>
inline void tile_load(const void* from, size_t stride) {
  for (size_t row = 0; row < 16; ++row) {
    std::memcpy(configured_tiles().rows[kTile][row], static_cast<const char*>(from) + row * stride, 64);
  }
}

template <int kTile>
inline void tile_store(void* to, size_t stride) {
  for (size_t row = 0; row < 16; ++row) {
    std::memcpy(static_cast<char*>(to) + row * stride, configured_tiles().rows[kTile][row], 64);
  }
}

// A float in a double: cut off behind 24 bits, 0 below the normal range.
inline double cut(double value) {
  uint64_t bits;
  std::memcpy(&bits, &value, sizeof(bits));
  bits &= ~uint64_t{0x1fffffff};
  double kept;
  std::memcpy(&kept, &bits, sizeof(kept));
  return std::fabs(kept) < static_cast<double>(FLT_MIN) ? 0.0 : kept;
}

struct EmulatedBfloat16 {
  static double value(uint32_t bits) {
    if ((bits & 0x7f80u) == 0) return 0.0;
    const uint32_t wide = bits << 16;
    float value;
    std::memcpy(&value, &wide, sizeof(value));
    return value;
  }
};

struct EmulatedFloat16 {
  static double value(uint32_t bits) {
    if ((bits & 0x7c00u) == 0) return 0.0;
    const uint32_t wide = ((bits & 0x7fffu) << 13) + (112u << 23) + ((bits & 0x8000u) << 16);
    float value;
    std::memcpy(&value, &wide, sizeof(value));
    return value;
  }
};

template <typename Element, int kSum, int kA, int kB>
inline void tile_multiply_emulated() {
  EmulatedTiles& tiles = configured_tiles();
  double a[16][32], b[32][16], sums[16][16];
  for (size_t i = 0; i < 16; ++i) {
    for (size_t p = 0; p < 16; ++p) {
      for (size_t half = 0; half < 2; ++half) {
        a[i][2 * p + half] = Element::value((tiles.rows[kA][i][p] >> (16 * half)) & 0xffffu);
        b[2 * p + half][i] = Element::value((tiles.rows[kB][p][i] >> (16 * half)) & 0xffffu);
      }
      float sum;
      std::memcpy(&sum, &tiles.rows[kSum][i][p], sizeof(sum));
      sums[i][p] = sum;
    }
  }
  for (size_t m = 0; m < 16; ++m) {
    for (size_t k = 0; k < 32; ++k) {
      for (size_t n = 0; n < 16; ++n) sums[m][n] = cut(sums[m][n] + a[m][k] * b[k][n]);
    }
    for (size_t n = 0; n < 16; ++n) {
      const auto sum = static_cast<float>(sums[m][n]);
      std::memcpy(&tiles.rows[kSum][m][n], &sum, sizeof(sum));
    }
  }
}

template <int kSum, int kA, int kB>
inline void tile_multiply_bfloat16() {
  tile_multiply_emulated<EmulatedBfloat16, kSum, kA, kB>();
}

template <int kSum, int kA, int kB>
inline void tile_multiply_float16() {
  tile_multiply_emulated<EmulatedFloat16, kSum, kA, kB>();
}
