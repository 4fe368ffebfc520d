// A pooling as Python holds it, and what all poolings over windows have in common: values, winners and gradients.
#pragma once

#include <string>

#include "bindings/arrays.h"
#include "ops/max_pool.h"

namespace cnnfast {

// Checked once, used by the forward and the backward pass.
template <class Shape>
struct PoolingOf {
  std::string op;
  Shape shape;
};

using Pooling = PoolingOf<PoolShape>;

template <class Shape>
py::array new_winners(const PoolingOf<Shape>& pooling) {
  return winner_type(pooling.shape) == WinnerType::byte ? py::array(new_array<uint8_t>(pooling.shape.y_dims))
                                                        : py::array(new_array<int32_t>(pooling.shape.y_dims));
}

// Throws where winners of so many bytes each come from another pooling.
template <class Shape>
void require_winners_of(const PoolingOf<Shape>& pooling, size_t winner_bytes) {
  if ((winner_type(pooling.shape) == WinnerType::byte) != (winner_bytes == 1)) {
    throw std::invalid_argument(pooling.op + ": winners are of another pooling");
  }
}

// What compute(x, y) writes to y.
template <class Shape, class Compute>
py::array_t<float> pooled_values(const PoolingOf<Shape>& pooling, const Floats& x, const Compute& compute) {
  require_same_shape(pooling.op.c_str(), "x", dims_of(x), "the pooling's x", pooling.shape.x_dims);
  py::array_t<float> y = new_floats(pooling.shape.y_dims);
  const float* from = x.data();
  float* to = y.mutable_data();
  const py::gil_scoped_release release_gil;
  compute(from, to);
  return y;
}

// What compute(dy, dx) writes to dx.
template <class Shape, class Compute>
py::array_t<float> pooled_gradient(const PoolingOf<Shape>& pooling, const Floats& dy, const Compute& compute) {
  require_same_shape(pooling.op.c_str(), "dy", dims_of(dy), "y", pooling.shape.y_dims);
  py::array_t<float> dx = new_floats(pooling.shape.x_dims);
  const float* from = dy.data();
  float* to = dx.mutable_data();
  const py::gil_scoped_release release_gil;
  compute(from, to);
  return dx;
}

template <class Shape>
using MaxForward = void (*)(const Shape& shape, const float* x, float* y, void* winners);
template <class Shape>
using MaxBackward = void (*)(const Shape& shape, const float* dy, const void* winners, float* dx);

template <class Winner, class Shape>
void bind_max_backward(py::class_<PoolingOf<Shape>>& cls, MaxBackward<Shape> backward) {
  const auto gradient = [backward](const PoolingOf<Shape>& pooling, const In<Winner>& winners, const Floats& dy) {
    require_same_shape(pooling.op.c_str(), "winners", dims_of(winners), "y", pooling.shape.y_dims);
    require_winners_of(pooling, sizeof(Winner));
    const Winner* winners_from = winners.data();
    return pooled_gradient(pooling, dy,
                           [&](const float* from, float* to) { backward(pooling.shape, from, winners_from, to); });
  };
  cls.def("max_backward", gradient, py::arg("winners").noconvert(), py::arg("dy").noconvert());
}

// The methods max(x), max_with_winners(x) and max_backward(winners, dy).
template <class Shape>
void bind_max(py::class_<PoolingOf<Shape>>& cls, MaxForward<Shape> forward, MaxBackward<Shape> backward) {
  const auto values = [forward](const PoolingOf<Shape>& pooling, const Floats& x) {
    return pooled_values(pooling, x, [&](const float* from, float* to) { forward(pooling.shape, from, to, nullptr); });
  };
  const auto with_winners = [forward](const PoolingOf<Shape>& pooling, const Floats& x) {
    py::array winners = new_winners(pooling);
    void* winners_to = winners.mutable_data();
    const py::array_t<float> y =
        pooled_values(pooling, x, [&](const float* from, float* to) { forward(pooling.shape, from, to, winners_to); });
    return py::make_tuple(y, winners);
  };
  cls.def("max", values, py::arg("x").noconvert());
  cls.def("max_with_winners", with_winners, py::arg("x").noconvert());
  bind_max_backward<uint8_t>(cls, backward);
  bind_max_backward<int32_t>(cls, backward);
}

}  // namespace cnnfast
