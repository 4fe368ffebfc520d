// Convolution and max pooling in one micro-kernel: the sums of a window of outputs meet in registers, and only their
// maximum is written.
#include "kernels/pooled_conv.h"

#include "kernels/window_maximum.h"

namespace cnnfast::CNNFAST_ISA {
namespace {

constexpr int kMostPixels = kAccumulators / 4;

// The sums of `Pixels` windows: [row of the window][column of the convolution's output].
template <int Pixels>
struct Sums {
  Vec at[2][2 * Pixels];

  CNNFAST_INLINE_LAMBDA Vec tap(int pixel, int t) const { return at[t / 2][2 * pixel + t % 2]; }
};

// In the order of the plain micro-kernel. `Step` is the floats from one output's input to the next one's where it is
// known (else 0): then all are at fixed places from one pointer.
template <int Pixels, int Step>
CNNFAST_INLINE void add_up(const ConvPoolTile& t, const float* x, Sums<Pixels>& sums) {
  constexpr int kColumns = 2 * Pixels;
  const Vec first = t.bias != nullptr ? load_lanes(t.bias, t.channels) : zero();
  CNNFAST_UNROLL for (int h = 0; h < 2; ++h) {
    CNNFAST_UNROLL for (int c = 0; c < kColumns; ++c) sums.at[h][c] = first;
  }
  const float* w = t.w;
  const int64_t stride = Step > 0 ? Step : t.x_pixel, stride3 = 3 * stride;
  for (int r = 0; r < t.run_count; ++r) {
    const float* base[2][4];
    CNNFAST_UNROLL for (int h = 0; h < 2; ++h) {
      CNNFAST_UNROLL for (int q = 0; q < 4; ++q) {
        base[h][q] = x + t.runs[r] + h * t.x_row + (4 * q < kColumns ? 4 * q * stride : 0);
      }
    }
    for (int e = 0; e < t.run_length; ++e, w += kLanes) {
      const Vec panel = in_register(load(w));
      CNNFAST_UNROLL for (int h = 0; h < 2; ++h) {
        base[h][0] = unknown(base[h][0]);
        CNNFAST_UNROLL for (int c = 0; c < kColumns; ++c) {
          const float value = Step > 0 ? base[h][0][c * Step] : base[h][c / 4][c % 4 == 3 ? stride3 : c % 4 * stride];
          sums.at[h][c] = fma(broadcast(value), panel, sums.at[h][c]);
        }
        CNNFAST_UNROLL for (int q = 0; q < 4; ++q)++ base[h][q];
      }
    }
  }
}

template <typename Bend, int Pixels>
CNNFAST_INLINE void finish(const ConvPoolTile& t, const Sums<Pixels>& sums, float* y, uint8_t* winners) {
  // NaN where any sum is one, and perhaps where sums are infinite.
  Vec total = zero();
  CNNFAST_UNROLL for (int p = 0; p < Pixels; ++p) {
    total += (sums.tap(p, 0) + sums.tap(p, 1)) + (sums.tap(p, 2) + sums.tap(p, 3));
  }
  const auto write = [&](int p, const Maximum& m) CNNFAST_INLINE_LAMBDA {
    store_lanes(y + p * t.y_pixel, m.best, t.channels);
    if (winners != nullptr) store_bytes(winners + p * t.y_pixel, m.winner, t.channels);
  };
  const auto values = [&](int p) CNNFAST_INLINE_LAMBDA {
    return [&sums, p](int tap) CNNFAST_INLINE_LAMBDA { return sums.tap(p, tap); };
  };
  if (__builtin_expect(any(is_nan(total)), 0)) {
    CNNFAST_UNROLL for (int p = 0; p < Pixels; ++p) write(p, first_odd_or_maximum<Bend>(t.alpha, values(p)));
  } else {
    CNNFAST_UNROLL for (int p = 0; p < Pixels; ++p) write(p, first_maximum<Bend>(t.alpha, values(p)));
  }
}

template <int Pixels, int Step>
void tile(const ConvPoolTile& arguments, const float* x, float* y, uint8_t* winners) {
  const ConvPoolTile t = arguments;  // a local copy: stores to y cannot change it
  Sums<Pixels> sums;
  add_up<Pixels, Step>(t, x, sums);
  for_bend(t.activation, [&](auto bend) CNNFAST_INLINE_LAMBDA { finish<decltype(bend)>(t, sums, y, winners); });
}

using TileFunction = void (*)(const ConvPoolTile&, const float*, float*, uint8_t*);

template <int Pixels, int Step>
constexpr TileFunction tile_function() {
  if constexpr (Pixels <= kMostPixels) {
    return &tile<Pixels, Step>;
  } else {
    return nullptr;
  }
}

#define CNNFAST_TILES(S)                                                                       \
  {tile_function<1, S>(), tile_function<2, S>(), tile_function<3, S>(), tile_function<4, S>(), \
   tile_function<5, S>(), tile_function<6, S>(), tile_function<7, S>()}
constexpr TileFunction kTiles[2][7] = {CNNFAST_TILES(0), CNNFAST_TILES(1)};
#undef CNNFAST_TILES

}  // namespace

void conv_pool_tile(const ConvPoolTile& t) {
  const int64_t tiles = (t.pixels + kMostPixels - 1) / kMostPixels;
  const auto& of_pixels = kTiles[t.x_pixel == 1];
  int64_t p = 0;
  for (int64_t i = 0; i < tiles; ++i) {
    const int64_t pixels = t.pixels / tiles + (i < t.pixels % tiles);
    of_pixels[pixels - 1](t, t.x + 2 * p * t.x_pixel, t.y + p * t.y_pixel,
                          t.winners == nullptr ? nullptr : t.winners + p * t.y_pixel);
    p += pixels;
  }
}

}  // namespace cnnfast::CNNFAST_ISA
