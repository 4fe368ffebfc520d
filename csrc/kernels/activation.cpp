// Elementwise activations and their gradients.
#include "kernels/activation.h"

#include "simd/vec.h"

namespace cnnfast::CNNFAST_ISA {

void activation_forward(Activation kind, float alpha, const float* x, float* y, int64_t count) {
  for_each_vector(count, [&](int64_t i, int lanes) {
    const Vec v = load_lanes(x + i, lanes);
    const Vec negative = kind == Activation::relu ? zero() : broadcast(alpha) * v;
    store_lanes(y + i, kind == Activation::linear ? v : select(v <= 0, negative, v), lanes);
  });
}

void activation_backward(Activation kind, float alpha, const float* saved, const float* dy, float* dx, int64_t count) {
  for_each_vector(count, [&](int64_t i, int lanes) {
    const Vec s = load_lanes(saved + i, lanes), d = load_lanes(dy + i, lanes);
    const Vec negative = kind == Activation::relu ? zero() : broadcast(alpha) * d;
    store_lanes(dx + i, kind == Activation::linear ? d : select(s > 0, d, negative), lanes);
  });
}

}  // namespace cnnfast::CNNFAST_ISA
