// A quotient by a root, without the slow unit that square roots and divisions share, where estimates are quicker.
#pragma once

#include "simd/vec.h"

namespace cnnfast::CNNFAST_ISA {

#if defined(__AVX512F__)
// v, but what `table` says where `of` is zero or infinite: four bits for each class of number, of which 0 keeps v.
CNNFAST_INLINE Vec mend(Vec v, Vec of, int table) {
  return (Vec)_mm512_maskz_fixupimm_ps(0xffff, (__m512)v, (__m512)of, _mm512_set1_epi32(table), 0);
}

// Estimates good to 14 bits, and one step of Newton's method for each. It makes NaN of zeros and infinities.
CNNFAST_INLINE Vec root_and(Vec v, float c) {
  constexpr int kZeroToItself = 1 << 8, kInfinityToItself = 5 << 20;
  const Vec inverse = (Vec)_mm512_maskz_rsqrt14_ps(0xffff, (__m512)v), root = v * inverse;
  const Vec twice = root * fma(-root, inverse, broadcast(3.0f));
  return fma(mend(twice, v, kZeroToItself | kInfinityToItself), broadcast(0.5f), broadcast(c));
}

CNNFAST_INLINE Vec reciprocal(Vec d) {
  constexpr int kZeroToInfinity = 6 << 8, kMinusInfinityToZero = 7 << 16, kInfinityToZero = 8 << 20;
  const Vec inverse = (Vec)_mm512_maskz_rcp14_ps(0xffff, (__m512)d);
  const Vec rest = fma(-d, inverse, broadcast(1.0f));
  return mend(fma(inverse, rest, inverse), d, kZeroToInfinity | kMinusInfinityToZero | kInfinityToZero);
}
#endif

// w - n / (sqrt(v) + c). The quotient is right to 3 units in the last place, and has the signs, zeros, infinities and
// NaNs of IEEE 754, for sqrt(v) + c below 2^126 or infinite; subnormal numbers may count as zero.
CNNFAST_INLINE Vec subtract_over_root(Vec w, Vec n, Vec v, float c) {
#if defined(__AVX512F__)
  return fma(-n, reciprocal(root_and(v, c)), w);
#else
  return w - n / (sqrt(v) + c);
#endif
}

}  // namespace cnnfast::CNNFAST_ISA
