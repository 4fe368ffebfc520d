// One step of an optimiser over one parameter, in place.
#include "kernels/updates.h"

#include <cstdint>

#include "simd/roots.h"
#include "simd/vec.h"

namespace cnnfast::CNNFAST_ISA {
namespace {

constexpr int64_t kAhead = 160;  // floats that four arrays are fetched ahead, from the second-level cache

}  // namespace

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
  const AdamStep s = step;  // which no store below can change
  for_each_vector(count, [&](int64_t i, int lanes) CNNFAST_INLINE_LAMBDA {
    __builtin_prefetch(gradient + i + kAhead);
    __builtin_prefetch(mean + i + kAhead, 1);
    __builtin_prefetch(square + i + kAhead, 1);
    __builtin_prefetch(weights + i + kAhead, 1);
    const Vec g = in_register(load_lanes(gradient + i, lanes)), m_before = in_register(load_lanes(mean + i, lanes));
    const Vec v_before = load_lanes(square + i, lanes);
    const Vec m = fma(g - m_before, broadcast(s.mean_rate), m_before);
    const Vec v = fma(fma(g, g, -v_before), broadcast(s.square_rate), v_before);
    store_lanes(mean + i, m, lanes);
    store_lanes(square + i, v, lanes);
    const Vec w = load_lanes(weights + i, lanes);
    store_lanes(weights + i, subtract_over_root(w, m * s.learning_rate, v, s.epsilon), lanes);
  });
}

}  // namespace cnnfast::CNNFAST_ISA
