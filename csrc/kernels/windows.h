// Where windows lie along the width, and how vectors run over a row of them. For the pooling kernels alone.
#pragma once

#include "kernels/pool.h"
#include "simd/vec.h"

namespace cnnfast::CNNFAST_ISA {

struct Span {
  int64_t begin;
  int64_t end;
};

CNNFAST_INLINE int64_t at_least(int64_t a, int64_t b) { return a > b ? a : b; }
CNNFAST_INLINE int64_t at_most(int64_t a, int64_t b) { return a < b ? a : b; }
CNNFAST_INLINE int64_t quotient_up(int64_t a, int64_t b) { return a <= 0 ? 0 : (a + b - 1) / b; }

CNNFAST_INLINE int64_t reach(const PoolWidth& w) { return (w.window - 1) * w.dilation + 1; }

// The taps of the window at `start` that fall into [begin, end).
CNNFAST_INLINE Span taps_within(const PoolWidth& w, int64_t start, int64_t begin, int64_t end) {
  if (start >= begin && start + reach(w) <= end) return {0, w.window};
  return {quotient_up(begin - start, w.dilation), at_most(w.window, quotient_up(end - start, w.dilation))};
}

// Of the outputs [begin, end), those whose whole window falls into the inputs [first, last).
CNNFAST_INLINE Span whole_windows(const PoolWidth& w, int64_t begin, int64_t end, int64_t first, int64_t last) {
  const int64_t room = last - reach(w) + w.pad_before;
  const int64_t from = at_least(begin, at_most(end, quotient_up(first + w.pad_before, w.stride)));
  return {from, at_least(from, at_most(end, room < 0 ? 0 : room / w.stride + 1))};
}

// The outputs whose windows reach into the inputs [first, last).
CNNFAST_INLINE Span windows_reaching(const PoolWidth& w, int64_t first, int64_t last) {
  const int64_t from = quotient_up(first + w.pad_before - reach(w) + 1, w.stride);
  return {from, at_least(from, at_most(w.out, (last - 1 + w.pad_before) / w.stride + 1))};
}

// A compile-time number of taps where there is one (0: the span's own), so that the loop over them unrolls.
template <int kTaps, typename Body>
CNNFAST_INLINE void for_each_tap(const Span& taps, Body body) {
  if (kTaps > 0) {
    CNNFAST_UNROLL for (int t = 0; t < kTaps; ++t) body(static_cast<int64_t>(t));
  } else {
    for (int64_t t = taps.begin; t < taps.end; ++t) body(t);
  }
}

// Spreads each output's value over its window in a row of dx: share_of(output, channel, lanes, taps) gives what tells a
// tap's share, as a function of the tap.
template <int kTaps, bool kAccumulate, typename ShareOf>
CNNFAST_INLINE void spread_pixel(const PoolGradientRow& r, int64_t o, const Span& taps, float* dx, ShareOf share_of) {
  const int64_t tap_step = r.width.dilation * r.channels;
  float* corner = dx + (o * r.width.stride - r.width.pad_before) * r.channels;
  for_each_vector(r.channels, [&](int64_t c, int lanes) {
    const auto share = share_of(o, c, lanes, taps);
    for_each_tap<kTaps>(taps, [&](int64_t t) {
      float* to = corner + t * tap_step + c;
      store_lanes(to, kAccumulate ? load_lanes(to, lanes) + share(t) : share(t), lanes);
    });
  });
}

template <int kTaps, bool kAccumulate, typename ShareOf>
CNNFAST_INLINE void spread_row(const PoolGradientRow& r, float* dx, ShareOf share_of) {
  const Span reaching = windows_reaching(r.width, r.begin, r.end);
  const Span whole = whole_windows(r.width, reaching.begin, reaching.end, r.begin, r.end);
  int64_t written = r.begin;  // inputs before this one are done
  const auto clear_gap = [&](int64_t until) {
    if (kAccumulate || until <= written) return;
    for_each_vector((until - written) * r.channels,
                    [&](int64_t i, int lanes) { store_lanes(dx + written * r.channels + i, zero(), lanes); });
  };
  const auto clipped = [&](int64_t from, int64_t to) {
    for (int64_t o = from; o < to; ++o) {
      const int64_t start = o * r.width.stride - r.width.pad_before;
      clear_gap(start);
      spread_pixel<0, kAccumulate>(r, o, taps_within(r.width, start, r.begin, r.end), dx, share_of);
      written = at_most(r.end, start + r.width.window);
    }
  };
  clipped(reaching.begin, whole.begin);
  for (int64_t o = whole.begin; o < whole.end; ++o) {
    const int64_t start = o * r.width.stride - r.width.pad_before;
    clear_gap(start);
    spread_pixel<kTaps, kAccumulate>(r, o, {0, r.width.window}, dx, share_of);
    written = start + r.width.window;
  }
  clipped(whole.end, reaching.end);
  clear_gap(r.end);
}

template <int kTaps, typename ShareOf>
CNNFAST_INLINE void spread_row(const PoolGradientRow& r, float* dx, ShareOf share_of) {
  if (r.accumulate) {
    spread_row<kTaps, true>(r, dx, share_of);
  } else {
    spread_row<kTaps, false>(r, dx, share_of);
  }
}

// As above, with the usual window sizes unrolled.
template <typename ShareOf>
CNNFAST_INLINE void spread_row_unrolled(const PoolGradientRow& r, float* dx, ShareOf share_of) {
  switch (r.width.window) {
    case 2:
      return spread_row<2>(r, dx, share_of);
    case 3:
      return spread_row<3>(r, dx, share_of);
    default:
      return spread_row<0>(r, dx, share_of);
  }
}

}  // namespace cnnfast::CNNFAST_ISA
