// Convolutions with few outputs, a vector of pixels at a time.
#include "kernels/lines.h"

#include "kernels/window_maximum.h"
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

template <int kOutputs>
struct PoolSums {
  Vec at[2][2][kOutputs];  // [row][half of the pixels]

  // What a tap of the windows sees, a pooled pixel in each lane.
  CNNFAST_INLINE_LAMBDA Vec tap(int t, int output) const {
    return pick(at[t / 2][0][output], at[t / 2][1][output], 2 * lane_index() + t % 2);
  }
};

// The maxima, a vector for each output, and their taps.
template <typename Bend, int kOutputs>
CNNFAST_INLINE void pool_sums(const PoolSums<kOutputs>& sums, float alpha, float* values, float* winners) {
  // NaN where any sum is one, and perhaps where sums are infinite.
  Vec total = zero();
  CNNFAST_UNROLL for (int c = 0; c < kOutputs; ++c) {
    total += (sums.at[0][0][c] + sums.at[0][1][c]) + (sums.at[1][0][c] + sums.at[1][1][c]);
  }
  const bool odd = any(is_nan(total));
  CNNFAST_UNROLL for (int c = 0; c < kOutputs; ++c) {
    const auto value = [&sums, c](int t) CNNFAST_INLINE_LAMBDA { return sums.tap(t, c); };
    const Maximum m =
        __builtin_expect(odd, 0) ? first_odd_or_maximum<Bend>(alpha, value) : first_maximum<Bend>(alpha, value);
    store(values + c * kLanes, m.best);
    store(winners + c * kLanes, (Vec)m.winner);
  }
}

template <int kOutputs>
void pool_tile(const LinePoolTile& arguments) {
  const LinePoolTile p = arguments;  // a local copy: stores to y cannot change it
  const LineTile& t = p.line;
  PoolSums<kOutputs> sums;
  CNNFAST_UNROLL for (int i = 0; i < 4 * kOutputs; ++i) {
    const int c = i / 4;
    sums.at[i / 2 % 2][i % 2][c] = t.bias == nullptr ? zero() : broadcast(t.bias[c]);
  }
  const float* w = t.w;
  for (int k = 0; k < t.channels; ++k) {
    const float* channel = t.x + k * t.x_channel;
    for (int tap = 0; tap < t.tap_count; ++tap, w += kOutputs) {
      const float* x = channel + t.taps[tap];
      Vec v[2][2];
      CNNFAST_UNROLL for (int i = 0; i < 4; ++i) v[i / 2][i % 2] =
          in_register(load(x + i / 2 * t.x_row + i % 2 * kLanes));
      CNNFAST_UNROLL for (int c = 0; c < kOutputs; ++c) {
        const Vec weight = in_register(broadcast(w[c]));
        CNNFAST_UNROLL for (int i = 0; i < 4; ++i) {
          sums.at[i / 2][i % 2][c] = fma(v[i / 2][i % 2], weight, sums.at[i / 2][i % 2][c]);
        }
      }
    }
  }
  float values[kOutputs * kLanes], winners[kOutputs * kLanes];
  for_bend(p.activation,
           [&](auto bend) CNNFAST_INLINE_LAMBDA { pool_sums<decltype(bend)>(sums, p.alpha, values, winners); });
  for_each_vector(t.pixels * kOutputs, [&](int64_t i, int lanes) CNNFAST_INLINE_LAMBDA {
    store_lanes(t.y + i, gather(values, t.places + i, lanes), lanes);
    if (p.winners != nullptr) store_bytes(p.winners + i, (IntVec)gather(winners, t.places + i, lanes), lanes);
  });
}

using PoolTileFunction = void (*)(const LinePoolTile&);

template <int kOutputs>
constexpr PoolTileFunction pool_tile_function() {
  if constexpr (kOutputs <= line_pool_outputs(kAccumulators)) {
    return &pool_tile<kOutputs>;
  } else {
    return nullptr;
  }
}

constexpr PoolTileFunction kPoolTiles[kMostLinePoolOutputs] = {pool_tile_function<1>(), pool_tile_function<2>(),
                                                               pool_tile_function<3>(), pool_tile_function<4>(),
                                                               pool_tile_function<5>(), pool_tile_function<6>()};

}  // namespace

void line_pool_tile(const LinePoolTile& t) { kPoolTiles[t.line.outputs - 1](t); }

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
