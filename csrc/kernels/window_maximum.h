// The maximum of four sums that are still in registers, and which of them it was: as max_pool_row() has it.
#pragma once

#include "kernels/bent.h"
#include "simd/vec.h"

namespace cnnfast::CNNFAST_ISA {

constexpr int kWindowTaps = 4;

struct Maximum {
  Vec best;
  IntVec winner;
};

// The first maximum of four values, none of them NaN, that an activation bends before; value(tap) gives them.
template <typename Bend, typename Value>
CNNFAST_INLINE Maximum first_maximum(float alpha, Value value) {
  // A ReLU's zeros lose against whatever is positive, and of nothing but zeros the first wins.
  constexpr bool kFromZero = Bend::kind == Activation::relu;
  Maximum m{kFromZero ? zero() : bend(Bend::kind, alpha, value(0)), IntVec{}};
  CNNFAST_UNROLL for (int t = kFromZero ? 0 : 1; t < kWindowTaps; ++t) {
    const Vec v = kFromZero ? value(t) : bend(Bend::kind, alpha, value(t));
    m.winner = select_int(v > m.best, broadcast_int(t), m.winner);
    m.best = max(v, m.best);
  }
  return m;
}

// The first NaN, or the first maximum where there is none.
template <typename Bend, typename Value>
CNNFAST_INLINE Maximum first_odd_or_maximum(float alpha, Value value) {
  Maximum m{bend(Bend::kind, alpha, value(0)), IntVec{}};
  CNNFAST_UNROLL for (int t = 1; t < kWindowTaps; ++t) {
    const Vec v = bend(Bend::kind, alpha, value(t));
    const IntVec better = ~(v <= m.best) & ~is_nan(m.best);
    m.best = select(better, v, m.best);
    m.winner = select_int(better, broadcast_int(t), m.winner);
  }
  return m;
}

}  // namespace cnnfast::CNNFAST_ISA
