#include <pybind11/stl.h>

#include "bindings/arrays.h"
#include "bindings/bind.h"
#include "bindings/padding.h"
#include "ops/columns.h"

namespace cnnfast {
namespace {

// The windows of im2col as Python holds them: checked once, used in both directions.
struct ColumnWindows {
  std::string op;
  PoolShape shape;
};

ColumnWindows windows_of(const std::string& op, const Dims& x_dims, const py::object& kernel, const py::object& strides,
                         const py::object& padding, const py::object& dilation) {
  const size_t axes = spatial_axes(op, x_dims);
  const Dims kernel_values = values_per_axis(op, "kernel_size", kernel, axes);
  const Dims stride_values = values_per_axis(op, "strides", strides, axes);
  const Padding padding_values = padding_from_python(op, padding, axes);
  const Dims dilation_values = values_per_axis(op, "dilation_rate", dilation, axes);
  return {op, make_column_shape(op, x_dims, kernel_values, stride_values, padding_values, dilation_values)};
}

py::array_t<float> to_columns(const ColumnWindows& windows, const Floats& x) {
  require_same_shape(windows.op.c_str(), "x", dims_of(x), "x_shape", windows.shape.x_dims);
  py::array_t<float> columns = new_floats(windows.shape.y_dims);
  const float* from = x.data();
  float* to = columns.mutable_data();
  const py::gil_scoped_release release_gil;
  im2col(windows.shape, from, to);
  return columns;
}

py::array_t<float> from_columns(const ColumnWindows& windows, const Floats& columns) {
  if (dims_of(columns) != windows.shape.y_dims) {
    throw std::invalid_argument(windows.op + ": columns of shape " + dims_text(windows.shape.y_dims) +
                                " make x of shape " + dims_text(windows.shape.x_dims) + ", got " +
                                dims_text(dims_of(columns)));
  }
  py::array_t<float> x = new_floats(windows.shape.x_dims);
  const float* from = columns.data();
  float* to = x.mutable_data();
  const py::gil_scoped_release release_gil;
  col2im(windows.shape, from, to);
  return x;
}

}  // namespace

void bind_columns(py::module_& module) {
  py::class_<ColumnWindows>(module, "ColumnWindows")
      .def(py::init(&windows_of), py::arg("op"), py::arg("x_shape"), py::arg("kernel_size"), py::arg("strides"),
           py::arg("padding"), py::arg("dilation_rate"))
      .def("im2col", &to_columns, py::arg("x").noconvert())
      .def("col2im", &from_columns, py::arg("columns").noconvert());
}

}  // namespace cnnfast
