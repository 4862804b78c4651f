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

inline float cut_sum(float sum, double product) {
  const double exact = static_cast<double>(sum) + product;
  float cut = static_cast<float>(exact);
  if (std::fabs(static_cast<double>(cut)) > std::fabs(exact)) cut = std::nextafterf(cut, 0.0f);
  return std::fabs(cut) < FLT_MIN ? 0.0f : cut;
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
    const int exponent = static_cast<int>((bits >> 10) & 31u);
    if (exponent == 0) return 0.0;
    const double magnitude = std::ldexp(1024.0 + static_cast<double>(bits & 1023u), exponent - 25);
    return (bits & 0x8000u) != 0 ? -magnitude : magnitude;
  }
};

template <typename Element, int kSum, int kA, int kB>
inline void tile_multiply_emulated() {
  EmulatedTiles& tiles = configured_tiles();
  double a[16][32], b[32][16];
  for (size_t i = 0; i < 16; ++i) {
    for (size_t p = 0; p < 16; ++p) {
      for (size_t half = 0; half < 2; ++half) {
        a[i][2 * p + half] = Element::value((tiles.rows[kA][i][p] >> (16 * half)) & 0xffffu);
        b[2 * p + half][i] = Element::value((tiles.rows[kB][p][i] >> (16 * half)) & 0xffffu);
      }
    }
  }
  for (size_t m = 0; m < 16; ++m) {
    for (size_t n = 0; n < 16; ++n) {
      float sum;
      std::memcpy(&sum, &tiles.rows[kSum][m][n], sizeof(sum));
      for (size_t k = 0; k < 32; ++k) sum = cut_sum(sum, a[m][k] * b[k][n]);
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
