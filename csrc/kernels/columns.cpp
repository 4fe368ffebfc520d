// Windows as rows of a matrix, and back.
#include "kernels/windows.h"

namespace cnnfast::CNNFAST_ISA {
namespace {

CNNFAST_INLINE void copy(const float* from, float* to, int64_t count) {
  for_each_vector(count, [&](int64_t i, int lanes) { store_lanes(to + i, load_lanes(from + i, lanes), lanes); });
}

CNNFAST_INLINE void clear(float* to, int64_t count) {
  for_each_vector(count, [&](int64_t i, int lanes) { store_lanes(to + i, zero(), lanes); });
}

// One line of a window: the width's taps, `start` being the first one's place in `line`.
CNNFAST_INLINE void copy_taps(const PoolRow& r, const Span& inside, int64_t start, const float* line, float* to) {
  const int64_t channels = r.channels;
  clear(to, inside.begin * channels);
  if (r.width.dilation == 1) {
    copy(line + (start + inside.begin) * channels, to + inside.begin * channels,
         (inside.end - inside.begin) * channels);
  } else {
    for (int64_t t = inside.begin; t < inside.end; ++t) {
      copy(line + (start + t * r.width.dilation) * channels, to + t * channels, channels);
    }
  }
  clear(to + inside.end * channels, (r.width.window - inside.end) * channels);
}

}  // namespace

void im2col_row(const PoolRow& r, const float* x, float* columns) {
  const int64_t line_size = r.width.window * r.channels;
  float* to = columns + r.begin * r.depth_taps * r.height_taps * line_size;
  for (int64_t o = r.begin; o < r.end; ++o) {
    const int64_t start = o * r.width.stride - r.width.pad_before;
    Span inside = taps_within(r.width, start, 0, r.width.in);
    inside.begin = at_most(inside.begin, inside.end);
    for (int64_t d = 0; d < r.depth_taps; ++d) {
      for (int64_t h = 0; h < r.height_taps; ++h, to += line_size) {
        const bool there = d >= r.depth.begin && d < r.depth.end && h >= r.height.begin && h < r.height.end;
        if (!there) {
          clear(to, line_size);
          continue;
        }
        const float* line =
            x + (r.depth.start + d * r.depth.dilation) * r.plane + (r.height.start + h * r.height.dilation) * r.row;
        copy_taps(r, inside, start, line, to);
      }
    }
  }
}

void col2im_row(const PoolGradientRow& r, int64_t first_tap, int64_t taps, const float* columns, float* x) {
  const Span reaching = r.reaching;
  for (int64_t o = reaching.begin; o < reaching.end; ++o) {
    const int64_t start = o * r.width.stride - r.width.pad_before;
    const Span inside = taps_within(r.width, start, r.begin, r.end);
    const float* from = columns + (o * taps + first_tap) * r.channels;
    // Without gaps a window's line is one contiguous run.
    const int64_t run = r.width.dilation == 1 ? inside.end - inside.begin : 1;
    for (int64_t t = inside.begin; t < inside.end; t += run) {
      float* to = x + (start + t * r.width.dilation) * r.channels;
      for_each_vector(run * r.channels, [&](int64_t i, int lanes) {
        store_lanes(to + i, load_lanes(to + i, lanes) + load_lanes(from + t * r.channels + i, lanes), lanes);
      });
    }
  }
}

}  // namespace cnnfast::CNNFAST_ISA
