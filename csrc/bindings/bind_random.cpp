#include "bindings/arrays.h"
#include "bindings/bind.h"
#include "ops/random.h"

namespace cnnfast {
namespace {

py::array_t<float> apply_dropout(const Floats& x, double rate, uint64_t seed) {
  py::array_t<float> y = new_floats(dims_of(x));
  const float* from = x.data();
  float* to = y.mutable_data();
  const py::gil_scoped_release release_gil;
  dropout(seed, rate, from, to, x.size());
  return y;
}

py::array_t<float> philox_uniform(uint64_t seed, int64_t offset, int64_t count) {
  py::array_t<float> y = new_floats({count});
  float* to = y.mutable_data();
  const py::gil_scoped_release release_gil;
  uniform(seed, offset, to, count);
  return y;
}

}  // namespace

void bind_random(py::module_& module) {
  module.def("dropout", &apply_dropout, py::arg("x").noconvert(), py::arg("rate"), py::arg("seed"));
  module.def("philox_uniform", &philox_uniform, py::arg("seed"), py::arg("offset"), py::arg("count"));
}

}  // namespace cnnfast
