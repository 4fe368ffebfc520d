// Convolutions of few channels a group: vectors run along the channels of several groups, of all where it is depthwise.
#include "kernels/grouped.h"

#include "kernels/bent.h"
#include "simd/vec.h"

namespace cnnfast::CNNFAST_ISA {
namespace {

template <bool kWhole>
CNNFAST_INLINE Vec load_block(const float* p, int lanes) {
  return kWhole ? load(p) : load_partial(p, lanes);
}

template <bool kWhole>
CNNFAST_INLINE void store_block(float* p, Vec v, int lanes) {
  if (kWhole) {
    store(p, v);
  } else {
    store_partial(p, v, lanes);
  }
}

template <bool kPermuted, bool kWhole>
CNNFAST_INLINE Vec load_permuted(const float* p, int lanes, IntVec places) {
  const Vec value = load_block<kWhole>(p, lanes);
  return kPermuted ? permute(value, places) : value;
}

// Depthwise, vectors of half a cache line are taken in pairs: a line is met once, and not in two passes over pixels
// that often lie so far apart that they share cache sets.
constexpr int kSideBySide = kVectorBytes < 64 ? 2 : 1;

// The inner loops of a row. Neighbouring windows share inputs where they are `kStep` taps apart: then `kTaps` taps are
// taken together, and each input is loaded and permuted once for all of them. Where kStep is 0 they share nothing.
template <int kTaps, int kStep, bool kPermuted>
struct RowLoops {
  template <bool kWhole, int kVectors, int kPixels>
  CNNFAST_INLINE void add_tap(const GroupedRow& t, const float* x, const float* w, int lanes, IntVec places,
                              Vec (&acc)[kVectors][kPixels]) {
    CNNFAST_UNROLL for (int v = 0; v < kVectors; ++v) {
      const Vec weight = load(w + v * t.w_block);
      const float* from = x + v * kLanes;
      CNNFAST_UNROLL for (int p = 0; p < kPixels; ++p) {
        acc[v][p] = fma(load_permuted<kPermuted, kWhole>(from, lanes, places), weight, acc[v][p]);
        from += t.x_pixel;
      }
    }
  }

  template <bool kWhole, int kVectors, int kPixels>
  CNNFAST_INLINE void add_taps(const GroupedRow& t, const float* x, const float* w, int lanes, IntVec places,
                               Vec (&acc)[kVectors][kPixels]) {
    Vec weight[kVectors][kTaps];
    CNNFAST_UNROLL for (int v = 0; v < kVectors; ++v) {
      CNNFAST_UNROLL for (int i = 0; i < kTaps; ++i) weight[v][i] = load(w + v * t.w_block + i * kLanes);
    }
    CNNFAST_UNROLL for (int column = 0; column < (kPixels - 1) * kStep + kTaps; ++column) {
      CNNFAST_UNROLL for (int v = 0; v < kVectors; ++v) {
        const Vec value = in_register(load_permuted<kPermuted, kWhole>(x + v * kLanes, lanes, places));
        CNNFAST_UNROLL for (int i = 0; i < kTaps; ++i) {
          const int place = column - i;
          if (place >= 0 && place % kStep == 0 && place / kStep < kPixels) {
            acc[v][place / kStep] = fma(value, weight[v][i], acc[v][place / kStep]);
          }
        }
      }
      x += t.x_tap;
    }
  }

  template <bool kWhole, int kVectors, int kPixels>
  CNNFAST_INLINE void add_row(const GroupedRow& t, const float* x, const float* w, int lanes, IntVec places,
                              Vec (&acc)[kVectors][kPixels]) {
    int tap = 0;
    if constexpr (kStep > 0) {
      for (; tap + kTaps <= t.taps; tap += kTaps) {
        add_taps<kWhole>(t, x + tap * t.x_tap, w + tap * kLanes, lanes, places, acc);
      }
    }
    for (; tap < t.taps; ++tap) add_tap<kWhole>(t, x + tap * t.x_tap, w + tap * kLanes, lanes, places, acc);
  }

  // The last row of x of pixels to come, and where their results go: both are usually met for the first time.
  template <int kPixels>
  CNNFAST_INLINE void fetch_ahead(const GroupedRow& t, const float* corner, float* y, int ahead) {
    if (t.row_count == 0) return;
    const float* x = corner + t.rows[t.row_count - 1].x + ahead * t.x_pixel;
    y += ahead * t.y_pixel;
    CNNFAST_UNROLL for (int i = 0; i < kPixels; ++i) {
      __builtin_prefetch(y + i * t.y_pixel, 1);
      __builtin_prefetch(x + i * t.x_pixel);
    }
  }

  // `kVectors` blocks of channels from `b` on, of `kPixels` pixels from `p` on.
  template <int kPixels, int kVectors, bool kWhole>
  CNNFAST_INLINE void block(const GroupedRow& t, int64_t p, int ahead, int64_t b, int in, int out) {
    Vec acc[kVectors][kPixels];
    const int64_t k = b * t.blocks.block_out;
    CNNFAST_UNROLL for (int v = 0; v < kVectors; ++v) {
      const Vec first = t.bias == nullptr ? zero() : load_block<kWhole>(t.bias + k + v * kLanes, out);
      CNNFAST_UNROLL for (int i = 0; i < kPixels; ++i) acc[v][i] = first;
    }
    const float* corner = t.x + p * t.x_pixel + b * t.blocks.block_in;
    for (int r = 0; r < t.row_count; ++r) {
      const float* x = corner + t.rows[r].x;
      const float* w = t.w + b * t.w_block + t.rows[r].w;
      if constexpr (kPermuted) {
        IntVec places = load_int(t.blocks.places);
        for (int c = 0; c < t.group_channels; ++c) {
          add_row<kWhole>(t, x, w, in, places, acc);
          w += t.w_channel;
          places += 1;
        }
      } else {
        add_row<kWhole>(t, x, w, in, IntVec{}, acc);
      }
    }
    float* y = t.y + p * t.y_pixel + k;
    fetch_ahead<kPixels>(t, corner, y, ahead);
    CNNFAST_UNROLL for (int i = 0; i < kPixels; ++i) {
      CNNFAST_UNROLL for (int v = 0; v < kVectors; ++v) {
        store_block<kWhole>(y + v * kLanes, bend(t.activation, t.alpha, acc[v][i]), out);
      }
      y += t.y_pixel;
    }
  }

  // All channels of a few pixels before the next ones: what is read and written is nearly contiguous.
  template <int kPixels>
  static void pixels(const GroupedRow& row, int64_t p) {
    const GroupedRow t = row;  // a local copy: stores to y cannot change it
    int64_t b = 0;
    if constexpr (kSideBySide > 1 && !kPermuted) {
      constexpr int kTile = kPixels > 4 ? 4 : kPixels;
      for (; b + kSideBySide <= t.blocks.whole; b += kSideBySide) {
        for (int i = 0; i < kPixels; i += kTile) {
          block<kTile, kSideBySide, true>(t, p + i, kPixels, b, kLanes, kLanes);
        }
      }
    }
    for (; b < t.blocks.whole; ++b) block<kPixels, 1, true>(t, p, kPixels, b, kLanes, kLanes);
    for (; b < t.blocks.count; ++b) {
      const bool last = b == t.blocks.count - 1;
      block<kPixels, 1, false>(t, p, kPixels, b, last ? t.blocks.last_in : t.blocks.block_in,
                               last ? t.blocks.last_out : t.blocks.block_out);
    }
  }

  static void run(const GroupedRow& t) {
    int64_t p = 0;
    for (; p + 8 <= t.pixels; p += 8) pixels<8>(t, p);
    const int64_t left = t.pixels - p;
    if (left == 0) return;
    // The last ones together with some that are done already, which come out the same.
    if (left > 4 && t.pixels >= 8) return pixels<8>(t, t.pixels - 8);
    if (left > 4) pixels<4>(t, p);
    if (t.pixels >= 4) return pixels<4>(t, t.pixels - 4);
    for (; p < t.pixels; ++p) pixels<1>(t, p);
  }
};

template <bool kPermuted>
CNNFAST_INLINE void run_row(const GroupedRow& t) {
  if (t.x_pixel == t.x_tap && t.taps >= 3) return RowLoops<3, 1, kPermuted>::run(t);
  if (t.x_pixel == t.x_tap && t.taps == 2) return RowLoops<2, 1, kPermuted>::run(t);
  if (t.x_pixel == 2 * t.x_tap && t.taps >= 3) return RowLoops<3, 2, kPermuted>::run(t);
  RowLoops<1, 0, kPermuted>::run(t);
}

// ---- the gradient to the weights

constexpr int kMostTaps = 9;
// Channels of the output whose sums stay in registers side by side, sharing the loads of x.
constexpr int kChannelsAtOnce = kAccumulators >= 2 * kMostTaps ? 2 : 1;

template <bool kWhole>
CNNFAST_INLINE void sum_pixels(const GroupedWeights& t, int64_t b, int out) {
  Vec even = load(t.db + b * kLanes), odd = zero();
  for (int64_t r = 0; r < t.rows; ++r) {
    const float* dy = t.dy + r * t.dy_row + b * t.blocks.block_out;
    int64_t c = 0;
    for (; c + 2 <= t.cols; c += 2, dy += 2 * t.dy_pixel) {
      even += load_block<kWhole>(dy, out);
      odd += load_block<kWhole>(dy + t.dy_pixel, out);
    }
    if (c < t.cols) even += load_block<kWhole>(dy, out);
  }
  store(t.db + b * kLanes, even + odd);
}

// `kTaps` taps of `kChannels` channels of one block stay in registers over all pixels.
template <int kTaps, int kChannels, bool kPermuted, bool kWhole>
CNNFAST_INLINE void gradient_taps(const GroupedWeights& t, int64_t b, int k, int first, int in, int out) {
  Vec acc[kChannels][kTaps];
  const float* x[kTaps];
  const TapPlace* taps = t.taps + first;
  float* dw = t.dw + b * t.dw_block + k * t.dw_channel;
  CNNFAST_UNROLL for (int i = 0; i < kTaps; ++i) {
    CNNFAST_UNROLL for (int j = 0; j < kChannels; ++j) acc[j][i] = load(dw + j * t.dw_channel + taps[i].dw);
    x[i] = t.x + b * t.blocks.block_in + taps[i].x;
  }
  const IntVec places = kPermuted ? load_int(t.blocks.places) + k : IntVec{};
  Vec sum = zero();
  for (int64_t r = 0; r < t.rows; ++r) {
    const float* dy = t.dy + r * t.dy_row + b * t.blocks.block_out;
    int64_t place = r * t.x_row;
    for (int64_t c = 0; c < t.cols; ++c) {
      Vec gradient[kChannels];
      CNNFAST_UNROLL for (int j = 0; j < kChannels; ++j) {
        gradient[j] = load_permuted<kPermuted, kWhole>(dy, out, places + j);
      }
      if constexpr (!kPermuted) sum += gradient[0];
      CNNFAST_UNROLL for (int i = 0; i < kTaps; ++i) {
        Vec value = load_block<kWhole>(x[i] + place, in);
        if constexpr (kChannels > 1) value = in_register(value);  // loaded once for all of them
        CNNFAST_UNROLL for (int j = 0; j < kChannels; ++j) acc[j][i] = fma(value, gradient[j], acc[j][i]);
      }
      dy += t.dy_pixel;
      place += t.x_pixel;
    }
  }
  CNNFAST_UNROLL for (int i = 0; i < kTaps; ++i) {
    CNNFAST_UNROLL for (int j = 0; j < kChannels; ++j) store(dw + j * t.dw_channel + taps[i].dw, acc[j][i]);
  }
  if constexpr (!kPermuted) {
    float* db = t.db + b * kLanes;
    if (t.db != nullptr && first == 0) store(db, load(db) + sum);
  }
}

template <int kTaps, bool kPermuted, bool kWhole>
CNNFAST_INLINE void gradient_block(const GroupedWeights& t, int64_t b, int first, int in, int out) {
  int k = 0;
  if constexpr (kPermuted) {
    if (t.db != nullptr && first == 0) sum_pixels<kWhole>(t, b, out);
  }
  if constexpr (kPermuted && kChannelsAtOnce > 1) {
    for (; k + kChannelsAtOnce <= t.group_channels; k += kChannelsAtOnce) {
      gradient_taps<kTaps, kChannelsAtOnce, kPermuted, kWhole>(t, b, k, first, in, out);
    }
  }
  for (; k < t.group_channels; ++k) gradient_taps<kTaps, 1, kPermuted, kWhole>(t, b, k, first, in, out);
}

template <int kTaps, bool kPermuted>
void gradient_blocks(const GroupedWeights& weights, int first) {
  const GroupedWeights t = weights;  // a local copy: stores to dw cannot change it
  int64_t b = 0;
  for (; b < t.blocks.whole; ++b) gradient_block<kTaps, kPermuted, true>(t, b, first, kLanes, kLanes);
  for (; b < t.blocks.count; ++b) {
    const bool last = b == t.blocks.count - 1;
    gradient_block<kTaps, kPermuted, false>(t, b, first, last ? t.blocks.last_in : t.blocks.block_in,
                                            last ? t.blocks.last_out : t.blocks.block_out);
  }
}

// Windows beside the input have no taps, but their dy counts.
void sum_blocks(const GroupedWeights& t) {
  for (int64_t b = 0; b < t.blocks.count; ++b) {
    const int out = b == t.blocks.count - 1 ? t.blocks.last_out : t.blocks.block_out;
    sum_pixels<false>(t, b, out);
  }
}

using GradientFunction = void (*)(const GroupedWeights&, int);

#define CNNFAST_GRADIENTS(P)                                               \
  {&gradient_blocks<1, P>, &gradient_blocks<2, P>, &gradient_blocks<3, P>, \
   &gradient_blocks<4, P>, &gradient_blocks<5, P>, &gradient_blocks<6, P>, \
   &gradient_blocks<7, P>, &gradient_blocks<8, P>, &gradient_blocks<9, P>}
constexpr GradientFunction kGradients[2][kMostTaps] = {CNNFAST_GRADIENTS(false), CNNFAST_GRADIENTS(true)};
#undef CNNFAST_GRADIENTS

}  // namespace

void grouped_row(const GroupedRow& t) {
  if (t.blocks.places != nullptr) {
    run_row<true>(t);
  } else {
    run_row<false>(t);
  }
}

void grouped_weights(const GroupedWeights& t) {
  if (t.tap_count == 0 && t.db != nullptr) sum_blocks(t);
  for (int first = 0; first < t.tap_count; first += kMostTaps) {
    const int taps = t.tap_count - first < kMostTaps ? t.tap_count - first : kMostTaps;
    kGradients[t.blocks.places != nullptr][taps - 1](t, first);
  }
}

}  // namespace cnnfast::CNNFAST_ISA
