#include <pybind11/stl.h>

#include "bindings/arrays.h"
#include "bindings/bind.h"
#include "ops/adaptive_pool.h"

namespace cnnfast {
namespace {

// A pooling as Python holds it: checked once, used by the forward and the backward pass.
struct AdaptivePooling {
  std::string op;
  AdaptivePoolShape shape;

  AdaptivePooling(const std::string& name, const Dims& x_dims, const Dims& sizes)
      : op(name), shape(make_adaptive_shape(name, x_dims, sizes)) {}

  void require_x(const Floats& x) const {
    require_same_shape(op.c_str(), "x", dims_of(x), "the pooling's x", shape.x_dims);
  }
};

py::array_t<float> max_forward(const AdaptivePooling& pooling, const Floats& x) {
  pooling.require_x(x);
  py::array_t<float> y = new_floats(pooling.shape.y_dims);
  const float* from = x.data();
  float* to = y.mutable_data();
  const py::gil_scoped_release release_gil;
  adaptive_max_forward(pooling.shape, from, to, nullptr);
  return y;
}

py::tuple max_forward_with_winners(const AdaptivePooling& pooling, const Floats& x) {
  pooling.require_x(x);
  py::array_t<float> y = new_floats(pooling.shape.y_dims);
  py::array winners = winner_type(pooling.shape) == WinnerType::byte
                          ? py::array(new_array<uint8_t>(pooling.shape.y_dims))
                          : py::array(new_array<int32_t>(pooling.shape.y_dims));
  const float* from = x.data();
  float* to = y.mutable_data();
  void* winners_to = winners.mutable_data();
  {
    const py::gil_scoped_release release_gil;
    adaptive_max_forward(pooling.shape, from, to, winners_to);
  }
  return py::make_tuple(y, winners);
}

template <typename Winner>
py::array_t<float> max_backward(const AdaptivePooling& pooling, const In<Winner>& winners, const Floats& dy) {
  require_same_shape(pooling.op.c_str(), "dy", dims_of(dy), "y", pooling.shape.y_dims);
  require_same_shape(pooling.op.c_str(), "winners", dims_of(winners), "y", pooling.shape.y_dims);
  if ((winner_type(pooling.shape) == WinnerType::byte) != (sizeof(Winner) == 1)) {
    throw std::invalid_argument(pooling.op + ": winners are of another pooling");
  }
  py::array_t<float> dx = new_floats(pooling.shape.x_dims);
  const float* from = dy.data();
  const Winner* winners_from = winners.data();
  float* to = dx.mutable_data();
  const py::gil_scoped_release release_gil;
  adaptive_max_backward(pooling.shape, from, winners_from, to);
  return dx;
}

py::array_t<float> average_forward(const AdaptivePooling& pooling, const Floats& x) {
  pooling.require_x(x);
  py::array_t<float> y = new_floats(pooling.shape.y_dims);
  const float* from = x.data();
  float* to = y.mutable_data();
  const py::gil_scoped_release release_gil;
  adaptive_average_forward(pooling.shape, from, to);
  return y;
}

py::array_t<float> average_backward(const AdaptivePooling& pooling, const Floats& dy) {
  require_same_shape(pooling.op.c_str(), "dy", dims_of(dy), "y", pooling.shape.y_dims);
  py::array_t<float> dx = new_floats(pooling.shape.x_dims);
  const float* from = dy.data();
  float* to = dx.mutable_data();
  const py::gil_scoped_release release_gil;
  adaptive_average_backward(pooling.shape, from, to);
  return dx;
}

}  // namespace

void bind_adaptive_pool(py::module_& module) {
  py::class_<AdaptivePooling>(module, "AdaptivePooling")
      .def(py::init<const std::string&, const Dims&, const Dims&>(), py::arg("op"), py::arg("x_shape"),
           py::arg("output_size"))
      .def("max", &max_forward, py::arg("x").noconvert())
      .def("max_with_winners", &max_forward_with_winners, py::arg("x").noconvert())
      .def("max_backward", &max_backward<uint8_t>, py::arg("winners").noconvert(), py::arg("dy").noconvert())
      .def("max_backward", &max_backward<int32_t>, py::arg("winners").noconvert(), py::arg("dy").noconvert())
      .def("average", &average_forward, py::arg("x").noconvert())
      .def("average_backward", &average_backward, py::arg("dy").noconvert());
}

}  // namespace cnnfast
