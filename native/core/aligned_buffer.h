// Uninitialised plain values that start on a cache line.
#ifndef SIEVE_CORE_ALIGNED_BUFFER_H
#define SIEVE_CORE_ALIGNED_BUFFER_H

#include <cstddef>
#include <memory>
#include <new>
#include <type_traits>

namespace sieve {

template <typename T>
class AlignedBuffer {
  static_assert(std::is_trivial<T>::value, "nothing is constructed");

 public:
  explicit AlignedBuffer(size_t count = 0)
      : values_(static_cast<T*>(::operator new(count * sizeof(T) + 1, kAlignment))) {}
  T* data() { return values_.get(); }
  const T* data() const { return values_.get(); }

 private:
  static constexpr std::align_val_t kAlignment{64};
  struct Free {
    void operator()(T* values) const { ::operator delete(values, kAlignment); }
  };
  std::unique_ptr<T, Free> values_;
};

}  // namespace sieve

#endif  // SIEVE_CORE_ALIGNED_BUFFER_H
