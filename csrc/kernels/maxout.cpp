// The largest of each group of consecutive entries: x is (groups, pieces, inner), y is (groups, inner).
#include <cstdint>

#include "simd/vec.h"

namespace cnnfast::CNNFAST_ISA {
namespace {

// The values of one piece in as many groups as there are lanes; neighbours are `stride` apart.
CNNFAST_INLINE Vec load_strided(const float* p, int64_t stride, int lanes) {
  if (stride == 1) return load_lanes(p, lanes);
  float values[kLanes] = {};
  for (int i = 0; i < lanes; ++i) values[i] = p[i * stride];
  return load(values);
}

CNNFAST_INLINE void store_strided(float* p, Vec v, int64_t stride, int lanes) {
  if (stride == 1) return store_lanes(p, v, lanes);
  float values[kLanes];
  store(values, v);
  for (int i = 0; i < lanes; ++i) p[i * stride] = values[i];
}

struct Winner {
  Vec value;
  IntVec piece;
};

// The first of the largest pieces; NaN is larger than all numbers. Pieces are `step` apart, lanes `stride`.
CNNFAST_INLINE Winner find_winner(const float* x, int64_t pieces, int64_t step, int64_t stride, int lanes) {
  Winner winner = {load_strided(x, stride, lanes), broadcast_int(0)};
  for (int64_t piece = 1; piece < pieces; ++piece) {
    const Vec v = load_strided(x + piece * step, stride, lanes);
    const IntVec better = (v > winner.value) | (is_nan(v) & ~is_nan(winner.value));
    winner.value = select(better, v, winner.value);
    winner.piece = select_int(better, broadcast_int(static_cast<int32_t>(piece)), winner.piece);
  }
  return winner;
}

// Calls body(offset into x, offset into y, step between pieces, stride between lanes, lanes). Where groups lie side by
// side the lanes run over them, otherwise along the inner axis.
template <typename Body>
CNNFAST_INLINE void for_each_group(int64_t groups, int64_t pieces, int64_t inner, Body body) {
  if (inner == 1) {
    for_each_vector(
        groups, [&](int64_t i, int lanes) CNNFAST_INLINE_LAMBDA { body(i * pieces, i, int64_t{1}, pieces, lanes); });
    return;
  }
  for (int64_t group = 0; group < groups; ++group) {
    for_each_vector(inner, [&](int64_t i, int lanes) CNNFAST_INLINE_LAMBDA {
      body(group * pieces * inner + i, group * inner + i, inner, int64_t{1}, lanes);
    });
  }
}

}  // namespace

void maxout_forward(const float* x, float* y, int64_t groups, int64_t pieces, int64_t inner) {
  for_each_group(groups, pieces, inner,
                 [&](int64_t from, int64_t to, int64_t step, int64_t stride, int lanes) CNNFAST_INLINE_LAMBDA {
                   store_lanes(y + to, find_winner(x + from, pieces, step, stride, lanes).value, lanes);
                 });
}

void maxout_backward(const float* x, const float* dy, float* dx, int64_t groups, int64_t pieces, int64_t inner) {
  for_each_group(groups, pieces, inner,
                 [&](int64_t from, int64_t to, int64_t step, int64_t stride, int lanes) CNNFAST_INLINE_LAMBDA {
                   const IntVec winner = find_winner(x + from, pieces, step, stride, lanes).piece;
                   const Vec gradient = load_lanes(dy + to, lanes);
                   for (int64_t piece = 0; piece < pieces; ++piece) {
                     const IntVec won = winner == broadcast_int(static_cast<int32_t>(piece));
                     store_strided(dx + from + piece * step, select(won, gradient, zero()), stride, lanes);
                   }
                 });
}

}  // namespace cnnfast::CNNFAST_ISA
