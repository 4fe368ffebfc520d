#include "bindings/arrays.h"
#include "bindings/bind.h"
#include "ops/maxout.h"

namespace cnnfast {
namespace {

// x as (groups, pieces, inner).
MaxoutShape checked_shape(const Floats& x) {
  const Dims dims = dims_of(x);
  if (dims.size() != 3 || dims[1] < 1) {
    throw std::invalid_argument("maxout: expected an array (groups, pieces, inner), got " + dims_text(dims));
  }
  return {dims[0], dims[1], dims[2]};
}

py::array_t<float> forward(const Floats& x) {
  const MaxoutShape shape = checked_shape(x);
  py::array_t<float> y = new_floats({shape.groups, shape.inner});
  const float* from = x.data();
  float* to = y.mutable_data();
  const py::gil_scoped_release release_gil;
  maxout_forward(shape, from, to);
  return y;
}

py::array_t<float> backward(const Floats& x, const Floats& dy) {
  const MaxoutShape shape = checked_shape(x);
  require_same_shape("maxout", "dy", dims_of(dy), "y", {shape.groups, shape.inner});
  py::array_t<float> dx = new_floats(dims_of(x));
  const float *from = x.data(), *gradient = dy.data();
  float* to = dx.mutable_data();
  const py::gil_scoped_release release_gil;
  maxout_backward(shape, from, gradient, to);
  return dx;
}

}  // namespace

void bind_maxout(py::module_& module) {
  module.def("maxout_forward", &forward, py::arg("x").noconvert());
  module.def("maxout_backward", &backward, py::arg("x").noconvert(), py::arg("dy").noconvert());
}

}  // namespace cnnfast
