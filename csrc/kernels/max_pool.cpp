// Max pooling: the first maximum of a window wins; the first NaN, where there is one.
#include "kernels/windows.h"

namespace cnnfast::CNNFAST_ISA {
namespace {

struct NoWinners {};

CNNFAST_INLINE void store_winners(NoWinners*, int64_t, IntVec, int) {}
CNNFAST_INLINE void store_winners(uint8_t* winners, int64_t place, IntVec taps, int lanes) {
  store_bytes(winners + place, taps, lanes);
}
CNNFAST_INLINE void store_winners(int32_t* winners, int64_t place, IntVec taps, int lanes) {
  store_lanes(reinterpret_cast<float*>(winners + place), (Vec)taps, lanes);
}

CNNFAST_INLINE IntVec load_winners(const uint8_t* winners, int64_t place, int lanes) {
  return load_bytes(winners + place, lanes);
}
CNNFAST_INLINE IntVec load_winners(const int32_t* winners, int64_t place, int lanes) {
  return (IntVec)load_lanes(reinterpret_cast<const float*>(winners + place), lanes);
}

// Calls body(value, tap) for the taps of a window one after the other; load(offset) gives the values `offset` floats
// after the window's corner in its first row and depth.
template <int kTaps, typename Load, typename Body>
CNNFAST_INLINE void for_each_value(const PoolRow& r, const Span& taps, Load load, Body body) {
  const int64_t tap_step = r.width.dilation * r.channels;
  const int64_t plane_step = r.depth.dilation * r.plane, line_step = r.height.dilation * r.row;
  int64_t plane = (r.depth.start + r.depth.begin * r.depth.dilation) * r.plane +
                  (r.height.start + r.height.begin * r.height.dilation) * r.row;
  for (int64_t d = r.depth.begin; d < r.depth.end; ++d, plane += plane_step) {
    int64_t line = plane, first = (d * r.height_taps + r.height.begin) * r.width.window;
    for (int64_t h = r.height.begin; h < r.height.end; ++h, line += line_step, first += r.width.window) {
      for_each_tap<kTaps>(taps, [&](int64_t t) CNNFAST_INLINE_LAMBDA {
        body(load(line + t * tap_step), broadcast_int(static_cast<int32_t>(first + t)));
      });
    }
  }
}

// The maximum over a window and its tap.
template <int kTaps, typename Load>
CNNFAST_INLINE void maximum(const PoolRow& r, const Span& taps, Load load, Vec& best, IntVec& winner) {
  // Where everything is -inf, the first tap inside the array wins.
  const IntVec first = broadcast_int(
      static_cast<int32_t>((r.depth.begin * r.height_taps + r.height.begin) * r.width.window + taps.begin));
  best = broadcast(-__builtin_inff());
  winner = first;
  IntVec odd{};
  for_each_value<kTaps>(r, taps, load, [&](Vec v, IntVec tap) CNNFAST_INLINE_LAMBDA {
    winner = select_int(v > best, tap, winner);
    best = max(v, best);
    odd |= is_nan(v);
  });
  if (__builtin_expect(!any(odd), 1)) return;
  best = broadcast(-__builtin_inff());
  winner = first;
  for_each_value<0>(r, taps, load, [&](Vec v, IntVec tap) CNNFAST_INLINE_LAMBDA {
    const IntVec better = ~(v <= best) & ~is_nan(best);
    best = select(better, v, best);
    winner = select_int(better, tap, winner);
  });
}

template <int kTaps, typename Winner>
CNNFAST_INLINE void pool_pixel(const PoolRow& row, int64_t o, const Span& taps, const float* x, float* y,
                               Winner* winners) {
  const PoolRow r = row;  // a local copy: stores to y cannot change it
  const float* corner = x + (o * r.width.stride - r.width.pad_before) * r.channels;
  for_each_vector(r.channels, [&](int64_t c, int lanes) CNNFAST_INLINE_LAMBDA {
    Vec best;
    IntVec winner;
    maximum<kTaps>(
        r, taps, [&](int64_t offset) CNNFAST_INLINE_LAMBDA { return load_lanes(corner + offset + c, lanes); }, best,
        winner);
    store_lanes(y + o * r.channels + c, best, lanes);
    store_winners(winners, o * r.channels + c, winner, lanes);
  });
}

// Whole windows with few channels: vectors run across pixels.
template <int kTaps, typename Winner>
CNNFAST_INLINE void pool_across(const PoolRow& r, const Span& outputs, const float* x, float* y, Winner* winners) {
  const float* corner = x + (outputs.begin * r.width.stride - r.width.pad_before) * r.channels;
  const int64_t to = outputs.begin * r.channels;
  for_each_vector((outputs.end - outputs.begin) * r.channels, [&](int64_t i, int lanes) CNNFAST_INLINE_LAMBDA {
    Vec best;
    IntVec winner;
    maximum<kTaps>(
        r, {0, r.width.window},
        [&](int64_t offset) CNNFAST_INLINE_LAMBDA { return gather(corner + offset, r.offsets + i, lanes); }, best,
        winner);
    store_lanes(y + to + i, best, lanes);
    store_winners(winners, to + i, winner, lanes);
  });
}

template <int kTaps, typename Winner>
CNNFAST_INLINE void pool_row(const PoolRow& r, const float* x, float* y, Winner* winners) {
  const Span whole = whole_windows(r.width, r.begin, r.end, 0, r.width.in);
  const auto clipped = [&](int64_t from, int64_t to) {
    for (int64_t o = from; o < to; ++o) {
      const int64_t start = o * r.width.stride - r.width.pad_before;
      pool_pixel<0>(r, o, taps_within(r.width, start, 0, r.width.in), x, y, winners);
    }
  };
  clipped(r.begin, whole.begin);
  if (r.offsets != nullptr) {
    pool_across<kTaps>(r, whole, x, y, winners);
  } else {
    for (int64_t o = whole.begin; o < whole.end; ++o) pool_pixel<kTaps>(r, o, {0, r.width.window}, x, y, winners);
  }
  clipped(whole.end, r.end);
}

template <typename Winner>
CNNFAST_INLINE void pool_row_of(const PoolRow& r, const float* x, float* y, Winner* winners) {
  switch (r.width.window) {
    case 2:
      return pool_row<2>(r, x, y, winners);
    case 3:
      return pool_row<3>(r, x, y, winners);
    default:
      return pool_row<0>(r, x, y, winners);
  }
}

CNNFAST_INLINE IntVec pick_winners(const uint8_t* winners, int64_t left, IntVec places) {
  const bool all = left >= 2 * kLanes;
  const Vec first = (Vec)load_bytes(winners, all ? kLanes : lanes_left(left));
  return (IntVec)pick(first, (Vec)load_bytes(winners + kLanes, all ? kLanes : lanes_left(left - kLanes)), places);
}
CNNFAST_INLINE IntVec pick_winners(const int32_t* winners, int64_t left, IntVec places) {
  return (IntVec)pick_from(reinterpret_cast<const float*>(winners), left, places);
}

// Gives each input of a window its share: dy where it won, else nothing.
template <typename Winner>
CNNFAST_INLINE void gradient_row(const PoolGradientRow& r, PoolOutputRow out, const float* dy, const Winner* winners,
                                 float* dx) {
  const IntVec first_tap = broadcast_int(static_cast<int32_t>(out.first_tap));
  const auto share_in_pixel = [&](int64_t o, int64_t c, int lanes, const Span&) {
    const Vec d = load_lanes(dy + o * r.channels + c, lanes);
    const IntVec winner = load_winners(winners, o * r.channels + c, lanes) - first_tap;
    return [d, winner](int64_t t) { return select(winner == broadcast_int(static_cast<int32_t>(t)), d, zero()); };
  };
  const auto across = [&](int64_t from, int64_t left, IntVec places, IntVec taps) {
    const IntVec winner = pick_winners(winners + from, left, places);
    return select(winner == taps + first_tap, pick_from(dy + from, left, places), zero());
  };
  spread_row_unrolled(r, out.left, dx, share_in_pixel, across);
}

template <typename Winner>
CNNFAST_INLINE void scatter_row(const PoolScatterRow& row, const float* dy, const Winner* winners, float* dx) {
  const PoolScatterRow r = row;  // a local copy: stores to dx cannot change it
  int64_t place = r.begin * r.channels;
  int64_t corner = r.start;
  for (int64_t o = r.begin; o < r.end; ++o, corner += r.step) {
    for (int64_t c = 0; c < r.channels; ++c, ++place) {
      const int64_t tap = winners[place];
      if (tap < 0 || tap >= r.taps) continue;
      const int64_t to = corner + r.offsets[tap] + c;
      if (to >= r.lower && to < r.upper) dx[to] += dy[place];
    }
  }
}

}  // namespace

void max_pool_row(const PoolRow& r, const float* x, float* y, WinnerType type, void* winners) {
  switch (type) {
    case WinnerType::none:
      return pool_row_of(r, x, y, static_cast<NoWinners*>(nullptr));
    case WinnerType::byte:
      return pool_row_of(r, x, y, static_cast<uint8_t*>(winners));
    case WinnerType::int32:
      return pool_row_of(r, x, y, static_cast<int32_t*>(winners));
  }
}

void max_pool_gradient_row(const PoolGradientRow& r, PoolOutputRow out, const float* dy, WinnerType type,
                           const void* winners, float* dx) {
  if (type == WinnerType::byte) {
    gradient_row(r, out, dy, static_cast<const uint8_t*>(winners), dx);
  } else {
    gradient_row(r, out, dy, static_cast<const int32_t*>(winners), dx);
  }
}

void max_pool_scatter_row(const PoolScatterRow& r, const float* dy, WinnerType type, const void* winners, float* dx) {
  if (type == WinnerType::byte) {
    scatter_row(r, dy, static_cast<const uint8_t*>(winners), dx);
  } else {
    scatter_row(r, dy, static_cast<const int32_t*>(winners), dx);
  }
}

}  // namespace cnnfast::CNNFAST_ISA
