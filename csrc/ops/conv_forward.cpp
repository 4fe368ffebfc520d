#include <algorithm>
#include <numeric>

#include "ops/conv.h"
#include "ops/correlation.h"
#include "ops/few_rows.h"

namespace cnnfast {

ConvRoute forward_route(const ConvShape& convolution, bool weights_kept) {
  const ConvShape shape = as_product(convolution);
  if (has_few_rows(shape)) return few_rows_route();
  return route_convolution(shape.window_source(), shape.images, shape.groups, shape.group_out_channels(),
                           shape.algorithm, ConvPass::correlation, weights_kept);
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

void conv_forward(const ConvShape& convolution, const float* x, const float* w, const float* bias,
                  Activation activation, float alpha, float* y, KeptWeights* kept) {
  const ConvShape shape = as_product(convolution);
  const ConvRoute route = forward_route(shape, kept != nullptr);
  if (route.loops == ConvRoute::Loops::few_rows) {
    few_rows_forward(shape, x, w, bias, activation, alpha, y);
    return;
  }
  Correlation c = forward_correlation(shape, activation, alpha);
  c.kept = kept;
  correlate(c, route, x, forward_weights(shape, w), bias, y);
}

}  // namespace cnnfast
