// NumPy arrays at the boundary: what comes in is checked, what goes out is allocated from the pool.
#pragma once

#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>

#include <cstdint>
#include <stdexcept>
#include <string>
#include <vector>

#include "ops/dims.h"
#include "runtime/memory.h"

namespace cnnfast {

namespace py = pybind11;

// An input array. The Python side hands over C-contiguous, aligned arrays of the right dtype; anything else is refused
// rather than copied, so that conversions stay in one place.
template <typename T>
using In = py::array_t<T, py::array::c_style>;
using Floats = In<float>;

template <typename T>
Dims dims_of(const In<T>& array) {
  return Dims(array.shape(), array.shape() + array.ndim());
}

// A new array whose memory comes from the pool and returns there when the array dies. Not initialised.
template <typename T>
py::array_t<T> new_array(const Dims& dims) {
  const int64_t count = checked_size(dims);
  void* block = allocate(static_cast<size_t>(count) * sizeof(T));
  py::capsule owner(block, [](void* memory) { release(memory); });
  return py::array_t<T>(std::vector<py::ssize_t>(dims.begin(), dims.end()), static_cast<T*>(block), owner);
}

inline py::array_t<float> new_floats(const Dims& dims) { return new_array<float>(dims); }

inline void require_same_shape(const char* op, const char* a_name, const Dims& a, const char* b_name, const Dims& b) {
  if (a != b) {
    throw std::invalid_argument(std::string(op) + ": " + a_name + " and " + b_name + " must have the same shape, got " +
                                dims_text(a) + " and " + dims_text(b));
  }
}

}  // namespace cnnfast
