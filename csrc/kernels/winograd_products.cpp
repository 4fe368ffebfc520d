// Winograd's products of few channels: so short that calls for every point would cost as much.
#include "kernels/conv.h"
#include "kernels/winograd.h"
#include "simd/vec.h"

namespace cnnfast::CNNFAST_ISA {
namespace {

constexpr int kPrefetchFloats = 1024;  // before weights are used

template <int Slots, int Vectors>
void products(const WinogradProducts& p, int64_t first) {
  const float *x = p.x + first * p.x_slot, *w = p.w;
  float* y = p.y + first * p.y_slot;
  const int64_t stride = p.x_slot, stride3 = 3 * p.x_slot;
  const int last_lanes = p.channels - (Vectors - 1) * kLanes;
  for (int point = 0, col = 0; point < p.point_rows * p.point_cols; ++point) {
    Vec acc[Slots][Vectors];
    CNNFAST_UNROLL for (int s = 0; s < Slots; ++s) {
      CNNFAST_UNROLL for (int v = 0; v < Vectors; ++v) acc[s][v] = zero();
    }
    // One pointer for every four slots and three multiples of the stride, as x86 addresses take them.
    const float* base[(Slots + 3) / 4];
    CNNFAST_UNROLL for (int q = 0; q < (Slots + 3) / 4; ++q) base[q] = x + 4 * q * stride;
    const float* panel = w;
    for (int c = 0; c < p.in; ++c) {
      Vec weights[Vectors];
      CNNFAST_UNROLL for (int v = 0; v < Vectors; ++v) {
        weights[v] = load(panel + v * kLanes);
        __builtin_prefetch(panel + kPrefetchFloats + v * kLanes);
      }
      CNNFAST_UNROLL for (int s = 0; s < Slots; ++s) {
        const Vec value = broadcast(base[s / 4][s % 4 == 3 ? stride3 : s % 4 * stride]);
        CNNFAST_UNROLL for (int v = 0; v < Vectors; ++v) acc[s][v] = fma(value, weights[v], acc[s][v]);
      }
      panel += Vectors * kLanes;
      CNNFAST_UNROLL for (int q = 0; q < (Slots + 3) / 4; ++q)++ base[q];
    }
    CNNFAST_UNROLL for (int s = 0; s < Slots; ++s) {
      CNNFAST_UNROLL for (int v = 0; v < Vectors; ++v) {
        store_lanes(y + s * p.y_slot + v * kLanes, acc[s][v], v + 1 < Vectors ? kLanes : last_lanes);
      }
    }
    int64_t points = 1;
    if (++col == p.point_cols) {
      col = 0;
      points += p.point_pitch - p.point_cols;
    }
    x += points * p.x_point;
    w += points * p.w_point;
    y += points * p.y_point;
  }
}

using ProductsFunction = void (*)(const WinogradProducts&, int64_t);

// Twice as many slots as pixels of a convolution: sums are short.
constexpr int kMostSlots = 2 * kMaxTilePixels;
constexpr int most_slots(int vectors) {
  return kAccumulators / vectors < kMostSlots ? kAccumulators / vectors : kMostSlots;
}

template <int Slots, int Vectors>
constexpr ProductsFunction products_function() {
  if constexpr (Slots <= most_slots(Vectors)) {
    return &products<Slots, Vectors>;
  } else {
    return nullptr;
  }
}

#define CNNFAST_SEVEN(S, V)                                                                        \
  products_function<S + 1, V>(), products_function<S + 2, V>(), products_function<S + 3, V>(),     \
      products_function<S + 4, V>(), products_function<S + 5, V>(), products_function<S + 6, V>(), \
      products_function<S + 7, V>()
#define CNNFAST_SLOTS(V) {CNNFAST_SEVEN(0, V), CNNFAST_SEVEN(7, V), CNNFAST_SEVEN(14, V), CNNFAST_SEVEN(21, V)}
constexpr ProductsFunction kProducts[2][kMostSlots] = {CNNFAST_SLOTS(1), CNNFAST_SLOTS(2)};
#undef CNNFAST_SLOTS
#undef CNNFAST_SEVEN

}  // namespace

void winograd_products(const WinogradProducts& p) {
  const int64_t most = most_slots(p.vectors), tiles = (p.slots + most - 1) / most;
  int64_t first = 0;
  for (int64_t i = 0; i < tiles; ++i) {
    const int64_t slots = p.slots / tiles + (i < p.slots % tiles);
    kProducts[p.vectors - 1][slots - 1](p, first);
    first += slots;
  }
}

}  // namespace cnnfast::CNNFAST_ISA
