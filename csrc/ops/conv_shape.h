// The checked description of one convolution: everything that the loops need to know besides pointers.
#pragma once

#include <array>
#include <cstdint>
#include <string>

#include "ops/axis.h"
#include "ops/conv_route.h"
#include "ops/window.h"

namespace cnnfast {

struct ConvShape {
  size_t rank = 0;  // 1, 2 or 3; unit axes stand in front
  int64_t images = 0;
  int64_t in_channels = 0, out_channels = 0, groups = 1;
  std::array<Axis, 3> axis;
  ConvAlgorithm algorithm = ConvAlgorithm::automatic;
  bool flip_kernel = false;  // true convolution instead of cross-correlation

  int64_t group_in_channels() const { return in_channels / groups; }
  int64_t group_out_channels() const { return out_channels / groups; }
  int64_t taps() const { return axis[0].window * axis[1].window * axis[2].window; }

  Dims x_dims() const;
  Dims kernel_dims() const;
  Dims y_dims() const;

  // Multiply-adds of the forward pass for one image.
  int64_t multiply_adds() const;
  // Of the whole batch, in either direction.
  double flops() const;

  WindowSource window_source() const { return {axis, in_channels, group_in_channels()}; }
};

// `x` is (N, spatial..., C), `kernel` (spatial..., C / groups, K). Throws std::invalid_argument, naming `op`.
ConvShape conv_shape(const std::string& op, const Dims& x, const Dims& kernel, const Dims& strides,
                     const Padding& padding, const Dims& dilation, int64_t groups, bool flip_kernel);

// The same convolution as a product of matrices where that is all it is, else the shape itself: a window that is the
// whole image takes all values of an image, and all of the kernel's, in the order that they lie in.
ConvShape as_product(const ConvShape& shape);

// x (rows, features) times a matrix (features, units): a pointwise convolution over images of one position.
ConvShape dense_shape(int64_t rows, int64_t features, int64_t units);

// The convolution whose gradient to its input is the transposed convolution of `x` (N, spatial..., C) with `kernel`
// (spatial..., K, C): its output is x's shape, its input the transposed convolution's output. `output_padding` is empty
// or says by how much each axis of that output is longer than it needs to be.
ConvShape conv_transpose_shape(const std::string& op, const Dims& x, const Dims& kernel, const Dims& strides,
                               const Padding& padding, const Dims& output_padding, const Dims& dilation);

}  // namespace cnnfast
