#include <pybind11/stl.h>

#include "bindings/arrays.h"
#include "bindings/bind.h"
#include "ops/elementwise.h"

namespace cnnfast {
namespace {

using Binary = void (*)(const float*, const float*, float*, int64_t);

py::array_t<float> apply(const char* op, Binary function, const Floats& a, const Floats& b) {
  require_same_shape(op, "a", dims_of(a), "b", dims_of(b));
  py::array_t<float> y = new_floats(dims_of(a));
  const float *left = a.data(), *right = b.data();
  float* to = y.mutable_data();
  const py::gil_scoped_release release_gil;
  function(left, right, to, a.size());
  return y;
}

py::array_t<float> clipped(const Floats& x, float low, float high) {
  py::array_t<float> y = new_floats(dims_of(x));
  const float* from = x.data();
  float* to = y.mutable_data();
  const py::gil_scoped_release release_gil;
  clip(low, high, from, to, x.size());
  return y;
}

py::array_t<float> clipped_gradient(const Floats& x, const Floats& dy, float low, float high) {
  require_same_shape("clip", "x", dims_of(x), "dy", dims_of(dy));
  py::array_t<float> dx = new_floats(dims_of(x));
  const float *values = x.data(), *gradient = dy.data();
  float* to = dx.mutable_data();
  const py::gil_scoped_release release_gil;
  clip_gradient(low, high, values, gradient, to, x.size());
  return dx;
}

size_t checked_axis(const char* op, const Dims& dims, int64_t axis) {
  const auto rank = static_cast<int64_t>(dims.size());
  if (axis < -rank || axis >= rank) {
    throw std::invalid_argument(std::string(op) + ": axis expects a value from " + std::to_string(-rank) + " to " +
                                std::to_string(rank - 1) + " for arrays of shape " + dims_text(dims) + ", got " +
                                std::to_string(axis));
  }
  return static_cast<size_t>(axis < 0 ? axis + rank : axis);
}

int64_t product(const Dims& dims, size_t begin, size_t end) {
  int64_t result = 1;
  for (size_t i = begin; i < end; ++i) result *= dims[i];
  return result;
}

py::array_t<float> concatenate(const std::vector<Floats>& arrays, int64_t axis) {
  if (arrays.empty()) throw std::invalid_argument("concatenate: expected at least one array, got none");
  Dims dims = dims_of(arrays.front());
  const size_t along = checked_axis("concatenate", dims, axis);
  std::vector<const float*> parts;
  std::vector<int64_t> widths;
  int64_t length = 0;
  for (const Floats& array : arrays) {
    const Dims own = dims_of(array);
    Dims expected = dims;
    if (own.size() == dims.size()) expected[along] = own[along];
    if (own != expected) {
      throw std::invalid_argument("concatenate: shapes must agree except along axis " + std::to_string(along) +
                                  ", got " + dims_text(dims) + " and " + dims_text(own));
    }
    parts.push_back(array.data());
    widths.push_back(product(own, along, own.size()));
    length += own[along];
  }
  dims[along] = length;
  py::array_t<float> y = new_floats(dims);
  float* to = y.mutable_data();
  const py::gil_scoped_release release_gil;
  concatenate_rows(parts, widths, to, product(dims, 0, along));
  return y;
}

std::vector<py::array_t<float>> split(const Floats& x, const std::vector<int64_t>& sizes, int64_t axis) {
  const Dims dims = dims_of(x);
  const size_t along = checked_axis("split", dims, axis);
  std::vector<py::array_t<float>> pieces;
  std::vector<float*> parts;
  std::vector<int64_t> widths;
  int64_t length = 0;
  for (const int64_t size : sizes) {
    Dims own = dims;
    own[along] = size;
    pieces.push_back(new_floats(own));
    parts.push_back(pieces.back().mutable_data());
    widths.push_back(product(own, along, own.size()));
    length += size;
  }
  if (length != dims[along]) {
    throw std::invalid_argument("split: sizes must add up to " + std::to_string(dims[along]) + " along axis " +
                                std::to_string(along) + ", got " + dims_text(sizes));
  }
  const float* from = x.data();
  const py::gil_scoped_release release_gil;
  split_rows(from, parts, widths, product(dims, 0, along));
  return pieces;
}

}  // namespace

void bind_elementwise(py::module_& module) {
  module.def(
      "add", [](const Floats& a, const Floats& b) { return apply("add", &add, a, b); }, py::arg("a").noconvert(),
      py::arg("b").noconvert());
  module.def(
      "multiply", [](const Floats& a, const Floats& b) { return apply("multiply", &multiply, a, b); },
      py::arg("a").noconvert(), py::arg("b").noconvert());
  module.def("clip", &clipped, py::arg("x").noconvert(), py::arg("low"), py::arg("high"));
  module.def("clip_gradient", &clipped_gradient, py::arg("x").noconvert(), py::arg("dy").noconvert(), py::arg("low"),
             py::arg("high"));
  module.def("concatenate", &concatenate, py::arg("arrays").noconvert(), py::arg("axis"));
  module.def("split", &split, py::arg("x").noconvert(), py::arg("sizes"), py::arg("axis"));
}

}  // namespace cnnfast
