#include <pybind11/stl.h>

#include <optional>
#include <utility>

#include "bindings/arrays.h"
#include "bindings/bind.h"
#include "bindings/padding.h"
#include "ops/activation.h"
#include "ops/conv.h"

namespace cnnfast {
namespace {

using OptionalFloats = std::optional<Floats>;

void require_dims(const char* op, const char* name, const Dims& expected, const Dims& got) {
  if (expected != got) {
    throw std::invalid_argument(std::string(op) + ": " + name + " expects shape " + dims_text(expected) + ", got " +
                                dims_text(got));
  }
}

const float* bias_data(const char* op, const OptionalFloats& bias, int64_t channels) {
  if (!bias) return nullptr;
  require_dims(op, "bias", {channels}, dims_of(*bias));
  return bias->data();
}

py::array_t<float> forward(const ConvShape& shape, const Floats& x, const Floats& w, const OptionalFloats& bias,
                           const std::string& activation, float alpha) {
  require_dims("conv", "x", shape.x_dims(), dims_of(x));
  require_dims("conv", "kernel", shape.kernel_dims(), dims_of(w));
  const float* b = bias_data("conv", bias, shape.out_channels);
  const Activation kind = activation_from_name("conv", activation);
  py::array_t<float> y = new_floats(shape.y_dims());
  const float *x_data = x.data(), *w_data = w.data();
  float* y_data = y.mutable_data();
  const py::gil_scoped_release release_gil;
  conv_forward(shape, x_data, w_data, b, kind, alpha, y_data);
  return y;
}

py::tuple forward_moments(const ConvShape& shape, const Floats& x, const Floats& w, const OptionalFloats& bias,
                          const std::string& activation, float alpha) {
  require_dims("conv", "x", shape.x_dims(), dims_of(x));
  require_dims("conv", "kernel", shape.kernel_dims(), dims_of(w));
  if (shape.images == 0) throw std::invalid_argument("conv: no images have no mean");
  const float* b = bias_data("conv", bias, shape.out_channels);
  const Activation kind = activation_from_name("conv", activation);
  py::array_t<float> y = new_floats(shape.y_dims());
  py::array_t<float> mean = new_floats({shape.out_channels}), variance = new_floats({shape.out_channels});
  const float *x_data = x.data(), *w_data = w.data();
  float *y_data = y.mutable_data(), *mean_data = mean.mutable_data(), *variance_data = variance.mutable_data();
  {
    const py::gil_scoped_release release_gil;
    conv_forward_moments(shape, x_data, w_data, b, kind, alpha, y_data, mean_data, variance_data);
  }
  return py::make_tuple(y, mean, variance);
}

py::array_t<float> backward_data(const ConvShape& shape, const Floats& dy, const Floats& w, const OptionalFloats& bias,
                                 const std::string& activation, float alpha) {
  require_dims("conv", "dy", shape.y_dims(), dims_of(dy));
  require_dims("conv", "kernel", shape.kernel_dims(), dims_of(w));
  const float* b = bias_data("conv", bias, shape.in_channels);
  const Activation kind = activation_from_name("conv", activation);
  py::array_t<float> dx = new_floats(shape.x_dims());
  const float *dy_data = dy.data(), *w_data = w.data();
  float* dx_data = dx.mutable_data();
  const py::gil_scoped_release release_gil;
  conv_transposed(shape, dy_data, w_data, b, kind, alpha, dx_data);
  return dx;
}

py::array_t<float> backward_weights(const ConvShape& shape, const Floats& x, const Floats& dy) {
  require_dims("conv", "x", shape.x_dims(), dims_of(x));
  require_dims("conv", "dy", shape.y_dims(), dims_of(dy));
  py::array_t<float> dw = new_floats(shape.kernel_dims());
  const float *x_data = x.data(), *dy_data = dy.data();
  float* dw_data = dw.mutable_data();
  const py::gil_scoped_release release_gil;
  conv_backward_weights(shape, x_data, dy_data, dw_data, nullptr);
  return dw;
}

std::pair<py::array_t<float>, py::array_t<float>> backward_parameters(const ConvShape& shape, const Floats& x,
                                                                      const Floats& dy) {
  require_dims("conv", "x", shape.x_dims(), dims_of(x));
  require_dims("conv", "dy", shape.y_dims(), dims_of(dy));
  py::array_t<float> dw = new_floats(shape.kernel_dims()), db = new_floats({shape.out_channels});
  const float *x_data = x.data(), *dy_data = dy.data();
  float *dw_data = dw.mutable_data(), *db_data = db.mutable_data();
  const py::gil_scoped_release release_gil;
  conv_backward_weights(shape, x_data, dy_data, dw_data, db_data);
  return {dw, db};
}

void bind_shape(py::module_& module) {
  py::class_<ConvShape>(module, "ConvShape")
      .def(py::init([](const std::string& op, size_t rank, const Dims& x, const Dims& kernel, const py::object& strides,
                       const py::object& padding, const py::object& dilation, int64_t groups, bool flip_kernel,
                       const std::string& algorithm) {
             ConvShape shape = conv_shape(op, x, kernel, values_per_axis(op, "strides", strides, rank),
                                          padding_from_python(op, padding, rank),
                                          values_per_axis(op, "dilation_rate", dilation, rank), groups, flip_kernel);
             shape.algorithm = algorithm_from_name(op, algorithm);
             require_algorithm(op, shape);
             return shape;
           }),
           py::arg("op"), py::arg("rank"), py::arg("x_shape"), py::arg("kernel_shape"), py::arg("strides"),
           py::arg("padding"), py::arg("dilation_rate"), py::arg("groups") = 1, py::arg("flip_kernel") = false,
           py::arg("algorithm") = "auto")
      .def_static(
          "transposed",
          [](const std::string& op, size_t rank, const Dims& x, const Dims& kernel, const py::object& strides,
             const py::object& padding, const py::object& output_padding, const py::object& dilation) {
            const Dims extra =
                output_padding.is_none() ? Dims{} : values_per_axis(op, "output_padding", output_padding, rank);
            return conv_transpose_shape(op, x, kernel, values_per_axis(op, "strides", strides, rank),
                                        padding_from_python(op, padding, rank), extra,
                                        values_per_axis(op, "dilation_rate", dilation, rank));
          },
          py::arg("op"), py::arg("rank"), py::arg("x_shape"), py::arg("kernel_shape"), py::arg("strides"),
          py::arg("padding"), py::arg("output_padding"), py::arg("dilation_rate"))
      .def_property_readonly("x_shape", [](const ConvShape& s) { return py::tuple(py::cast(s.x_dims())); })
      .def_property_readonly("y_shape", [](const ConvShape& s) { return py::tuple(py::cast(s.y_dims())); })
      .def_property_readonly("kernel_shape", [](const ConvShape& s) { return py::tuple(py::cast(s.kernel_dims())); })
      .def_property_readonly("algorithms",
                             [](const ConvShape& s) {
                               py::dict names;
                               names["forward"] = forward_route(s).name();
                               names["backward_data"] = backward_data_route(s);
                               names["backward_weights"] = backward_weights_route(s).name();
                               return names;
                             })
      .def_property_readonly("multiply_adds", &ConvShape::multiply_adds);
}

}  // namespace

void bind_conv(py::module_& module) {
  module.def("set_strict_precision", &set_strict_precision);
  module.def("strict_precision", &strict_precision);
  bind_shape(module);
  module.def("conv_forward", &forward, py::arg("shape"), py::arg("x").noconvert(), py::arg("kernel").noconvert(),
             py::arg("bias").noconvert() = py::none(), py::arg("activation") = "linear", py::arg("alpha") = 0.0f);
  module.def("conv_forward_moments", &forward_moments, py::arg("shape"), py::arg("x").noconvert(),
             py::arg("kernel").noconvert(), py::arg("bias").noconvert() = py::none(), py::arg("activation") = "linear",
             py::arg("alpha") = 0.0f);
  module.def("conv_backward_data", &backward_data, py::arg("shape"), py::arg("dy").noconvert(),
             py::arg("kernel").noconvert(), py::arg("bias").noconvert() = py::none(), py::arg("activation") = "linear",
             py::arg("alpha") = 0.0f);
  module.def("conv_backward_weights", &backward_weights, py::arg("shape"), py::arg("x").noconvert(),
             py::arg("dy").noconvert());
  module.def("conv_backward_parameters", &backward_parameters, py::arg("shape"), py::arg("x").noconvert(),
             py::arg("dy").noconvert());
}

}  // namespace cnnfast
