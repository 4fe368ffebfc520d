#include <algorithm>
#include <numeric>
#include <stdexcept>

#include "ops/conv.h"
#include "ops/correlation.h"
#include "ops/few_rows.h"
#include "ops/moments.h"

namespace cnnfast {

ConvRoute forward_route(const ConvShape& convolution, bool weights_kept) {
  const ConvShape shape = as_product(convolution);
  if (has_few_rows(shape)) return few_rows_route();
  return route_convolution(shape.window_source(), shape.images, shape.groups, shape.group_out_channels(),
                           shape.algorithm, ConvPass::correlation, weights_kept);
}

void require_algorithm(const std::string& op, const ConvShape& shape) {
  const auto check = [&](const char* loops, const char* name, const char* needs) {
    const std::string to_x = backward_data_route(shape);
    const bool found = forward_route(shape).name() == loops || to_x.rfind(loops, 0) == 0 ||
                       backward_weights_route(shape).name() == loops;
    if (found) return;
    throw std::invalid_argument(op + ": algorithm '" + name + "' needs " + needs + ", got x " +
                                dims_text(shape.x_dims()) + ", kernel " + dims_text(shape.kernel_dims()));
  };
  switch (shape.algorithm) {
    case ConvAlgorithm::lines:
      return check("lines", "lines",
                   "one group, several taps, and at most eight (half a vector) output channels and a stride of 1 along "
                   "rows, or as few input channels");
    case ConvAlgorithm::images:
      return check("images", "images", "one group, several taps, few channels and small images");
    case ConvAlgorithm::grouped:
      return check(shape.group_in_channels() == 1 && shape.group_out_channels() == 1 ? "depthwise" : "grouped",
                   "grouped", "several groups, each of no more channels than a vector holds");
    case ConvAlgorithm::columns:
      return check("columns", "columns", "one group, several taps and at most eight input channels");
    case ConvAlgorithm::few_rows:
      return check("few rows", "few_rows", "windows and strides of 1 and one to eight rows in all");
    default:
      return;
  }
}

Correlation forward_correlation(const ConvShape& shape, Activation activation, float alpha) {
  Correlation c;
  c.source = shape.window_source();
  c.images = shape.images;
  c.groups = shape.groups;
  c.out_channels = shape.group_out_channels();
  c.y_pixel = shape.out_channels;
  c.y_row = shape.axis[2].out * c.y_pixel;
  c.y_plane = shape.axis[1].out * c.y_row;
  c.y_image = shape.axis[0].out * c.y_plane;
  c.activation = activation;
  c.alpha = alpha;
  c.algorithm = shape.algorithm;
  return c;
}

WeightView forward_weights(const ConvShape& shape, const float* w) {
  WeightView view;
  view.w = w;
  view.group_stride = shape.group_out_channels();
  view.tap_stride = shape.group_in_channels() * shape.out_channels;
  view.in_stride = shape.out_channels;
  view.out_stride = 1;
  view.taps.resize(static_cast<size_t>(shape.taps()));
  std::iota(view.taps.begin(), view.taps.end(), int64_t{0});
  if (shape.flip_kernel) std::reverse(view.taps.begin(), view.taps.end());
  return view;
}

namespace {

void convolve(const ConvShape& convolution, const float* x, const float* w, const float* bias, Activation activation,
              float alpha, float* y, KeptWeights* kept, WrittenMoments* moments) {
  const ConvShape shape = as_product(convolution);
  const ConvRoute route = forward_route(shape, kept != nullptr);
  if (route.loops == ConvRoute::Loops::few_rows) {
    few_rows_forward(shape, x, w, bias, activation, alpha, y);
    return;
  }
  Correlation c = forward_correlation(shape, activation, alpha);
  c.kept = kept;
  c.moments = moments;
  correlate(c, route, x, forward_weights(shape, w), bias, y);
}

}  // namespace

void conv_forward(const ConvShape& shape, const float* x, const float* w, const float* bias, Activation activation,
                  float alpha, float* y, KeptWeights* kept) {
  convolve(shape, x, w, bias, activation, alpha, y, kept, nullptr);
}

void conv_forward_moments(const ConvShape& shape, const float* x, const float* w, const float* bias,
                          Activation activation, float alpha, float* y, float* mean, float* variance) {
  const int64_t rows = shape.images * shape.axis[0].out * shape.axis[1].out * shape.axis[2].out;
  WrittenMoments moments(y, rows, shape.out_channels);
  convolve(shape, x, w, bias, activation, alpha, y, nullptr, &moments);
  moments.finish(mean, variance);
}

}  // namespace cnnfast
