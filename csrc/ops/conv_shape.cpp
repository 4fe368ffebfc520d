#include "ops/conv_shape.h"

#include <algorithm>
#include <stdexcept>

namespace cnnfast {
namespace {

[[noreturn]] void fail(const std::string& op, const std::string& what) {
  throw std::invalid_argument(op + ": " + what);
}

std::string operands(const Dims& x, const Dims& kernel) {
  return "(x: " + dims_text(x) + ", kernel: " + dims_text(kernel) + ")";
}

Dims spatial(const Dims& dims) { return Dims(dims.begin() + 1, dims.end() - 1); }

void check_ranks(const std::string& op, const Dims& x, const Dims& kernel, size_t rank) {
  if (x.size() != rank + 2) {
    fail(op, "x expects " + std::to_string(rank + 2) + " dimensions (batch, " + std::to_string(rank) +
                 " spatial, channels), got shape " + dims_text(x));
  }
  if (kernel.size() != rank + 2) {
    fail(op, "kernel expects " + std::to_string(rank + 2) + " dimensions (" + std::to_string(rank) +
                 " spatial, channels in, channels out), got shape " + dims_text(kernel));
  }
  for (const int64_t dim : kernel) {
    if (dim < 1) fail(op, "kernel must have no empty dimension, got shape " + dims_text(kernel));
  }
  checked_size(x);
  checked_size(kernel);
}

Dims whole_dims(int64_t images, const std::array<Axis, 3>& axis, size_t rank, int64_t channels, int64_t Axis::* size) {
  Dims dims{images};
  for (size_t i = 3 - rank; i < 3; ++i) dims.push_back(axis[i].*size);
  dims.push_back(channels);
  return dims;
}

// The length of a transposed convolution's output along one axis; `extra` is its output_padding, -1 where none is
// given.
int64_t transposed_length(const std::string& op, int64_t in, int64_t window, int64_t stride, int64_t dilation,
                          const Padding& padding, size_t index, int64_t extra) {
  constexpr int64_t kMost = int64_t{1} << 31;  // products of two such numbers do not overflow
  for (const int64_t value : {in, window, stride, dilation}) {
    if (value < 1 || value > kMost) {
      fail(op, "sizes, strides and dilation_rate must lie between 1 and 2^31, got " + std::to_string(value));
    }
  }
  if (extra >= stride) {
    fail(op, "output_padding must be less than the stride, got " + std::to_string(extra) + " with stride " +
                 std::to_string(stride));
  }
  const int64_t reach = (window - 1) * dilation + 1, stretched = (in - 1) * stride;
  const int64_t full = stretched + reach + std::max<int64_t>(extra, 0);
  int64_t length = full;
  switch (padding.mode) {
    case Padding::Mode::valid:
      if (extra < 0) length = stretched + std::max(reach, stride);
      break;
    case Padding::Mode::same:
      length = extra < 0 ? in * stride : full - 2 * (reach / 2);
      break;
    case Padding::Mode::explicit_:
      length = full - padding.pairs.at(index).first - padding.pairs.at(index).second;
      break;
  }
  if (length < 1)
    fail(op, "the padding leaves nothing of the output, which would be " + std::to_string(full) + " long");
  return length;
}

}  // namespace

Dims ConvShape::x_dims() const { return whole_dims(images, axis, rank, in_channels, &Axis::in); }
Dims ConvShape::y_dims() const { return whole_dims(images, axis, rank, out_channels, &Axis::out); }
Dims ConvShape::kernel_dims() const {
  Dims dims;
  for (size_t i = 3 - rank; i < 3; ++i) dims.push_back(axis[i].window);
  dims.push_back(group_in_channels());
  dims.push_back(out_channels);
  return dims;
}

int64_t ConvShape::multiply_adds() const {
  return axis[0].out * axis[1].out * axis[2].out * taps() * group_in_channels() * out_channels;
}

double ConvShape::flops() const { return 2.0 * static_cast<double>(images) * static_cast<double>(multiply_adds()); }

ConvShape conv_shape(const std::string& op, const Dims& x, const Dims& kernel, const Dims& strides,
                     const Padding& padding, const Dims& dilation, int64_t groups, bool flip_kernel) {
  const size_t rank = strides.size();
  check_ranks(op, x, kernel, rank);
  ConvShape shape;
  shape.rank = rank;
  shape.images = x.front();
  shape.in_channels = x.back();
  shape.out_channels = kernel.back();
  shape.groups = groups;
  shape.flip_kernel = flip_kernel;
  if (groups < 1) fail(op, "groups must be at least 1, got " + std::to_string(groups));
  if (shape.in_channels < 1) fail(op, "x must have at least one channel, got shape " + dims_text(x));
  const int64_t kernel_channels = kernel[kernel.size() - 2];
  if (shape.in_channels % groups != 0 || shape.in_channels / groups != kernel_channels) {
    fail(op, "kernel expects " + std::to_string(kernel_channels) + " input channels per group, x has " +
                 std::to_string(shape.in_channels) + " (x: " + dims_text(x) + ", kernel: " + dims_text(kernel) +
                 ", groups=" + std::to_string(groups) + ")");
  }
  if (shape.out_channels % groups != 0) {
    fail(op, "the kernel's " + std::to_string(shape.out_channels) + " output channels cannot be shared out among " +
                 std::to_string(groups) + " groups " + operands(x, kernel));
  }
  shape.axis = make_axes(op, "kernel", spatial(x), Dims(kernel.begin(), kernel.end() - 2), strides, dilation, padding);
  checked_size(shape.y_dims());
  return shape;
}

ConvShape as_product(const ConvShape& shape) {
  const int64_t taps = shape.taps();
  const bool chosen = shape.algorithm == ConvAlgorithm::automatic || shape.algorithm == ConvAlgorithm::direct;
  if (!chosen || shape.groups != 1 || taps == 1 || shape.flip_kernel) return shape;
  for (const Axis& a : shape.axis) {
    if (a.window != a.in || a.out != 1 || a.pad_before != 0) return shape;
    if (a.dilation != 1 && a.window != 1) return shape;
  }
  ConvShape product = dense_shape(shape.images, taps * shape.in_channels, shape.out_channels);
  product.algorithm = shape.algorithm;
  return product;
}

ConvShape dense_shape(int64_t rows, int64_t features, int64_t units) {
  ConvShape shape;
  shape.rank = 1;
  shape.images = rows;
  shape.in_channels = features;
  shape.out_channels = units;
  return shape;
}

ConvShape conv_transpose_shape(const std::string& op, const Dims& x, const Dims& kernel, const Dims& strides,
                               const Padding& padding, const Dims& output_padding, const Dims& dilation) {
  const size_t rank = strides.size();
  check_ranks(op, x, kernel, rank);
  for (const int64_t extra : output_padding) {
    if (extra < 0) fail(op, "output_padding must not be negative, got " + dims_text(output_padding));
  }
  if (kernel.back() != x.back()) {
    fail(op, "kernel expects " + std::to_string(kernel.back()) + " input channels, x has " + std::to_string(x.back()) +
                 " " + operands(x, kernel) + "; its last two axes are (channels out, channels in)");
  }
  const Dims window(kernel.begin(), kernel.end() - 2);
  Dims size;
  for (size_t i = 0; i < rank; ++i) {
    const int64_t extra = output_padding.empty() ? -1 : output_padding[i];
    size.push_back(transposed_length(op, x[i + 1], window[i], strides[i], dilation[i], padding, i, extra));
  }
  ConvShape shape;
  shape.rank = rank;
  shape.images = x.front();
  shape.in_channels = kernel[kernel.size() - 2];
  shape.out_channels = kernel.back();
  shape.axis = make_axes(op, "kernel", size, window, strides, dilation, padding);
  if (shape.y_dims() != x) {
    fail(op, "an output of spatial shape " + dims_text(size) + " would come from an input of shape " +
                 dims_text(shape.y_dims()) + ", not " + dims_text(x) + "; change output_padding or padding");
  }
  checked_size(shape.x_dims());
  return shape;
}

}  // namespace cnnfast
