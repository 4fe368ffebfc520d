// Rows of pooling windows.
//
// A tap is a window's position: (depth * height taps + height) * width taps + width. A winner is the tap that a maximum
// came from, kept in a byte where a window has at most 256 taps, else in an int32.
#pragma once

#include <cstdint>

namespace cnnfast {

struct PoolSpan {
  int64_t begin;
  int64_t end;
};

// The taps begin <= t < end of a window that lie inside the array, at the inputs start + t * dilation.
struct TapRange {
  int64_t start;
  int64_t dilation;
  int64_t begin;
  int64_t end;
};

// The width axis: output o looks at the inputs o * stride - pad_before + t * dilation.
struct PoolWidth {
  int64_t in;
  int64_t out;
  int64_t window;
  int64_t stride;
  int64_t dilation;
  int64_t pad_before;
};

// The output positions [begin, end) of one row.
struct PoolRow {
  TapRange depth;
  TapRange height;
  int64_t depth_taps;  // of the whole window
  int64_t height_taps;
  int64_t plane;  // floats between depths of x
  int64_t row;    // floats between rows of x
  int64_t channels;
  PoolWidth width;
  int64_t begin;
  int64_t end;
  // Few channels leave most of a vector empty: then vectors run across pixels, and these are the places of a row's
  // outputs in x, channels included, seen from the first one. Null where vectors run along the channels.
  const int32_t* offsets;
};

// What the sum over a window is divided by: `divisor`, and the width's taps inside the array where these vary.
struct AveragePoolRow {
  float divisor;
  bool divide_by_width_taps;
};

enum class WinnerType : int32_t { none, byte, int32 };

// How outputs of few channels, whose windows keep apart, are spread over a row of dx in vectors that run across pixels:
// for each of the `vectors` vectors of dx that as many outputs as a vector has lanes are spread over, where in dy its
// values begin, which of the values from there each lane takes, and the tap that it stands for.
struct PoolSpread {
  int64_t vectors;
  const int32_t* bases;
  const int32_t* places;  // in two vectors side by side
  const int32_t* taps;    // kBetweenWindows between windows
};

constexpr int32_t kBetweenWindows = -(1 << 30);

// The inputs [begin, end) of one row of dx: the same for many rows, so that it stays where it is while they go by.
struct PoolGradientRow {
  int64_t channels;
  PoolWidth width;
  int64_t begin;
  int64_t end;
  PoolSpan reaching;         // the outputs whose windows reach into [begin, end)
  PoolSpan whole;            // those whose windows lie in it
  bool accumulate;           // add to dx; else windows must not overlap along the width, and all of dx is written
  const PoolSpread* spread;  // null, or where vectors run across pixels; not with `accumulate`
};

// One of the output rows whose windows reach a row of dx.
struct PoolOutputRow {
  int64_t first_tap;  // of the window's taps in this row of dx
  int64_t left;       // values of dy from the row's beginning to the array's end: vectors may read so far
};

// One output row's gradients, each carried straight to the input that won.
struct PoolScatterRow {
  int64_t channels;
  int64_t begin;  // output positions
  int64_t end;
  int64_t start;  // place in the image, in floats, of the first tap of output `begin`
  int64_t step;   // floats from one output's window to the next one's
  int64_t taps;
  const int64_t* offsets;  // of each tap from the first
  int64_t lower;           // only places in [lower, upper) are this task's
  int64_t upper;
};

}  // namespace cnnfast
