// Cache-line aligned arrays for vector loads and stores.
#pragma once

#include <cstddef>
#include <memory>
#include <new>

namespace vtsearch {

// An uninitialized array of `size` elements, aligned to 64 bytes.
template <class T>
class AlignedArray {
 public:
  explicit AlignedArray(std::size_t size) : data_(static_cast<T*>(::operator new(size * sizeof(T), alignment))) {}
  T* data() { return data_.get(); }
  const T* data() const { return data_.get(); }

 private:
  static constexpr std::align_val_t alignment{64};
  struct Delete {
    void operator()(T* p) const { ::operator delete(p, alignment); }
  };
  std::unique_ptr<T, Delete> data_;
};

}  // namespace vtsearch
