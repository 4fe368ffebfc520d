// The forward micro-kernel of direct convolution, backward-data and matrix products.
#include "kernels/bent.h"
#include "kernels/conv.h"
#include "simd/vec.h"

namespace cnnfast::CNNFAST_ISA {
namespace {

// Weights are fetched this many floats before they are used.
constexpr int kPrefetchFloats = 1024;
constexpr int kLineFloats = 16;

template <int Pixels, int Vectors>
CNNFAST_INLINE void start(const ConvTile& t, const float* y, Vec (&acc)[Pixels][Vectors]) {
  CNNFAST_UNROLL for (int v = 0; v < Vectors; ++v) {
    const int lanes = v + 1 < Vectors ? kLanes : t.channels - v * kLanes;
    const Vec first = t.bias != nullptr ? load_lanes(t.bias + v * kLanes, lanes) : zero();
    CNNFAST_UNROLL for (int p = 0; p < Pixels; ++p) {
      acc[p][v] = t.accumulate ? load_lanes(y + p * t.y_pixel + v * kLanes, lanes) : first;
    }
  }
}

// A store to a line that no cache has waits until it was read. So they are asked for while the sums are computed.
template <int Pixels, int Vectors>
CNNFAST_INLINE void fetch_for_writing(const ConvTile& t, const float* y) {
  CNNFAST_UNROLL for (int p = 0; p < Pixels; ++p) {
    CNNFAST_UNROLL for (int k = 0; k < Vectors * kLanes; k += kLineFloats) __builtin_prefetch(y + p * t.y_pixel + k, 1);
  }
}

template <int Pixels, int Vectors>
CNNFAST_INLINE void finish(const ConvTile& t, float* y, const Vec (&acc)[Pixels][Vectors]) {
  CNNFAST_UNROLL for (int v = 0; v < Vectors; ++v) {
    const int lanes = v + 1 < Vectors ? kLanes : t.channels - v * kLanes;
    CNNFAST_UNROLL for (int p = 0; p < Pixels; ++p) {
      store_lanes(y + p * t.y_pixel + v * kLanes, bend(t.activation, t.alpha, acc[p][v]), lanes);
    }
  }
}

// A block of accumulators stays in registers over the whole window. Pixels are addressed by one pointer for every four
// of them and three multiples of the stride, which is what x86 addressing modes take for free.
template <int Pixels, int Vectors>
void tile(const ConvTile& t, const float* x, float* y) {
  Vec acc[Pixels][Vectors];
  start<Pixels, Vectors>(t, y, acc);
  if (t.fetch_y) fetch_for_writing<Pixels, Vectors>(t, y);
  const float* w = t.w;
  const int64_t stride = t.x_pixel, stride3 = 3 * t.x_pixel;
  for (int r = 0; r < t.run_count; ++r) {
    const float* base[4];
    CNNFAST_UNROLL for (int q = 0; q < 4; ++q) base[q] = x + t.runs[r] + (4 * q < Pixels ? 4 * q * stride : 0);
    for (int e = 0; e < t.run_length; ++e) {
      if (t.fetch_ahead && e % kLineFloats == 0) {
        CNNFAST_UNROLL for (int p = 0; p < Pixels; ++p) {
          __builtin_prefetch(base[p / 4] + p % 4 * stride + Pixels * stride);
        }
      }
      Vec panel[Vectors];
      CNNFAST_UNROLL for (int v = 0; v < Vectors; ++v) {
        panel[v] = load(w + v * kLanes);
        __builtin_prefetch(w + kPrefetchFloats + v * kLanes);
      }
      CNNFAST_UNROLL for (int p = 0; p < Pixels; ++p) {
        const float* from = base[p / 4];
        const float value = from[p % 4 == 3 ? stride3 : p % 4 * stride];
        CNNFAST_UNROLL for (int v = 0; v < Vectors; ++v) acc[p][v] = fma(broadcast(value), panel[v], acc[p][v]);
      }
      w += Vectors * kLanes;
      CNNFAST_UNROLL for (int q = 0; q < 4; ++q)++ base[q];
    }
  }
  finish<Pixels, Vectors>(t, y, acc);
}

using TileFunction = void (*)(const ConvTile&, const float*, float*);

constexpr int tile_pixels(int vectors) {
  return kAccumulators / vectors < kMaxTilePixels ? kAccumulators / vectors : kMaxTilePixels;
}

template <int Pixels, int Vectors>
constexpr TileFunction tile_function() {
  if constexpr (Pixels <= tile_pixels(Vectors)) {
    return &tile<Pixels, Vectors>;
  } else {
    return nullptr;
  }
}

#define CNNFAST_TILES(V)                                                                           \
  {tile_function<1, V>(),  tile_function<2, V>(),  tile_function<3, V>(),  tile_function<4, V>(),  \
   tile_function<5, V>(),  tile_function<6, V>(),  tile_function<7, V>(),  tile_function<8, V>(),  \
   tile_function<9, V>(),  tile_function<10, V>(), tile_function<11, V>(), tile_function<12, V>(), \
   tile_function<13, V>(), tile_function<14, V>()}
constexpr TileFunction kTiles[kMaxPanelVectors][kMaxTilePixels] = {CNNFAST_TILES(1), CNNFAST_TILES(2), CNNFAST_TILES(3),
                                                                   CNNFAST_TILES(4)};
#undef CNNFAST_TILES

}  // namespace

void conv_tile(const ConvTile& t) {
  const int64_t most = tile_pixels(t.vectors);
  if (t.pixels <= most) {
    if (t.pixels > 0) kTiles[t.vectors - 1][t.pixels - 1](t, t.x, t.y);
    return;
  }
  // Balanced tiles: 28 pixels in tiles of at most 9 are 7 + 7 + 7 + 7, not 9 + 9 + 9 + 1.
  const int64_t tiles = (t.pixels + most - 1) / most;
  int64_t p = 0;
  for (int64_t i = 0; i < tiles; ++i) {
    const int64_t pixels = t.pixels / tiles + (i < t.pixels % tiles);
    kTiles[t.vectors - 1][pixels - 1](t, t.x + p * t.x_pixel, t.y + p * t.y_pixel);
    p += pixels;
  }
}

}  // namespace cnnfast::CNNFAST_ISA
