#include "bindings/arrays.h"
#include "bindings/bind.h"
#include "ops/local_response.h"

namespace cnnfast {
namespace {

LocalResponse response_of(const Floats& x, int64_t radius, float bias, float alpha, float beta) {
  const int64_t channels = x.ndim() == 0 ? 0 : x.shape(x.ndim() - 1);
  if (channels < 1 || radius < 0) {
    throw std::invalid_argument("local_response_normalization: expects channels and depth_radius >= 0, got shape " +
                                dims_text(dims_of(x)) + " and " + std::to_string(radius));
  }
  return make_local_response(channels, radius, bias, alpha, beta);
}

py::array_t<float> forward(const Floats& x, int64_t radius, float bias, float alpha, float beta) {
  const LocalResponse response = response_of(x, radius, bias, alpha, beta);
  py::array_t<float> y = new_floats(dims_of(x));
  const int64_t rows = x.size() / response.channels;
  const float* from = x.data();
  float* to = y.mutable_data();
  const py::gil_scoped_release release_gil;
  local_response_forward(response, from, rows, to);
  return y;
}

py::array_t<float> backward(const Floats& x, const Floats& dy, int64_t radius, float bias, float alpha, float beta) {
  const LocalResponse response = response_of(x, radius, bias, alpha, beta);
  require_same_shape("local_response_normalization", "dy", dims_of(dy), "x", dims_of(x));
  py::array_t<float> dx = new_floats(dims_of(x));
  const int64_t rows = x.size() / response.channels;
  const float *from = x.data(), *arrived = dy.data();
  float* to = dx.mutable_data();
  const py::gil_scoped_release release_gil;
  local_response_backward(response, from, arrived, rows, to);
  return dx;
}

}  // namespace

void bind_local_response(py::module_& module) {
  module.def("local_response_forward", &forward, py::arg("x").noconvert(), py::arg("radius"), py::arg("bias"),
             py::arg("alpha"), py::arg("beta"));
  module.def("local_response_backward", &backward, py::arg("x").noconvert(), py::arg("dy").noconvert(),
             py::arg("radius"), py::arg("bias"), py::arg("alpha"), py::arg("beta"));
}

}  // namespace cnnfast
