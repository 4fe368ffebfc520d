#include <pybind11/stl.h>

#include "bindings/arrays.h"
#include "bindings/bind.h"
#include "bindings/pooling.h"
#include "ops/adaptive_pool.h"
namespace cnnfast {
namespace {

using AdaptivePooling = PoolingOf<AdaptivePoolShape>;

AdaptivePooling adaptive_pooling(const std::string& op, const Dims& x_dims, const Dims& sizes) {
  return {op, make_adaptive_shape(op, x_dims, sizes)};
}

py::array_t<float> average_forward(const AdaptivePooling& pooling, const Floats& x) {
  return pooled_values(pooling, x,
                       [&](const float* from, float* to) { adaptive_average_forward(pooling.shape, from, to); });
}

py::array_t<float> average_backward(const AdaptivePooling& pooling, const Floats& dy) {
  return pooled_gradient(pooling, dy,
                         [&](const float* from, float* to) { adaptive_average_backward(pooling.shape, from, to); });
}

}  // namespace

void bind_adaptive_pool(py::module_& module) {
  py::class_<AdaptivePooling> cls(module, "AdaptivePooling");
  cls.def(py::init(&adaptive_pooling), py::arg("op"), py::arg("x_shape"), py::arg("output_size"));
  bind_max<AdaptivePoolShape>(cls, &adaptive_max_forward, &adaptive_max_backward);
  cls.def("average", &average_forward, py::arg("x").noconvert());
  cls.def("average_backward", &average_backward, py::arg("dy").noconvert());
}

}  // namespace cnnfast
