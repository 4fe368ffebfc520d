// What a pooling works on: its input, its windows, its output.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <string>

#include "kernels/pool.h"
#include "ops/axis.h"

namespace cnnfast {

// One- and two-dimensional pooling are the three-dimensional one with unit axes.
struct PoolShape {
  int64_t images = 0;
  std::array<Axis, 3> axes;  // depth, height, width
  int64_t channels = 1;
  Dims x_dims;
  Dims y_dims;

  const Axis& depth() const { return axes[0]; }
  const Axis& height() const { return axes[1]; }
  const Axis& width() const { return axes[2]; }
  int64_t taps() const { return depth().window * height().window * width().window; }

  // In floats, of x or dx:
  int64_t row() const { return width().in * channels; }
  int64_t plane() const { return height().in * row(); }
  int64_t image() const { return depth().in * plane(); }
  // and of y or dy:
  int64_t out_row() const { return width().out * channels; }
  int64_t out_image() const { return depth().out * height().out * out_row(); }

  // The kernels' view of the width.
  PoolWidth pool_width() const {
    const Axis& w = width();
    return {w.in, w.out, w.window, w.stride, w.dilation, w.pad_before};
  }
};

// x: (images, [[depth,] height,] width, channels), 3 to 5 axes; the lists hold one value per spatial axis. Throws
// std::invalid_argument where a shape has no output, or where a window would lie wholly in the padding.
PoolShape make_pool_shape(const std::string& op, const Dims& x_dims, const Dims& window, const Dims& strides,
                          const Padding& padding, const Dims& dilation);

// The same for im2col, whose windows may see nothing but padding.
PoolShape make_column_shape(const std::string& op, const Dims& x_dims, const Dims& kernel, const Dims& strides,
                            const Padding& padding, const Dims& dilation);

// The taps of output `o`'s window that lie inside the array.
inline TapRange taps_inside(const Axis& axis, int64_t o) {
  const int64_t start = o * axis.stride - axis.pad_before;
  const int64_t first = start >= 0 ? 0 : (-start + axis.dilation - 1) / axis.dilation;
  const int64_t room = axis.in - start;  // taps t with t * dilation < room are inside
  const int64_t end = room <= 0 ? 0 : std::min(axis.window, (room - 1) / axis.dilation + 1);
  return {start, axis.dilation, std::min(first, end), end};
}

// Calls visit(output, tap) for every output whose window holds input `i`, in ascending order of outputs.
template <typename Visit>
void for_each_output_of(const Axis& axis, int64_t i, Visit visit) {
  for (int64_t tap = axis.window - 1; tap >= 0; --tap) {
    const int64_t place = i + axis.pad_before - tap * axis.dilation;
    if (place >= 0 && place % axis.stride == 0 && place / axis.stride < axis.out) visit(place / axis.stride, tap);
  }
}

// Where each tap lies in an image from the window's corner, in floats.
inline int64_t tap_offset(const PoolShape& shape, int64_t depth_tap, int64_t height_tap, int64_t width_tap) {
  return depth_tap * shape.depth().dilation * shape.plane() + height_tap * shape.height().dilation * shape.row() +
         width_tap * shape.width().dilation * shape.channels;
}

}  // namespace cnnfast
