#include "bindings/arrays.h"
#include "bindings/bind.h"
#include "ops/activation.h"

namespace cnnfast {
namespace {

py::array_t<float> forward(const std::string& kind, const Floats& x, float alpha) {
  const Activation activation = activation_from_name("activation", kind);
  py::array_t<float> y = new_floats(dims_of(x));
  const float* from = x.data();
  float* to = y.mutable_data();
  const py::gil_scoped_release release_gil;
  activation_forward(activation, alpha, from, to, x.size());
  return y;
}

py::array_t<float> backward(const std::string& kind, const Floats& saved, const Floats& dy, float alpha) {
  const Activation activation = activation_from_name("activation", kind);
  require_same_shape("activation", "saved", dims_of(saved), "dy", dims_of(dy));
  py::array_t<float> dx = new_floats(dims_of(dy));
  const float *from = saved.data(), *gradient = dy.data();
  float* to = dx.mutable_data();
  const py::gil_scoped_release release_gil;
  activation_backward(activation, alpha, from, gradient, to, dy.size());
  return dx;
}

// (dz, its sums down the channels)
py::tuple backward_sums(const std::string& kind, const Floats& y, const Floats& dy, float alpha) {
  const Activation activation = activation_from_name("activation", kind);
  require_same_shape("activation", "y", dims_of(y), "dy", dims_of(dy));
  const int64_t channels = dy.ndim() > 0 ? dy.shape(dy.ndim() - 1) : 0;
  if (channels == 0)
    throw std::invalid_argument("activation: dy has no channels, its shape is " + dims_text(dims_of(dy)));
  py::array_t<float> dz = new_floats(dims_of(dy)), sums = new_floats({channels});
  const float *from = y.data(), *gradient = dy.data();
  float *to = dz.mutable_data(), *sums_to = sums.mutable_data();
  {
    const py::gil_scoped_release release_gil;
    activation_backward_sums(activation, alpha, from, gradient, to, dy.size() / channels, channels, sums_to);
  }
  return py::make_tuple(dz, sums);
}

}  // namespace

void bind_activation(py::module_& module) {
  module.def("activation_forward", &forward, py::arg("kind"), py::arg("x").noconvert(), py::arg("alpha") = 0.0f);
  module.def("activation_backward", &backward, py::arg("kind"), py::arg("saved").noconvert(), py::arg("dy").noconvert(),
             py::arg("alpha") = 0.0f);
  module.def("activation_backward_sums", &backward_sums, py::arg("kind"), py::arg("y").noconvert(),
             py::arg("dy").noconvert(), py::arg("alpha") = 0.0f);
  module.def("activation_uses_output",
             [](const std::string& kind) { return gradient_uses_output(activation_from_name("activation", kind)); });
}

}  // namespace cnnfast
