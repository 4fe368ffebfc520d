#include <pybind11/stl.h>

#include "bindings/arrays.h"
#include "bindings/bind.h"
#include "bindings/padding.h"
#include "bindings/pooling.h"
#include "ops/average_pool.h"
#include "ops/global_pool.h"
#include "ops/max_pool.h"

namespace cnnfast {
namespace {

Pooling pooling_of(const std::string& op, const Dims& x_dims, const py::object& window, const py::object& strides,
                   const py::object& padding, const py::object& dilation) {
  const size_t axes = spatial_axes(op, x_dims);
  const Dims window_values = values_per_axis(op, "pool_size", window, axes);
  const Dims stride_values = values_per_axis(op, "strides", strides, axes);
  const Padding padding_values = padding_from_python(op, padding, axes);
  const Dims dilation_values = values_per_axis(op, "dilation_rate", dilation, axes);
  return {op, make_pool_shape(op, x_dims, window_values, stride_values, padding_values, dilation_values)};
}

// (window, stride, dilation, values added in front) along each axis of the image.
py::tuple windows_of(const Pooling& pooling) {
  const size_t axes = pooling.shape.x_dims.size() - 2;
  py::tuple windows(axes);
  for (size_t i = 0; i < axes; ++i) {
    const Axis& a = pooling.shape.axes[pooling.shape.axes.size() - axes + i];
    windows[i] = py::make_tuple(a.window, a.stride, a.dilation, a.pad_before);
  }
  return windows;
}

py::array_t<float> average_forward(const Pooling& pooling, const Floats& x, bool count_include_pad) {
  return pooled_values(pooling, x, [&](const float* from, float* to) {
    average_pool_forward(pooling.shape, count_include_pad, from, to);
  });
}

py::array_t<float> average_backward(const Pooling& pooling, const Floats& dy, bool count_include_pad) {
  return pooled_gradient(pooling, dy, [&](const float* from, float* to) {
    average_pool_backward(pooling.shape, count_include_pad, from, to);
  });
}

// Images, the positions of each, and channels.
struct GlobalShape {
  int64_t images, positions, channels;

  GlobalShape(const std::string& op, const Dims& x) {
    if (x.size() < 3) {
      throw std::invalid_argument(op + ": x must have at least 3 axes (images, spatial..., channels), its shape is " +
                                  dims_text(x));
    }
    images = x.front();
    channels = x.back();
    positions = checked_size(Dims(x.begin() + 1, x.end() - 1));
    if (positions == 0 || channels == 0) {
      throw std::invalid_argument(op + ": x has no values to pool, its shape is " + dims_text(x));
    }
    if (positions > INT32_MAX) {
      throw std::invalid_argument(op + ": x has " + std::to_string(positions) +
                                  " positions, at most 2147483647 can be pooled");
    }
  }
  Dims y_dims() const { return {images, channels}; }
};

py::tuple global_max(const Floats& x) {
  const GlobalShape shape("global_max_pool", dims_of(x));
  py::array_t<float> y = new_floats(shape.y_dims());
  py::array_t<int32_t> winners = new_array<int32_t>(shape.y_dims());
  const float* from = x.data();
  float* to = y.mutable_data();
  int32_t* winners_to = winners.mutable_data();
  {
    const py::gil_scoped_release release_gil;
    global_max_forward(from, shape.images, shape.positions, shape.channels, to, winners_to);
  }
  return py::make_tuple(y, winners);
}

py::array_t<float> global_max_gradient(const Dims& x_dims, const In<int32_t>& winners, const Floats& dy) {
  const GlobalShape shape("global_max_pool", x_dims);
  require_same_shape("global_max_pool", "dy", dims_of(dy), "y", shape.y_dims());
  require_same_shape("global_max_pool", "winners", dims_of(winners), "y", shape.y_dims());
  py::array_t<float> dx = new_floats(x_dims);
  const float* from = dy.data();
  const int32_t* winners_from = winners.data();
  float* to = dx.mutable_data();
  const py::gil_scoped_release release_gil;
  global_max_backward(from, winners_from, shape.images, shape.positions, shape.channels, to);
  return dx;
}

py::array_t<float> global_average(const Floats& x) {
  const GlobalShape shape("global_avg_pool", dims_of(x));
  py::array_t<float> y = new_floats(shape.y_dims());
  const float* from = x.data();
  float* to = y.mutable_data();
  const py::gil_scoped_release release_gil;
  global_average_forward(from, shape.images, shape.positions, shape.channels, to);
  return y;
}

py::array_t<float> global_average_gradient(const Dims& x_dims, const Floats& dy) {
  const GlobalShape shape("global_avg_pool", x_dims);
  require_same_shape("global_avg_pool", "dy", dims_of(dy), "y", shape.y_dims());
  py::array_t<float> dx = new_floats(x_dims);
  const float* from = dy.data();
  float* to = dx.mutable_data();
  const py::gil_scoped_release release_gil;
  global_average_backward(from, shape.images, shape.positions, shape.channels, to);
  return dx;
}

}  // namespace

void bind_pool(py::module_& module) {
  py::class_<Pooling> cls(module, "Pooling");
  cls.def(py::init(&pooling_of), py::arg("op"), py::arg("x_shape"), py::arg("pool_size"), py::arg("strides"),
          py::arg("padding"), py::arg("dilation_rate"));
  cls.def_property_readonly("output_shape", [](const Pooling& p) { return py::tuple(py::cast(p.shape.y_dims)); });
  cls.def_property_readonly("windows", &windows_of);
  bind_max<PoolShape>(cls, &max_pool_forward, &max_pool_backward);
  cls.def("average", &average_forward, py::arg("x").noconvert(), py::arg("count_include_pad"));
  cls.def("average_backward", &average_backward, py::arg("dy").noconvert(), py::arg("count_include_pad"));
  module.def("global_max", &global_max, py::arg("x").noconvert());
  module.def("global_max_backward", &global_max_gradient, py::arg("x_shape"), py::arg("winners").noconvert(),
             py::arg("dy").noconvert());
  module.def("global_average", &global_average, py::arg("x").noconvert());
  module.def("global_average_backward", &global_average_gradient, py::arg("x_shape"), py::arg("dy").noconvert());
}

}  // namespace cnnfast
