// One step of an optimiser over one parameter, in place.
#include "kernels/updates.h"

#include <cstdint>

#include "simd/vec.h"

namespace cnnfast::CNNFAST_ISA {

void sgd_update(const SgdStep& step, const float* gradient, float* velocity, float* weights, int64_t count) {
  const float rate = step.learning_rate, momentum = step.momentum;
  for_each_vector(count, [&](int64_t i, int lanes) CNNFAST_INLINE_LAMBDA {
    const Vec w = load_lanes(weights + i, lanes), descent = load_lanes(gradient + i, lanes) * rate;
    Vec change = -descent;
    if (velocity != nullptr) {
      const Vec v = momentum * load_lanes(velocity + i, lanes) - descent;
      store_lanes(velocity + i, v, lanes);
      change = step.nesterov ? momentum * v - descent : v;
    }
    store_lanes(weights + i, w + change, lanes);
  });
}

// D. P. Kingma and J. Ba, "Adam: A Method for Stochastic Optimization" (2015), in the form where the bias corrections
// are part of the learning rate and epsilon is not corrected.
void adam_update(const AdamStep& step, const float* gradient, float* mean, float* square, float* weights,
                 int64_t count) {
  for_each_vector(count, [&](int64_t i, int lanes) CNNFAST_INLINE_LAMBDA {
    const Vec g = load_lanes(gradient + i, lanes), m_before = load_lanes(mean + i, lanes);
    const Vec v_before = load_lanes(square + i, lanes);
    const Vec m = m_before + (g - m_before) * step.mean_rate;
    const Vec v = v_before + (g * g - v_before) * step.square_rate;
    store_lanes(mean + i, m, lanes);
    store_lanes(square + i, v, lanes);
    const Vec change = m * step.learning_rate / (sqrt(v) + step.epsilon);
    store_lanes(weights + i, load_lanes(weights + i, lanes) - change, lanes);
  });
}

}  // namespace cnnfast::CNNFAST_ISA
