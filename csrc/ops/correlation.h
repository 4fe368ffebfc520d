// The one loop nest behind forward convolution, its gradient to the input, and matrix products.
#pragma once

#include <cstdint>
#include <vector>

#include "kernels/activation.h"
#include "ops/conv_route.h"
#include "ops/kept_weights.h"
#include "ops/panels.h"
#include "ops/window.h"

namespace cnnfast {

struct ConvShape;
struct PooledInput;
struct PooledOutput;
class WrittenMoments;

// y[n, o, g, k] = activation(bias[g, k] + sum over taps and c of x[n, o * stride - pad + tap * dilation, g, c] * w)
// where x is zero outside its bounds. pad_before may be negative. y may be a strided part of a larger array.
struct Correlation {
  WindowSource source;
  int64_t images;
  int64_t groups;
  int64_t out_channels;  // of one group
  int64_t y_image, y_plane, y_row, y_pixel;
  Activation activation = Activation::linear;
  float alpha = 0;
  ConvAlgorithm algorithm = ConvAlgorithm::automatic;
  ConvPass pass = ConvPass::correlation;
  KeptWeights* kept = nullptr;        // where the weights' forms are kept for the next call
  WrittenMoments* moments = nullptr;  // who is told what was written of a y without gaps
  // Of minimal filtering only: x is what lies behind a max pooling, or a max pooling of y is written.
  const PooledInput* pooled_input = nullptr;
  const PooledOutput* pooled_output = nullptr;

  double flops() const;
};

// A convolution forward, and its weights, as these loops see them.
Correlation forward_correlation(const ConvShape& shape, Activation activation, float alpha);
WeightView forward_weights(const ConvShape& shape, const float* w);

// `bias` (groups * out_channels values) may be null; `route` is what route_convolution() says of it.
void correlate(const Correlation& c, const ConvRoute& route, const float* x, const WeightView& w, const float* bias,
               float* y);

// One of several correlations of the same x, with the same groups.
struct CorrelationPart {
  Correlation correlation;
  WeightView weights;
  float* y;
};
void correlate_parts(const std::vector<CorrelationPart>& parts, const float* x, const float* bias);

// The panels that the direct loops take the weights in.
PanelGrid direct_panels(const Correlation& c);

// Which outputs of a block the direct loops are to compute: some panels of one group.
struct DirectPart {
  int64_t rows, cols;
  int64_t group;
  int64_t first_panel, last_panel;
};

// One thread's piece of the direct loops. `y` is where the first pixel of the block goes, of all groups; `fetch_y`
// tells that it lies in no near cache.
void direct_block(const Correlation& c, const WindowLayout& layout, const WindowView& view,
                  const PackedWeights& weights, const float* bias, const DirectPart& part, bool fetch_y, float* y);

// Activations that the kernels do not apply to their registers run over what they have just written.
void activate_pixels(Activation kind, float alpha, float* y, int64_t y_pixel, int64_t pixels, int64_t channels);

}  // namespace cnnfast
