#include "bindings/arrays.h"
#include "bindings/bind.h"
#include "ops/prelu.h"

namespace cnnfast {
namespace {

// Rows of as many values as there are slopes.
Prelu prelu_of(const Floats& x, const Floats& alpha) {
  const int64_t columns = alpha.size();
  if (columns < 1 || x.size() % columns != 0) {
    throw std::invalid_argument("prelu: alpha expects one value for each of a row's, its shape is " +
                                dims_text(dims_of(alpha)) + ", that of x " + dims_text(dims_of(x)));
  }
  return {x.size() / columns, columns, alpha.data()};
}

py::array_t<float> forward(const Floats& x, const Floats& alpha) {
  const Prelu prelu = prelu_of(x, alpha);
  py::array_t<float> y = new_floats(dims_of(x));
  const float* from = x.data();
  float* to = y.mutable_data();
  const py::gil_scoped_release release_gil;
  prelu_forward(prelu, from, to);
  return y;
}

// (dx, dalpha)
py::tuple backward(const Floats& x, const Floats& alpha, const Floats& dy) {
  const Prelu prelu = prelu_of(x, alpha);
  require_same_shape("prelu", "dy", dims_of(dy), "x", dims_of(x));
  py::array_t<float> dx = new_floats(dims_of(x)), dalpha = new_floats(dims_of(alpha));
  const float *from = x.data(), *arrived = dy.data();
  float *to = dx.mutable_data(), *dalpha_to = dalpha.mutable_data();
  {
    const py::gil_scoped_release release_gil;
    prelu_backward(prelu, from, arrived, to, dalpha_to);
  }
  return py::make_tuple(dx, dalpha);
}

}  // namespace

void bind_prelu(py::module_& module) {
  module.def("prelu_forward", &forward, py::arg("x").noconvert(), py::arg("alpha").noconvert());
  module.def("prelu_backward", &backward, py::arg("x").noconvert(), py::arg("alpha").noconvert(),
             py::arg("dy").noconvert());
}

}  // namespace cnnfast
