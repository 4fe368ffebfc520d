// Depthwise convolution: every channel has its own window, vectors run along the channels.
#include "kernels/bent.h"
#include "kernels/conv.h"
#include "simd/vec.h"

namespace cnnfast::CNNFAST_ISA {
namespace {

// Several pixels share each load of a weight.
template <int Pixels>
CNNFAST_INLINE void pixels_of_channels(const DepthwiseTile& t, int64_t p, int64_t c, int lanes) {
  Vec acc[Pixels];
  const Vec first = t.bias != nullptr ? load_lanes(t.bias + c, lanes) : zero();
  CNNFAST_UNROLL for (int i = 0; i < Pixels; ++i) acc[i] = first;
  const float* x = t.x + p * t.x_pixel + c;
  for (int tap = 0; tap < t.tap_count; ++tap) {
    const Vec w = load_lanes(t.w + tap * t.w_tap + c, lanes);
    const float* from = x + t.taps[tap];
    CNNFAST_UNROLL for (int i = 0; i < Pixels; ++i) acc[i] = fma(load_lanes(from + i * t.x_pixel, lanes), w, acc[i]);
  }
  float* y = t.y + p * t.y_pixel + c;
  CNNFAST_UNROLL for (int i = 0; i < Pixels; ++i)
      store_lanes(y + i * t.y_pixel, bend(t.activation, t.alpha, acc[i]), lanes);
}

constexpr int kPixels = 6;  // accumulators, a weight and a value stay within sixteen registers
constexpr int kTaps = 9;

// Up to `kTaps` taps of the gradient stay in registers over a row of pixels.
template <int Taps>
CNNFAST_INLINE void taps_of_channels(const DepthwiseWeightsTile& t, int tap, int64_t c, int lanes) {
  Vec acc[Taps];
  const float* x[Taps];
  CNNFAST_UNROLL for (int i = 0; i < Taps; ++i) {
    acc[i] = load_lanes(t.dw + (tap + i) * t.channels + c, lanes);
    x[i] = t.x + t.taps[tap + i] + c;
  }
  for (int64_t p = 0; p < t.pixels; ++p) {
    const Vec dy = load_lanes(t.dy + p * t.dy_pixel + c, lanes);
    CNNFAST_UNROLL for (int i = 0; i < Taps; ++i) acc[i] = fma(load_lanes(x[i] + p * t.x_pixel, lanes), dy, acc[i]);
  }
  CNNFAST_UNROLL for (int i = 0; i < Taps; ++i) store_lanes(t.dw + (tap + i) * t.channels + c, acc[i], lanes);
}

}  // namespace

void depthwise_tile(const DepthwiseTile& t) {
  for_each_vector(t.channels, [&](int64_t c, int lanes) {
    int64_t p = 0;
    for (; p + kPixels <= t.pixels; p += kPixels) pixels_of_channels<kPixels>(t, p, c, lanes);
    for (; p < t.pixels; ++p) pixels_of_channels<1>(t, p, c, lanes);
  });
}

void depthwise_weights_tile(const DepthwiseWeightsTile& t) {
  for_each_vector(t.channels, [&](int64_t c, int lanes) {
    int tap = 0;
    for (; tap + kTaps <= t.tap_count; tap += kTaps) taps_of_channels<kTaps>(t, tap, c, lanes);
    for (; tap < t.tap_count; ++tap) taps_of_channels<1>(t, tap, c, lanes);
  });
}

}  // namespace cnnfast::CNNFAST_ISA
