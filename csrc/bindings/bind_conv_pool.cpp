#include <pybind11/stl.h>

#include <optional>

#include "bindings/arrays.h"
#include "bindings/bind.h"
#include "bindings/pooling.h"
#include "ops/activation.h"
#include "ops/conv_pool.h"

namespace cnnfast {
namespace {

// (y, winners or None); None where a pass for each is quicker.
py::object forward(const ConvShape& shape, const Pooling& pooling, const Floats& x, const Floats& w,
                   const std::optional<Floats>& bias, const std::string& activation, float alpha, bool with_winners) {
  const char* const op = pooling.op.c_str();
  require_same_shape(op, "x", dims_of(x), "the convolution's x", shape.x_dims());
  require_same_shape(op, "kernel", dims_of(w), "the convolution's kernel", shape.kernel_dims());
  if (bias) require_same_shape(op, "bias", dims_of(*bias), "the output channels", {shape.out_channels});
  require_conv_pool(shape, pooling.shape);
  if (!conv_pool_joined(shape, pooling.shape, with_winners)) return py::none();
  const Activation kind = activation_from_name(op, activation);
  py::array_t<float> y = new_floats(pooling.shape.y_dims);
  py::object winners = py::none();
  void* winners_data = nullptr;
  if (with_winners) {
    py::array made = new_winners(pooling);
    winners_data = made.mutable_data();
    winners = std::move(made);
  }
  const float *x_data = x.data(), *w_data = w.data(), *bias_data = bias ? bias->data() : nullptr;
  float* y_data = y.mutable_data();
  {
    const py::gil_scoped_release release_gil;
    conv_pool_forward(shape, pooling.shape, x_data, w_data, bias_data, kind, alpha, y_data, winners_data);
  }
  return py::make_tuple(y, winners);
}

template <typename Winner>
py::tuple backward(const ConvShape& shape, const Pooling& pooling, const Floats& x, const Floats& w,
                   const In<Winner>& winners, const Floats& dy, bool to_x, bool to_kernel) {
  const char* const op = pooling.op.c_str();
  require_same_shape(op, "x", dims_of(x), "the convolution's x", shape.x_dims());
  require_same_shape(op, "kernel", dims_of(w), "the convolution's kernel", shape.kernel_dims());
  require_same_shape(op, "dy", dims_of(dy), "y", pooling.shape.y_dims);
  require_same_shape(op, "winners", dims_of(winners), "y", pooling.shape.y_dims);
  require_winners_of(pooling, sizeof(Winner));
  require_conv_pool(shape, pooling.shape);
  std::optional<py::array_t<float>> dx, dw;
  if (to_x) dx = new_floats(shape.x_dims());
  if (to_kernel) dw = new_floats(shape.kernel_dims());
  const float *x_data = x.data(), *w_data = w.data(), *dy_data = dy.data();
  const Winner* winners_data = winners.data();
  float *dx_data = dx ? dx->mutable_data() : nullptr, *dw_data = dw ? dw->mutable_data() : nullptr;
  {
    const py::gil_scoped_release release_gil;
    conv_pool_backward(shape, pooling.shape, x_data, w_data, dy_data, winners_data, dx_data, dw_data);
  }
  return py::make_tuple(dx, dw);
}

template <typename Winner>
void bind_backward(py::module_& module) {
  module.def("conv_pool_backward", &backward<Winner>, py::arg("shape"), py::arg("pooling"), py::arg("x").noconvert(),
             py::arg("kernel").noconvert(), py::arg("winners").noconvert(), py::arg("dy").noconvert(), py::arg("to_x"),
             py::arg("to_kernel"));
}

}  // namespace

void bind_conv_pool(py::module_& module) {
  module.def(
      "conv_pool_joined",
      [](const ConvShape& shape, const Pooling& pooling, bool with_gradients) {
        require_conv_pool(shape, pooling.shape);
        return conv_pool_joined(shape, pooling.shape, with_gradients);
      },
      py::arg("shape"), py::arg("pooling"), py::arg("with_gradients") = true);
  module.def("conv_pool_forward", &forward, py::arg("shape"), py::arg("pooling"), py::arg("x").noconvert(),
             py::arg("kernel").noconvert(), py::arg("bias").noconvert(), py::arg("activation"), py::arg("alpha"),
             py::arg("with_winners"));
  bind_backward<uint8_t>(module);
  bind_backward<int32_t>(module);
}

}  // namespace cnnfast
