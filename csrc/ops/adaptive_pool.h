// Pooling to a given number of windows, whose lengths differ where it does not divide the image's.
#pragma once

#include <array>
#include <cstdint>
#include <string>

#include "kernels/pool.h"
#include "ops/dims.h"

namespace cnnfast {

// Window o of `out` reaches from floor(o * in / out) to ceil((o + 1) * in / out).
struct AdaptiveAxis {
  int64_t in = 1;
  int64_t out = 1;
  int64_t longest = 1;  // window

  PoolSpan window(int64_t o) const { return {o * in / out, ((o + 1) * in + out - 1) / out}; }
  // The outputs whose windows hold input `i`: the same rule the other way round.
  PoolSpan outputs(int64_t i) const { return {i * out / in, ((i + 1) * out + in - 1) / in}; }
};

// One- and two-dimensional pooling are the three-dimensional one with unit axes.
struct AdaptivePoolShape {
  int64_t images = 0;
  std::array<AdaptiveAxis, 3> axes;  // depth, height, width
  int64_t channels = 1;
  Dims x_dims;
  Dims y_dims;

  const AdaptiveAxis& depth() const { return axes[0]; }
  const AdaptiveAxis& height() const { return axes[1]; }
  const AdaptiveAxis& width() const { return axes[2]; }
  // Of a window that is the longest along every axis: what winners are numbered by.
  int64_t taps() const { return depth().longest * height().longest * width().longest; }

  // In floats, of x or dx:
  int64_t row() const { return width().in * channels; }
  int64_t plane() const { return height().in * row(); }
  int64_t image() const { return depth().in * plane(); }
  // and of y or dy:
  int64_t out_row() const { return width().out * channels; }
  int64_t out_image() const { return depth().out * height().out * out_row(); }
};

// x: (images, [[depth,] height,] width, channels), 3 to 5 axes; `sizes` are the windows along each spatial axis. Throws
// std::invalid_argument where there is nothing to pool.
AdaptivePoolShape make_adaptive_shape(const std::string& op, const Dims& x_dims, const Dims& sizes);

// A tap's number fits into a byte, or needs an int32.
WinnerType winner_type(const AdaptivePoolShape& shape);

// The first maximum of a window wins, the first NaN where there is one. `winners` may be null.
void adaptive_max_forward(const AdaptivePoolShape& shape, const float* x, float* y, void* winners);
void adaptive_max_backward(const AdaptivePoolShape& shape, const float* dy, const void* winners, float* dx);

void adaptive_average_forward(const AdaptivePoolShape& shape, const float* x, float* y);
void adaptive_average_backward(const AdaptivePoolShape& shape, const float* dy, float* dx);

}  // namespace cnnfast
