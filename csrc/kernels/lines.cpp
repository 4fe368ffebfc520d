// Convolutions with few outputs, a vector of pixels at a time.
#include "kernels/lines.h"

#include "simd/vec.h"

namespace cnnfast::CNNFAST_ISA {
namespace {

// One row of sums, a vector for each output, to its pixels.
template <int kOutputs>
CNNFAST_INLINE void write_row(const LineTile& t, const Vec* sums, float* y) {
  float across[kOutputs * kLanes];
  CNNFAST_UNROLL for (int c = 0; c < kOutputs; ++c) store(across + c * kLanes, sums[c]);
  if (t.y_pixel == kOutputs) {
    for_each_vector(t.pixels * kOutputs, [&](int64_t i, int lanes) CNNFAST_INLINE_LAMBDA {
      store_lanes(y + i, gather(across, t.places + i, lanes), lanes);
    });
    return;
  }
  for (int p = 0; p < t.pixels; ++p) {
    CNNFAST_UNROLL for (int c = 0; c < kOutputs; ++c) y[p * t.y_pixel + c] = across[c * kLanes + p];
  }
}

template <int kOutputs>
void tile(const LineTile& arguments) {
  constexpr int kRows = line_rows(kOutputs, kAccumulators);
  const LineTile t = arguments;  // a local copy: stores to y cannot change it
  Vec sums[kRows][kOutputs];
  CNNFAST_UNROLL for (int r = 0; r < kRows; ++r) {
    CNNFAST_UNROLL for (int c = 0; c < kOutputs; ++c) sums[r][c] = t.bias == nullptr ? zero() : broadcast(t.bias[c]);
  }
  const float* w = t.w;
  for (int k = 0; k < t.channels; ++k) {
    const float* channel = t.x + k * t.x_channel;
    for (int tap = 0; tap < t.tap_count; ++tap, w += kOutputs) {
      const float* x = channel + t.taps[tap];
      Vec weights[kOutputs];
      CNNFAST_UNROLL for (int c = 0; c < kOutputs; ++c) weights[c] = in_register(broadcast(w[c]));
      CNNFAST_UNROLL for (int r = 0; r < kRows; ++r) {
        const Vec v = in_register(load(x + r * t.x_row));
        CNNFAST_UNROLL for (int c = 0; c < kOutputs; ++c) sums[r][c] = fma(v, weights[c], sums[r][c]);
      }
    }
  }
  CNNFAST_UNROLL for (int r = 0; r < kRows; ++r) {
    if (r < t.rows) write_row<kOutputs>(t, sums[r], t.y + r * t.y_row);
  }
}

}  // namespace

void line_tile(const LineTile& t) {
  switch (t.outputs) {
    case 1:
      return tile<1>(t);
    case 2:
      return tile<2>(t);
    case 3:
      return tile<3>(t);
    case 4:
      return tile<4>(t);
    case 5:
      return tile<5>(t);
    case 6:
      return tile<6>(t);
    case 7:
      return tile<7>(t);
    default:
      return tile<8>(t);
  }
}

}  // namespace cnnfast::CNNFAST_ISA
