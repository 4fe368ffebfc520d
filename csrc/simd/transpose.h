// Vectors as the rows of a square matrix: turned, and summed up each for itself.
#pragma once

#include "simd/vec.h"

#define CNNFAST_LANES_4(F, i) F(i), F(i + 1), F(i + 2), F(i + 3)
#define CNNFAST_LANES_8(F, i) CNNFAST_LANES_4(F, i), CNNFAST_LANES_4(F, i + 4)
#define CNNFAST_LANES_16(F, i) CNNFAST_LANES_8(F, i), CNNFAST_LANES_8(F, i + 8)
#if defined(__AVX512F__)
#define CNNFAST_LANES(F) CNNFAST_LANES_16(F, 0)
#elif defined(__AVX2__)
#define CNNFAST_LANES(F) CNNFAST_LANES_8(F, 0)
#else
#define CNNFAST_LANES(F) CNNFAST_LANES_4(F, 0)
#endif
#if defined(__clang__)
#define CNNFAST_SHUFFLE(a, b, lane) __builtin_shufflevector(a, b, CNNFAST_LANES(lane))
#else
#define CNNFAST_SHUFFLE(a, b, lane) __builtin_shuffle(a, b, IntVec{CNNFAST_LANES(lane)})
#endif

namespace cnnfast::CNNFAST_ISA {

// Swaps a's lanes i + Distance with b's lanes i, where i has no bit `Distance`.
template <int Distance>
CNNFAST_INLINE void exchange(Vec& a, Vec& b) {
#define CNNFAST_FIRST(i) ((i) & Distance ? kLanes + (i) - Distance : (i))
#define CNNFAST_SECOND(i) ((i) & Distance ? kLanes + (i) : (i) + Distance)
  const Vec first = CNNFAST_SHUFFLE(a, b, CNNFAST_FIRST), second = CNNFAST_SHUFFLE(a, b, CNNFAST_SECOND);
#undef CNNFAST_FIRST
#undef CNNFAST_SECOND
  a = first;
  b = second;
}

template <int Distance = kLanes / 2>
CNNFAST_INLINE void transpose(Vec (&rows)[kLanes]) {
  CNNFAST_UNROLL for (int i = 0; i < kLanes; ++i) {
    if ((i & Distance) == 0) exchange<Distance>(rows[i], rows[i + Distance]);
  }
  if constexpr (Distance > 1) transpose<Distance / 2>(rows);
}

// The sum of each vector's lanes, vector i's in lane i; always in the same order.
template <int Distance = kLanes / 2>
CNNFAST_INLINE Vec sum_each(Vec (&rows)[kLanes]) {
  CNNFAST_UNROLL for (int i = 0; i < Distance; ++i) {
    exchange<Distance>(rows[i], rows[i + Distance]);
    rows[i] += rows[i + Distance];
  }
  if constexpr (Distance > 1) {
    return sum_each<Distance / 2>(rows);
  } else {
    return rows[0];
  }
}

}  // namespace cnnfast::CNNFAST_ISA

#undef CNNFAST_LANES_4
#undef CNNFAST_LANES_8
#undef CNNFAST_LANES_16
#undef CNNFAST_LANES
#undef CNNFAST_SHUFFLE
