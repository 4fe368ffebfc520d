#include <pybind11/stl.h>

#include <optional>

#include "bindings/arrays.h"
#include "bindings/bind.h"
#include "ops/activation.h"
#include "ops/conv.h"

namespace cnnfast {
namespace {

// For w (features, units).
ConvShape shape_of(int64_t rows, const Floats& w) { return dense_shape(rows, w.shape(0), w.shape(1)); }

// The rows of an array whose last axis has `size` values.
int64_t rows_of(const Floats& array, int64_t size) { return array.size() / size; }

Dims with_last(Dims dims, int64_t size) {
  dims.back() = size;
  return dims;
}

int64_t last(const Floats& array) { return array.shape(array.ndim() - 1); }

// The kernel's axis `axis`, "features" or "units", must fit the array's last one.
void require_kernel(const Floats& w, int axis, const char* name, const Floats& array) {
  if (w.ndim() != 2 || array.ndim() < 1 || last(array) != w.shape(axis)) {
    throw std::invalid_argument(std::string("dense: kernel expects shape (features, units) with as many ") +
                                (axis == 0 ? "features" : "units") + " as " + name + " has on its last axis, got " +
                                name + ": " + dims_text(dims_of(array)) + ", kernel: " + dims_text(dims_of(w)));
  }
  if (w.size() == 0) {
    throw std::invalid_argument("dense: kernel must have no empty dimension, got shape " + dims_text(dims_of(w)));
  }
}

py::array_t<float> forward(const Floats& x, const Floats& w, const std::optional<Floats>& bias,
                           const std::string& activation, float alpha) {
  require_kernel(w, 0, "x", x);
  if (bias && (bias->ndim() != 1 || bias->shape(0) != w.shape(1))) {
    throw std::invalid_argument("dense: bias expects shape " + dims_text({w.shape(1)}) + ", got " +
                                dims_text(dims_of(*bias)));
  }
  const Activation kind = activation_from_name("dense", activation);
  const ConvShape shape = shape_of(rows_of(x, w.shape(0)), w);
  py::array_t<float> y = new_floats(with_last(dims_of(x), w.shape(1)));
  const float *x_data = x.data(), *w_data = w.data(), *b = bias ? bias->data() : nullptr;
  float* y_data = y.mutable_data();
  const py::gil_scoped_release release_gil;
  conv_forward(shape, x_data, w_data, b, kind, alpha, y_data);
  return y;
}

py::array_t<float> backward_data(const Floats& dy, const Floats& w) {
  require_kernel(w, 1, "dy", dy);
  const ConvShape shape = shape_of(rows_of(dy, w.shape(1)), w);
  py::array_t<float> dx = new_floats(with_last(dims_of(dy), w.shape(0)));
  const float *dy_data = dy.data(), *w_data = w.data();
  float* dx_data = dx.mutable_data();
  const py::gil_scoped_release release_gil;
  conv_backward_data(shape, dy_data, w_data, dx_data);
  return dx;
}

py::array_t<float> backward_weights(const Floats& x, const Floats& dy) {
  if (x.ndim() < 1 || dy.ndim() != x.ndim() || last(x) == 0 || last(dy) == 0 ||
      with_last(dims_of(x), 1) != with_last(dims_of(dy), 1)) {
    throw std::invalid_argument("dense: x and dy must have the same rows, got x: " + dims_text(dims_of(x)) +
                                ", dy: " + dims_text(dims_of(dy)));
  }
  py::array_t<float> dw = new_floats({last(x), last(dy)});
  const ConvShape shape = shape_of(rows_of(x, dw.shape(0)), dw);
  const float *x_data = x.data(), *dy_data = dy.data();
  float* dw_data = dw.mutable_data();
  const py::gil_scoped_release release_gil;
  conv_backward_weights(shape, x_data, dy_data, dw_data, nullptr);
  return dw;
}

}  // namespace

void bind_dense(py::module_& module) {
  module.def("dense_forward", &forward, py::arg("x").noconvert(), py::arg("kernel").noconvert(),
             py::arg("bias").noconvert() = py::none(), py::arg("activation") = "linear", py::arg("alpha") = 0.0f);
  module.def("dense_backward_data", &backward_data, py::arg("dy").noconvert(), py::arg("kernel").noconvert());
  module.def("dense_backward_weights", &backward_weights, py::arg("x").noconvert(), py::arg("dy").noconvert());
}

}  // namespace cnnfast
