// The prefetch of center_sums_body.h and center_products_body.h on x64. Included inside the anonymous
// namespace of each file, after the intrinsics and <cstdint>.

// Into the second-level cache: rows one power of two apart compete for the same few lines of the first.
inline void prefetch(const float* row, size_t column) {
  const uintptr_t at =
      reinterpret_cast<uintptr_t>(row) + column * sizeof(float);  // may lie outside the input
  _mm_prefetch(reinterpret_cast<const char*>(at), _MM_HINT_T1);
}
