// Exponentials, logarithms and what is made of them, on vectors of floats.
//
// The polynomials are minimax fits (Remez exchange in float64, then a search over neighbouring float32 coefficients);
// the error that each comment states is the fit's own, with the rounded coefficients and relative to the function. The
// functions add the roundings of their few steps: 2 to 3 units in the last place on every instruction set. None needs a
// fused multiply-add to be right, NaN gives NaN everywhere, and subnormal results may be flushed to zero.
#pragma once

#include "simd/vec.h"

namespace cnnfast::CNNFAST_ISA {

// p(x) = first + rest[0] * x + rest[1] * x^2 + ... by Horner's rule.
CNNFAST_INLINE Vec polynomial(Vec, float constant) { return broadcast(constant); }
template <typename... Rest>
CNNFAST_INLINE Vec polynomial(Vec x, float first, Rest... rest) {
  return fma(polynomial(x, rest...), x, broadcast(first));
}

// 2^n for -126 <= n <= 127.
CNNFAST_INLINE Vec power_of_two(IntVec n) { return (Vec)(((UintVec)n + 127u) << 23); }

// x = exponent * ln 2 + rest with |rest| <= ln 2 / 2, for |x| < 2^15.
struct ReducedExponent {
  Vec rest;
  IntVec exponent;
};

CNNFAST_INLINE ReducedExponent reduce_exponent(Vec x) {
  // Adding 1.5 * 2^23 leaves the nearest integer in the low bits.
  const Vec rounder = broadcast(12582912.0f);
  const Vec shifted = fma(x, broadcast(1.442695041f), rounder);
  const Vec n = shifted - rounder;
  // ln 2 in two parts, the first of nine bits: its products with n are exact.
  const Vec partly = fma(n, broadcast(-0.693359375f), x);
  return {fma(n, broadcast(2.12194440e-4f), partly), (IntVec)((UintVec)shifted - (UintVec)rounder)};
}

// exp(r) - 1 for |r| <= ln 2 / 2; fit's error 1.5e-8.
CNNFAST_INLINE Vec expm1_reduced(Vec r) {
  const Vec tail = polynomial(r, 0.49999997f, 0.166665435f, 0.0416673496f, 0.00836663134f, 0.00138825888f);
  return fma(r * r, tail, r);
}

// exp(x + correction), where the correction is so small against x that their sum would round it away.
CNNFAST_INLINE Vec exp_corrected(Vec x, Vec correction) {
  // Past these bounds the result is infinite or zero.
  const Vec bounded = max(broadcast(-104.0f), min(broadcast(89.0f), x));
  const ReducedExponent reduced = reduce_exponent(bounded);
  const Vec mantissa = expm1_reduced(reduced.rest + correction) + 1.0f;
  // In two steps, because 2^128 and 2^-150 are no floats.
  const IntVec half = reduced.exponent >> 1;
  return mantissa * power_of_two(half) * power_of_two((IntVec)((UintVec)reduced.exponent - (UintVec)half));
}

CNNFAST_INLINE Vec exp(Vec x) { return exp_corrected(x, zero()); }

// exp(x) - 1, accurate near zero too.
CNNFAST_INLINE Vec expm1(Vec x) {
  const Vec bounded = max(broadcast(-25.0f), min(broadcast(89.0f), x));
  const ReducedExponent reduced = reduce_exponent(bounded);
  // Half of it, because 2^128 is no float.
  const Vec scale = power_of_two((IntVec)((UintVec)reduced.exponent - 1u));
  const Vec half = fma(expm1_reduced(reduced.rest), scale, scale - 0.5f);
  return copysign(half + half, x);
}

// n * ln 2 + log(1 + f) with 1 + f between sqrt(1/2) and sqrt(2).
CNNFAST_INLINE Vec log_of_parts(IntVec n, Vec f) {
  // log(1 + f) = f - f^2 / 2 + f^3 p(f); fit's error 6e-9.
  const Vec tail = polynomial(f, 0.333333313f, -0.250008196f, 0.200012296f, -0.166233793f, 0.142017916f, -0.131602049f,
                              0.127616197f, -0.0763452649f);
  const Vec square = f * f;
  const Vec exponent = __builtin_convertvector(n, Vec);
  const Vec low = fma(square, fma(f, tail, broadcast(-0.5f)), exponent * -2.12194440e-4f);
  return fma(exponent, broadcast(0.693359375f), low + f);
}

// The n of a positive number (1 + f) * 2^n.
CNNFAST_INLINE IntVec log_exponent(Vec x) { return (IntVec)((UintVec)x - 0x3f3504f3u) >> 23; }

// log(1 + u) for 0 <= u < 2^126, accurate near zero too.
CNNFAST_INLINE Vec log1p(Vec u) {
  // f is computed from u itself: no digits are lost.
  const IntVec n = log_exponent(u + 1.0f);
  const Vec scale = power_of_two((IntVec)(0u - (UintVec)n));
  return log_of_parts(n, fma(u, scale, scale - 1.0f));
}

// log(x): -inf for 0 and subnormal numbers, NaN for negative ones.
CNNFAST_INLINE Vec log(Vec x) {
  const float infinity = __builtin_inff();
  const IntVec large = x > 1e18f;  // whose exponent has no reciprocal, for some
  const Vec bounded = select(large, x * 0x1p-64f, x);
  const IntVec n = log_exponent(bounded);
  const Vec f = fma(bounded, power_of_two((IntVec)(0u - (UintVec)n)), broadcast(-1.0f));
  const Vec finite = log_of_parts(n + select_int(large, broadcast_int(64), IntVec{}), f);
  const Vec small = select(x > -1.17549435e-38f, broadcast(-infinity), broadcast(__builtin_nanf("")));
  const Vec result = select(x < 1.17549435e-38f, small, finite);
  return select((x == infinity) | is_nan(x), x, result);
}

CNNFAST_INLINE Vec sigmoid(Vec x) { return 1.0f / (exp(-x) + 1.0f); }

CNNFAST_INLINE Vec tanh(Vec x) {
  const Vec e = expm1(min(broadcast(40.0f), 2.0f * abs(x)));
  return copysign(e / (e + 2.0f), x);
}

// The standard normal distribution: phi(x), the density, and Phi(x) = (1 + erf(x / sqrt 2)) / 2, the distribution
// function, without the cancellation that erf would bring for negative x.
struct Normal {
  Vec density;
  Vec distribution;
};

CNNFAST_INLINE Normal normal(Vec x) {
  const Vec magnitude = min(broadcast(14.5f), abs(x));
  // exp(-x^2 / 2), the square in two parts: the first, of twelve bits squared, is exact.
  const Vec head = (Vec)((IntVec)((UintVec)magnitude + 2048u) & broadcast_int(-4096));
  const Vec bell = exp_corrected(head * head * -0.5f, (magnitude - head) * (magnitude + head) * -0.5f);
  // Phi(-x) = bell * p(t) / (x + 4) with t = (x - 4) / (x + 4); fit's error 2.2e-8.
  const Vec inverse = 1.0f / (magnitude + 4.0f);
  const Vec p =
      polynomial((magnitude - 4.0f) * inverse, 0.755285144f, -0.607896566f, 0.387136847f, -0.186523512f, 0.0604038276f,
                 -0.00752527639f, -0.0035125548f, 0.00156992255f, 0.000179354276f, -0.000131971727f);
  const Vec tail = bell * (p * inverse);
  return {bell * 0.398942280f, select(x > 0, 1.0f - tail, tail)};
}

}  // namespace cnnfast::CNNFAST_ISA
