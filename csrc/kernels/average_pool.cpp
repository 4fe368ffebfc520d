// Average pooling. Where windows share rows or are few channels wide, rows are added up over depth and height first.
#include "kernels/windows.h"

namespace cnnfast::CNNFAST_ISA {
namespace {

// The average over a window; load(offset) gives the values `offset` floats after the corner in its first row and depth.
template <int kTaps, typename Load>
CNNFAST_INLINE Vec average(const PoolRow& r, const Span& taps, float scale, Load load) {
  const int64_t tap_step = r.width.dilation * r.channels;
  Vec total = zero();
  for (int64_t d = r.depth.begin; d < r.depth.end; ++d) {
    const int64_t plane = (r.depth.start + d * r.depth.dilation) * r.plane;
    for (int64_t h = r.height.begin; h < r.height.end; ++h) {
      const int64_t line = plane + (r.height.start + h * r.height.dilation) * r.row;
      for_each_tap<kTaps>(taps, [&](int64_t t) { total += load(line + t * tap_step); });
    }
  }
  return total * broadcast(scale);
}

CNNFAST_INLINE float share_of_window(const AveragePoolRow& a, const Span& taps) {
  return 1.0f / (a.divisor * static_cast<float>(a.divide_by_width_taps ? taps.end - taps.begin : 1));
}

template <int kTaps>
CNNFAST_INLINE void average_pixel(const PoolRow& r, const AveragePoolRow& a, int64_t o, const Span& taps,
                                  const float* x, float* y) {
  const float* corner = x + (o * r.width.stride - r.width.pad_before) * r.channels;
  const float scale = share_of_window(a, taps);
  for_each_vector(r.channels, [&](int64_t c, int lanes) {
    const Vec v =
        average<kTaps>(r, taps, scale, [&](int64_t offset) { return load_lanes(corner + offset + c, lanes); });
    store_lanes(y + o * r.channels + c, v, lanes);
  });
}

template <int kTaps>
CNNFAST_INLINE void average_row(const PoolRow& r, const AveragePoolRow& a, const float* x, float* y) {
  const Span whole = whole_windows(r.width, r.begin, r.end, 0, r.width.in);
  const auto clipped = [&](int64_t from, int64_t to) {
    for (int64_t o = from; o < to; ++o) {
      const int64_t start = o * r.width.stride - r.width.pad_before;
      average_pixel<0>(r, a, o, taps_within(r.width, start, 0, r.width.in), x, y);
    }
  };
  const Span taps{0, r.width.window};
  clipped(r.begin, whole.begin);
  if (r.offsets != nullptr) {
    const float* corner = x + (whole.begin * r.width.stride - r.width.pad_before) * r.channels;
    const float scale = share_of_window(a, taps);
    for_each_vector((whole.end - whole.begin) * r.channels, [&](int64_t i, int lanes) {
      const Vec v =
          average<kTaps>(r, taps, scale, [&](int64_t offset) { return gather(corner + offset, r.offsets + i, lanes); });
      store_lanes(y + whole.begin * r.channels + i, v, lanes);
    });
  } else {
    for (int64_t o = whole.begin; o < whole.end; ++o) average_pixel<kTaps>(r, a, o, taps, x, y);
  }
  clipped(whole.end, r.end);
}

// Few channels and windows that overlap: a partial vector stored and loaded again at once would stall, single values do
// not.
template <typename ShareOf>
CNNFAST_INLINE void add_narrow(const PoolGradientRow& row, ShareOf share_of, const float* dy, float* dx) {
  const PoolGradientRow r = row;  // a local copy: stores to dx cannot change it
  const Span reaching = r.reaching;
  for (int64_t o = reaching.begin; o < reaching.end; ++o) {
    const int64_t start = o * r.width.stride - r.width.pad_before;
    const Span taps = taps_within(r.width, start, r.begin, r.end);
    const float share = share_of(o, taps);
    for (int64_t c = 0; c < r.channels; ++c) {
      const float d = dy[o * r.channels + c] * share;
      float* to = dx + start * r.channels + c;
      for (int64_t t = taps.begin; t < taps.end; ++t) to[t * r.width.dilation * r.channels] += d;
    }
  }
}

}  // namespace

void add_pool_rows(const PoolRow& r, const float* x, float* sums) {
  for_each_vector(r.width.in * r.channels, [&](int64_t i, int lanes) {
    Vec total = zero();
    for (int64_t d = r.depth.begin; d < r.depth.end; ++d) {
      const float* plane = x + (r.depth.start + d * r.depth.dilation) * r.plane;
      for (int64_t h = r.height.begin; h < r.height.end; ++h) {
        total += load_lanes(plane + (r.height.start + h * r.height.dilation) * r.row + i, lanes);
      }
    }
    store_lanes(sums + i, total, lanes);
  });
}

void average_pool_row(const PoolRow& r, const AveragePoolRow& a, const float* x, float* y) {
  switch (r.width.window) {
    case 2:
      return average_row<2>(r, a, x, y);
    case 3:
      return average_row<3>(r, a, x, y);
    default:
      return average_row<0>(r, a, x, y);
  }
}

void add_scaled(float scale, const float* x, bool accumulate, float* y, int64_t count) {
  for_each_vector(count, [&](int64_t i, int lanes) {
    const Vec v = load_lanes(x + i, lanes) * broadcast(scale);
    store_lanes(y + i, accumulate ? load_lanes(y + i, lanes) + v : v, lanes);
  });
}

void average_pool_gradient_row(const PoolGradientRow& r, PoolOutputRow out, const AveragePoolRow& a, const float* dy,
                               float* dx) {
  const float share_of_whole = share_of_window(a, {0, r.width.window});
  // Not the taps in this piece of dx but those inside the array share the gradient.
  const auto share_of = [&](int64_t o, const Span& taps) {
    if (taps.end - taps.begin == r.width.window) return share_of_whole;
    return share_of_window(a, taps_within(r.width, o * r.width.stride - r.width.pad_before, 0, r.width.in));
  };
  if (r.channels < kLanes && r.accumulate) return add_narrow(r, share_of, dy, dx);
  const auto share_in_pixel = [&](int64_t o, int64_t c, int lanes, const Span& taps) {
    const Vec share = load_lanes(dy + o * r.channels + c, lanes) * broadcast(share_of(o, taps));
    return [share](int64_t) { return share; };
  };
  const auto across = [&](int64_t from, int64_t left, IntVec places, IntVec taps) {
    return select(taps >= 0, pick_from(dy + from, left, places) * share_of_whole, zero());
  };
  spread_row_unrolled(r, out.left, dx, share_in_pixel, across);
}

}  // namespace cnnfast::CNNFAST_ISA
