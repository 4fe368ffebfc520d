// Where windows lie along the width, and how vectors run over a row of them. For the pooling kernels alone.
#pragma once

#include "kernels/pool.h"
#include "simd/vec.h"

namespace cnnfast::CNNFAST_ISA {

using Span = PoolSpan;

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

CNNFAST_INLINE int lanes_left(int64_t left) { return static_cast<int>(at_least(0, at_most(left, kLanes))); }

// The two vectors of dy from `p` on, of which `left` values are there, as `places` picks from them.
CNNFAST_INLINE Vec pick_from(const float* p, int64_t left, IntVec places) {
  if (left >= 2 * kLanes) return pick(load(p), load(p + kLanes), places);
  return pick(load_partial(p, lanes_left(left)), load_partial(p + kLanes, lanes_left(left - kLanes)), places);
}

// Spreads the outputs of `whole` by the table: across(place in dy, values left from there, places, taps) gives a vector
// of dx. Returns the first input behind what is written.
template <typename Across>
CNNFAST_INLINE int64_t spread_across(const PoolGradientRow& r, int64_t left, const Span& whole, float* dx,
                                     Across across) {
  const PoolSpread s = *r.spread;
  const int64_t until = at_most(r.end, whole.end * r.width.stride - r.width.pad_before);
  int64_t to = (whole.begin * r.width.stride - r.width.pad_before) * r.channels;
  const int64_t end = until * r.channels, step = kLanes * r.channels, last = whole.end * r.channels;
  // What is left of dy from `place` on; all but the array's last row may read two vectors anywhere, unasked.
  const auto run = [&](auto left_from) CNNFAST_INLINE_LAMBDA {
    for (int64_t from = whole.begin * r.channels; to < end; from += step) {
      for (int64_t v = 0; v < s.vectors && to < end; ++v, to += kLanes) {
        const int64_t place = from + s.bases[v];
        const Vec value =
            across(place, left_from(place), load_int(s.places + v * kLanes), load_int(s.taps + v * kLanes));
        store_lanes(dx + to, value, lanes_left(end - to));
      }
    }
  };
  if (left - last >= 2 * kLanes) {
    run([](int64_t) CNNFAST_INLINE_LAMBDA { return int64_t{2 * kLanes}; });
  } else {
    run([left](int64_t place) CNNFAST_INLINE_LAMBDA { return left - place; });
  }
  return until;
}

template <int kTaps, bool kAccumulate, typename ShareOf, typename Across>
CNNFAST_INLINE void spread_row(const PoolGradientRow& row, int64_t left, float* dx, ShareOf share_of, Across across) {
  const PoolGradientRow r = row;  // a local copy: stores to dx cannot change it
  const Span reaching = r.reaching, whole = r.whole;
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
  if (!kAccumulate && r.spread != nullptr) {
    if (whole.begin < whole.end) {
      clear_gap(whole.begin * r.width.stride - r.width.pad_before);
      written = spread_across(r, left, whole, dx, across);
    }
  } else {
    for (int64_t o = whole.begin; o < whole.end; ++o) {
      const int64_t start = o * r.width.stride - r.width.pad_before;
      clear_gap(start);
      spread_pixel<kTaps, kAccumulate>(r, o, {0, r.width.window}, dx, share_of);
      written = start + r.width.window;
    }
  }
  clipped(whole.end, reaching.end);
  clear_gap(r.end);
}

template <int kTaps, typename ShareOf, typename Across>
CNNFAST_INLINE void spread_row(const PoolGradientRow& r, int64_t left, float* dx, ShareOf share_of, Across across) {
  if (r.accumulate) {
    spread_row<kTaps, true>(r, left, dx, share_of, across);
  } else {
    spread_row<kTaps, false>(r, left, dx, share_of, across);
  }
}

// As above, with the usual window sizes unrolled.
template <typename ShareOf, typename Across>
CNNFAST_INLINE void spread_row_unrolled(const PoolGradientRow& r, int64_t left, float* dx, ShareOf share_of,
                                        Across across) {
  switch (r.width.window) {
    case 2:
      return spread_row<2>(r, left, dx, share_of, across);
    case 3:
      return spread_row<3>(r, left, dx, share_of, across);
    default:
      return spread_row<0>(r, left, dx, share_of, across);
  }
}

}  // namespace cnnfast::CNNFAST_ISA
