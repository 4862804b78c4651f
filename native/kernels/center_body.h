// Included once per instruction set, inside its anonymous namespace, as tile_kernels_body.h is. Plain loops:
// the compiler turns them into vectors. Every sum is one chain in the order of the columns or rows, each
// operation rounded to float64 (these files are compiled without contraction), so all instruction sets agree
// bit for bit.

void center_distances(const float* const* rows, size_t column, size_t count, const double* centers,
                      double* sums) {
  double total[kCenterRows][kCenterLanes];
  for (size_t r = 0; r < kCenterRows; ++r) {
    for (size_t lane = 0; lane < kCenterLanes; ++lane) total[r][lane] = sums[r * kCenterLanes + lane];
  }
  for (size_t k = 0; k < count; ++k) {
    const double* center = centers + k * kCenterLanes;
#pragma GCC unroll 4
    for (size_t r = 0; r < kCenterRows; ++r) {
      const double value = rows[r][column + k];
      for (size_t lane = 0; lane < kCenterLanes; ++lane) {
        const double difference = value - center[lane];
        const double square = difference * difference;
        total[r][lane] += square;
      }
    }
  }
  for (size_t r = 0; r < kCenterRows; ++r) {
    for (size_t lane = 0; lane < kCenterLanes; ++lane) sums[r * kCenterLanes + lane] = total[r][lane];
  }
}
