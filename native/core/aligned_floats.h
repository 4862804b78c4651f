// Float buffers that start on a cache line.
#ifndef SIEVE_CORE_ALIGNED_FLOATS_H
#define SIEVE_CORE_ALIGNED_FLOATS_H

#include <cstddef>
#include <cstdint>
#include <vector>

namespace sieve {

class AlignedFloats {
 public:
  explicit AlignedFloats(size_t count = 0, float value = 0.0f) : storage_(count + 16, value) {
    const auto address = reinterpret_cast<uintptr_t>(storage_.data());
    offset_ = ((address + 63) / 64 * 64 - address) / sizeof(float);
  }
  AlignedFloats(const AlignedFloats&) = delete;
  AlignedFloats& operator=(const AlignedFloats&) = delete;
  // A moved vector keeps its memory, so the offset stays right.
  AlignedFloats(AlignedFloats&&) = default;
  AlignedFloats& operator=(AlignedFloats&&) = default;

  float* data() { return storage_.data() + offset_; }
  const float* data() const { return storage_.data() + offset_; }

 private:
  std::vector<float> storage_;
  size_t offset_ = 0;
};

}  // namespace sieve

#endif  // SIEVE_CORE_ALIGNED_FLOATS_H
