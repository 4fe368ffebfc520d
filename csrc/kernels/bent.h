// The activations made of straight lines: what kernels apply to results that are still in registers.
#pragma once

#include "kernels/activation.h"
#include "simd/vec.h"

namespace cnnfast::CNNFAST_ISA {

constexpr float kRelu6Limit = 6;

// linear, relu, relu6 and leaky_relu. NaN takes the branch that hands it on.
CNNFAST_INLINE Vec bend(Activation kind, float alpha, Vec v) {
  if (kind == Activation::linear) return v;
  const Vec bent = select(v <= 0, kind == Activation::leaky_relu ? broadcast(alpha) * v : zero(), v);
  return kind == Activation::relu6 ? select(bent >= kRelu6Limit, broadcast(kRelu6Limit), bent) : bent;
}

// The gradient before them. `v` is what the function was given or what it made of that: both lie on the same side of
// its corners.
CNNFAST_INLINE Vec gradient_before_bend(Activation kind, float alpha, Vec v, Vec dy) {
  if (kind == Activation::linear) return dy;
  const Vec dx = select(v <= 0, kind == Activation::leaky_relu ? broadcast(alpha) * dy : zero(), dy);
  return kind == Activation::relu6 ? select(v >= kRelu6Limit, zero(), dx) : dx;
}

template <Activation kKind>
struct Bend {
  static constexpr Activation kind = kKind;
};

// Calls body(Bend<kind>) so that a loop in it is compiled for each kind by itself.
template <typename Body>
CNNFAST_INLINE void for_bend(Activation kind, Body body) {
  switch (kind) {
    case Activation::relu:
      return body(Bend<Activation::relu>{});
    case Activation::relu6:
      return body(Bend<Activation::relu6>{});
    case Activation::leaky_relu:
      return body(Bend<Activation::leaky_relu>{});
    default:
      return body(Bend<Activation::linear>{});
  }
}

}  // namespace cnnfast::CNNFAST_ISA
