#include "bindings/arrays.h"
#include "bindings/bind.h"
#include "ops/softmax.h"

namespace cnnfast {
namespace {

// All axes but the last are rows.
Rows rows_of(const char* op, const Dims& dims) {
  if (dims.empty() || dims.back() == 0) {
    throw std::invalid_argument(
        std::string(op) + ": expected at least one value along the axis, got an array of shape " + dims_text(dims));
  }
  const Dims outer(dims.begin(), dims.end() - 1);
  return {checked_size(outer), dims.back()};
}

using Forward = void (*)(Rows, const float*, float*);
using Backward = void (*)(Rows, const float*, const float*, float*);

template <Forward function>
py::array_t<float> forward(const Floats& x) {
  const Rows shape = rows_of("softmax", dims_of(x));
  py::array_t<float> y = new_floats(dims_of(x));
  const float* from = x.data();
  float* to = y.mutable_data();
  const py::gil_scoped_release release_gil;
  function(shape, from, to);
  return y;
}

template <Backward function>
py::array_t<float> backward(const Floats& y, const Floats& dy) {
  require_same_shape("softmax", "y", dims_of(y), "dy", dims_of(dy));
  const Rows shape = rows_of("softmax", dims_of(y));
  py::array_t<float> dx = new_floats(dims_of(y));
  const float *from = y.data(), *gradient = dy.data();
  float* to = dx.mutable_data();
  const py::gil_scoped_release release_gil;
  function(shape, from, gradient, to);
  return dx;
}

// What labels of either kind must look like for these logits: floats for every logit, or one integer for each row.
void require_labels(const In<float>& labels, const Dims& logits) {
  require_same_shape("softmax_cross_entropy", "labels", dims_of(labels), "logits", logits);
}

void require_labels(const In<int64_t>& labels, const Dims& logits) {
  require_same_shape("softmax_cross_entropy", "integer labels", dims_of(labels), "rows of logits",
                     Dims(logits.begin(), logits.end() - 1));
}

template <typename Label>
py::tuple cross_entropy(const In<Label>& labels, const Floats& logits) {
  const Dims dims = dims_of(logits);
  const Rows shape = rows_of("softmax_cross_entropy", dims);
  require_labels(labels, dims);
  py::array_t<float> losses = new_floats(Dims(dims.begin(), dims.end() - 1)), probabilities = new_floats(dims);
  const Label* label = labels.data();
  const float* from = logits.data();
  float *loss = losses.mutable_data(), *p = probabilities.mutable_data();
  {
    const py::gil_scoped_release release_gil;
    cross_entropy_forward(shape, label, from, p, loss);
  }
  return py::make_tuple(losses, probabilities);
}

template <typename Label>
py::array_t<float> cross_entropy_gradient(const In<Label>& labels, const Floats& probabilities, const Floats& dlosses) {
  const Dims dims = dims_of(probabilities);
  const Rows shape = rows_of("softmax_cross_entropy", dims);
  require_labels(labels, dims);
  require_same_shape("softmax_cross_entropy", "dlosses", dims_of(dlosses), "rows of logits",
                     Dims(dims.begin(), dims.end() - 1));
  py::array_t<float> dlogits = new_floats(dims);
  const Label* label = labels.data();
  const float *p = probabilities.data(), *gradient = dlosses.data();
  float* to = dlogits.mutable_data();
  const py::gil_scoped_release release_gil;
  cross_entropy_backward(shape, label, p, gradient, to);
  return dlogits;
}

template <typename Label>
void bind_cross_entropy(py::module_& module) {
  module.def("cross_entropy_forward", &cross_entropy<Label>, py::arg("labels").noconvert(),
             py::arg("logits").noconvert());
  module.def("cross_entropy_backward", &cross_entropy_gradient<Label>, py::arg("labels").noconvert(),
             py::arg("probabilities").noconvert(), py::arg("dlosses").noconvert());
}

}  // namespace

void bind_softmax(py::module_& module) {
  module.def("softmax_forward", &forward<softmax_forward>, py::arg("x").noconvert());
  module.def("softmax_backward", &backward<softmax_backward>, py::arg("y").noconvert(), py::arg("dy").noconvert());
  module.def("log_softmax_forward", &forward<log_softmax_forward>, py::arg("x").noconvert());
  module.def("log_softmax_backward", &backward<log_softmax_backward>, py::arg("y").noconvert(),
             py::arg("dy").noconvert());
  bind_cross_entropy<float>(module);
  bind_cross_entropy<int64_t>(module);
}

}  // namespace cnnfast
