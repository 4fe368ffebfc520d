#include "ops/pool_shape.h"

namespace cnnfast {
namespace {

// Windows that touch the padding must still hold a value. Without gaps the first and the last window tell for all.
void require_values_in_windows(const std::string& op, const PoolShape& shape) {
  static const char* const kAxisNames[] = {"depth", "height", "width"};
  for (size_t i = 0; i < 3; ++i) {
    const Axis& axis = shape.axes[i];
    const int64_t step = axis.dilation == 1 ? std::max<int64_t>(axis.out - 1, 1) : 1;
    for (int64_t o = 0; o < axis.out; o += step) {
      const TapRange taps = taps_inside(axis, o);
      if (taps.begin < taps.end) continue;
      throw std::invalid_argument(op + ": window " + std::to_string(o) + " along " + kAxisNames[i] +
                                  " would hold nothing but padding (x " + std::to_string(axis.in) + ", pool_size " +
                                  std::to_string(axis.window) + ", dilation_rate " + std::to_string(axis.dilation) +
                                  ", padding before " + std::to_string(axis.pad_before) + ")");
    }
  }
}

PoolShape make_shape(const std::string& op, const std::string& window_name, const Dims& x_dims, const Dims& window,
                     const Dims& strides, const Padding& padding, const Dims& dilation) {
  PoolShape shape;
  shape.images = x_dims.front();
  shape.channels = x_dims.back();
  shape.x_dims = x_dims;
  if (shape.channels < 1) {
    throw std::invalid_argument(op + ": x has no channels, its shape is " + dims_text(x_dims));
  }
  checked_size(x_dims);
  const Dims spatial(x_dims.begin() + 1, x_dims.end() - 1);
  checked_size(Dims(x_dims.begin() + 1, x_dims.end()));  // one image, even where there are none
  shape.axes = make_axes(op, window_name, spatial, window, strides, dilation, padding);
  shape.y_dims = x_dims;
  for (size_t i = 0; i < spatial.size(); ++i) shape.y_dims[i + 1] = shape.axes[3 - spatial.size() + i].out;
  return shape;
}

}  // namespace

PoolShape make_pool_shape(const std::string& op, const Dims& x_dims, const Dims& window, const Dims& strides,
                          const Padding& padding, const Dims& dilation) {
  PoolShape shape = make_shape(op, "pool_size", x_dims, window, strides, padding, dilation);
  require_values_in_windows(op, shape);
  const int64_t taps = checked_size({shape.depth().window, shape.height().window, shape.width().window});
  if (taps > INT32_MAX) {
    throw std::invalid_argument(op + ": pool_size holds " + std::to_string(taps) + " values, at most 2147483647 fit");
  }
  checked_size(shape.y_dims);
  return shape;
}

PoolShape make_column_shape(const std::string& op, const Dims& x_dims, const Dims& kernel, const Dims& strides,
                            const Padding& padding, const Dims& dilation) {
  PoolShape shape = make_shape(op, "kernel_size", x_dims, kernel, strides, padding, dilation);
  const int64_t taps = checked_size({shape.depth().window, shape.height().window, shape.width().window});
  shape.y_dims.back() = checked_size({taps, shape.channels});
  checked_size(shape.y_dims);
  return shape;
}

}  // namespace cnnfast
