// Included once per instruction set, inside its anonymous namespace and after it has defined `struct Lanes`
// (16 floats: load, subtract, square_add, sum, prefetch).

void gather_distances(const float* rows, size_t depth, const float* query, const uint32_t* members,
                      size_t count, float* distances) {
  constexpr size_t kAhead = 6;
  for (size_t i = 0; i < count; ++i) {
    if (i + kAhead < count) {
      const float* later = rows + static_cast<size_t>(members[i + kAhead]) * depth;
      for (size_t k = 0; k < depth && k < 8 * kGatherLanes; k += kGatherLanes) Lanes::prefetch(later + k);
    }
    const float* row = rows + static_cast<size_t>(members[i]) * depth;
    Lanes sum = Lanes::zero();
    for (size_t k = 0; k < depth; k += kGatherLanes) {
      sum = Lanes::square_add(Lanes::subtract(Lanes::load(query + k), Lanes::load(row + k)), sum);
    }
    distances[i] = Lanes::total(sum);
  }
}
