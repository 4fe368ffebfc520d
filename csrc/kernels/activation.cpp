// Elementwise activations and their gradients: one loop per kind, chosen outside the loops.
//
// Where a formula would turn an infinite input into 0 * inf, the input is bounded first, so that the result is the
// function's limit. Selections are written so that NaN takes the branch that hands it on.
#include "kernels/activation.h"

#include "kernels/bent.h"
#include "simd/math.h"
#include "simd/vec.h"

namespace cnnfast::CNNFAST_ISA {
namespace {

constexpr float kSeluScale = 1.05070099f, kSeluNegativeScale = 1.75809934f;  // the latter is scale * alpha
constexpr float kSixth = 1.0f / 6.0f;
constexpr float kGeluLinear = 0.797884561f, kGeluCubic = 0.0356774081f;  // sqrt(2 / pi) and 0.044715 times it

template <typename Function>
CNNFAST_INLINE void map(const float* x, float* y, int64_t count, Function function) {
  for_each_vector(count, [&](int64_t i, int lanes)
                             CNNFAST_INLINE_LAMBDA { store_lanes(y + i, function(load_lanes(x + i, lanes)), lanes); });
}

template <typename Function>
CNNFAST_INLINE void map(const float* a, const float* b, float* y, int64_t count, Function function) {
  for_each_vector(count, [&](int64_t i, int lanes) CNNFAST_INLINE_LAMBDA {
    store_lanes(y + i, function(load_lanes(a + i, lanes), load_lanes(b + i, lanes)), lanes);
  });
}

// Past +-bound the functions that use it have reached their limits; NaN stays NaN.
CNNFAST_INLINE Vec clamp(Vec x, float bound) { return max(broadcast(-bound), min(broadcast(bound), x)); }

// The sigmoid's argument that makes x * sigmoid(.) the tanh form of gelu.
CNNFAST_INLINE Vec gelu_argument(Vec x) { return 2.0f * x * fma(x * x, broadcast(kGeluCubic), broadcast(kGeluLinear)); }

CNNFAST_INLINE Vec softplus(Vec x) { return select(x <= 0, zero(), x) + log1p(exp(-abs(x))); }

CNNFAST_INLINE Vec gelu_gradient(Vec x) {
  const Vec bounded = clamp(x, 64.0f);
  const Normal at_x = normal(bounded);
  return fma(bounded, at_x.density, at_x.distribution);
}

CNNFAST_INLINE Vec gelu_tanh_gradient(Vec x) {
  const Vec bounded = clamp(x, 64.0f);
  const Vec s = sigmoid(gelu_argument(bounded));
  const Vec slope = fma(bounded * bounded, broadcast(6.0f * kGeluCubic), broadcast(2.0f * kGeluLinear));
  return s * fma(bounded * (1.0f - s), slope, broadcast(1.0f));
}

CNNFAST_INLINE Vec shifted_relu6(Vec x) { return bend(Activation::relu6, 0.0f, x + 3.0f); }

// `then` strictly between 0 and `end`, else 0.
CNNFAST_INLINE Vec inside(Vec x, float end, Vec then) { return select(x > 0, select(x < end, then, zero()), zero()); }

CNNFAST_INLINE Vec silu_gradient(Vec x) {
  const Vec bounded = clamp(x, 1000.0f);
  const Vec s = sigmoid(bounded);
  return s * fma(bounded, 1.0f - s, broadcast(1.0f));
}

}  // namespace

void activation_forward(Activation kind, float alpha, const float* x, float* y, int64_t count) {
  // A slope of zero is relu, also where 0 * -inf would not be.
  if (kind == Activation::leaky_relu && alpha == 0) kind = Activation::relu;
  switch (kind) {
    case Activation::linear:
    case Activation::relu:
    case Activation::relu6:
    case Activation::leaky_relu:
      return for_bend(kind, [=](auto b) CNNFAST_INLINE_LAMBDA {
        map(x, y, count, [=](Vec v) CNNFAST_INLINE_LAMBDA { return bend(b.kind, alpha, v); });
      });
    case Activation::sigmoid:
      return map(x, y, count, [](Vec v) CNNFAST_INLINE_LAMBDA { return sigmoid(v); });
    case Activation::tanh:
      return map(x, y, count, [](Vec v) CNNFAST_INLINE_LAMBDA { return tanh(v); });
    case Activation::elu:
      return map(x, y, count, [=](Vec v) CNNFAST_INLINE_LAMBDA { return select(v <= 0, alpha * expm1(v), v); });
    case Activation::selu:
      return map(x, y, count, [](Vec v) CNNFAST_INLINE_LAMBDA {
        return select(v <= 0, kSeluNegativeScale * expm1(v), kSeluScale * v);
      });
    case Activation::softplus:
      return map(x, y, count, [](Vec v) CNNFAST_INLINE_LAMBDA { return softplus(v); });
    case Activation::gelu:
      return map(x, y, count, [](Vec v) CNNFAST_INLINE_LAMBDA {
        const Vec bounded = max(broadcast(-64.0f), v);
        return bounded * normal(bounded).distribution;
      });
    case Activation::gelu_tanh:
      return map(x, y, count, [](Vec v) CNNFAST_INLINE_LAMBDA {
        const Vec bounded = max(broadcast(-64.0f), v);
        return bounded * sigmoid(gelu_argument(bounded));
      });
    case Activation::silu:
      return map(x, y, count, [](Vec v) CNNFAST_INLINE_LAMBDA {
        const Vec bounded = max(broadcast(-1000.0f), v);
        return bounded / (exp(-bounded) + 1.0f);
      });
    case Activation::hard_sigmoid:
      return map(x, y, count, [](Vec v) CNNFAST_INLINE_LAMBDA { return shifted_relu6(v) * kSixth; });
    case Activation::hard_silu:
      return map(x, y, count,
                 [](Vec v) CNNFAST_INLINE_LAMBDA { return shifted_relu6(v) * max(broadcast(-64.0f), v) * kSixth; });
  }
}

void activation_backward(Activation kind, float alpha, const float* saved, const float* dy, float* dx, int64_t count) {
  if (kind == Activation::leaky_relu && alpha == 0) kind = Activation::relu;
  switch (kind) {
    case Activation::linear:
    case Activation::relu:
    case Activation::relu6:
    case Activation::leaky_relu:
      return for_bend(kind, [=](auto b) CNNFAST_INLINE_LAMBDA {
        map(saved, dy, dx, count,
            [=](Vec s, Vec d) CNNFAST_INLINE_LAMBDA { return gradient_before_bend(b.kind, alpha, s, d); });
      });
    case Activation::sigmoid:
      return map(saved, dy, dx, count, [](Vec s, Vec d) CNNFAST_INLINE_LAMBDA { return d * (s * (1.0f - s)); });
    case Activation::tanh:
      return map(saved, dy, dx, count,
                 [](Vec s, Vec d) CNNFAST_INLINE_LAMBDA { return d * ((1.0f - s) * (1.0f + s)); });
    case Activation::elu:
      return map(saved, dy, dx, count,
                 [=](Vec s, Vec d) CNNFAST_INLINE_LAMBDA { return d * select(s <= 0, s + alpha, broadcast(1.0f)); });
    case Activation::selu:
      return map(saved, dy, dx, count, [](Vec s, Vec d) CNNFAST_INLINE_LAMBDA {
        return d * select(s <= 0, s + kSeluNegativeScale, broadcast(kSeluScale));
      });
    case Activation::softplus:
      return map(saved, dy, dx, count, [](Vec s, Vec d) CNNFAST_INLINE_LAMBDA { return d * -expm1(-s); });
    case Activation::gelu:
      return map(saved, dy, dx, count, [](Vec s, Vec d) CNNFAST_INLINE_LAMBDA { return d * gelu_gradient(s); });
    case Activation::gelu_tanh:
      return map(saved, dy, dx, count, [](Vec s, Vec d) CNNFAST_INLINE_LAMBDA { return d * gelu_tanh_gradient(s); });
    case Activation::silu:
      return map(saved, dy, dx, count, [](Vec s, Vec d) CNNFAST_INLINE_LAMBDA { return d * silu_gradient(s); });
    case Activation::hard_sigmoid:
      return map(saved, dy, dx, count,
                 [](Vec s, Vec d) CNNFAST_INLINE_LAMBDA { return d * inside(s, 1.0f, broadcast(kSixth)); });
    case Activation::hard_silu:
      return map(saved, dy, dx, count, [](Vec s, Vec d) CNNFAST_INLINE_LAMBDA {
        const Vec shifted = shifted_relu6(s);
        return (shifted + inside(shifted, 6.0f, s)) * kSixth * d;
      });
  }
}

}  // namespace cnnfast::CNNFAST_ISA
