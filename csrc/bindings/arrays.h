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

namespace pybind11::detail {

// How arguments become arrays: as pybind11 does it, but where one is of NumPy's own class and of the very type already,
// without making an empty array first and asking NumPy about it. That took 0.3 us for each array of a call.
template <typename T>
struct pyobject_caster<array_t<T, array::c_style>> {
  using type = array_t<T, array::c_style>;

  pyobject_caster() : value(reinterpret_steal<type>(handle())) {}

  bool load(handle src, bool convert) {
    // Before `native`: the first call lets other threads run, which must not find that one half made.
    const npy_api& api = npy_api::get();
    static const PyObject* const native = dtype::of<T>().release().ptr();
    if (Py_TYPE(src.ptr()) == api.PyArray_Type_ && array_proxy(src.ptr())->descr == native &&
        check_flags(src.ptr(), npy_api::NPY_ARRAY_C_CONTIGUOUS_)) {
      value = reinterpret_borrow<type>(src);
      return true;
    }
    if (!convert && !type::check_(src)) return false;
    value = type::ensure(src);
    return static_cast<bool>(value);
  }

  static handle cast(const handle& src, return_value_policy, handle) { return src.inc_ref(); }

  PYBIND11_TYPE_CASTER(type, handle_type_name<type>::name);
};

}  // namespace pybind11::detail

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
