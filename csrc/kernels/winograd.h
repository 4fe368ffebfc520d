// Arguments of the Winograd kernels: minimal filtering (Winograd 1980; Lavin and Gray 2016).
//
// A tile of outputs is computed through `points` products in a transformed domain instead of outputs x taps ones. Two
// dimensions nest two transforms; one dimension uses one. Transform points are numbered row by row.
#pragma once

#include <cstdint>

#include "kernels/activation.h"

namespace cnnfast {

// WINOGRAD(name, outputs, taps) of one axis
#define CNNFAST_WINOGRAD_AXES(WINOGRAD) \
  WINOGRAD(f4x3, 4, 3)                  \
  WINOGRAD(f2x3, 2, 3)                  \
  WINOGRAD(f4x2, 4, 2)                  \
  WINOGRAD(f2x5, 2, 5)

enum class WinogradAxis : int32_t {
  unit,  // no transform: one output, one tap
#define WINOGRAD(name, outputs, taps) name,
  CNNFAST_WINOGRAD_AXES(WINOGRAD)
#undef WINOGRAD
};

constexpr int winograd_outputs(WinogradAxis axis) {
  switch (axis) {
    case WinogradAxis::unit:
      return 1;
#define WINOGRAD(name, outputs, taps) \
  case WinogradAxis::name:            \
    return outputs;
      CNNFAST_WINOGRAD_AXES(WINOGRAD)
#undef WINOGRAD
  }
  return 0;
}

constexpr int winograd_taps(WinogradAxis axis) {
  switch (axis) {
    case WinogradAxis::unit:
      return 1;
#define WINOGRAD(name, outputs, taps) \
  case WinogradAxis::name:            \
    return taps;
      CNNFAST_WINOGRAD_AXES(WINOGRAD)
#undef WINOGRAD
  }
  return 0;
}

constexpr int winograd_points(WinogradAxis axis) { return winograd_outputs(axis) + winograd_taps(axis) - 1; }

// Whether an axis has tiles of fewer outputs too, for the end of an image: these use its first points, as many as
// outputs and taps need, and the same weights.
constexpr bool winograd_cuts(WinogradAxis axis) { return axis == WinogradAxis::f4x3 || axis == WinogradAxis::f4x2; }

// The vertical axis is `axis` or `unit`; the horizontal one is `axis`.
struct WinogradKind {
  WinogradAxis vertical, horizontal;
  int points() const { return winograd_points(vertical) * winograd_points(horizontal); }
};

// One tile of an NHWC image with its surroundings, at (row, col) of the image, which may lie outside it. Transformed
// values go to panels: channel c of point p to `to[p * point + c / panel * panel_stride + c % panel]`, whole vectors,
// zero past the channels. `panel` is a multiple of the lanes (or at least the padded channels, for a single panel).
struct WinogradScatter {
  WinogradKind kind;
  int tile_rows, tile_cols;  // outputs of the tile
  const float* image;
  int64_t rows, cols;  // of the image
  int64_t row, col;    // of the tile's first value
  int64_t row_stride, pixel_stride;
  int channels;
  const float* zeros;  // at least `channels` of them
  float* to;
  int64_t point;
  int panel;
  int64_t panel_stride;
};

// The way back for a tile of outputs: from[p * point + k], k < channels, to y at (row, col); outputs outside it are
// left.
struct WinogradGather {
  WinogradKind kind;
  int tile_rows, tile_cols;
  const float* from;
  int64_t point;
  int channels;
  const float* bias;      // or null
  Activation activation;  // linear, relu or leaky_relu
  float alpha;
  float* image;
  int64_t rows, cols;
  int64_t row, col;
  int64_t row_stride, pixel_stride;
};

// Where a max pooling follows whose windows are two values long on each transformed axis, keep apart, begin with the
// image and so lie within tiles. Its outputs are written instead: the gather's image and its strides are theirs, all
// else is the convolution's.
struct WinogradPooledOutput {
  int64_t rows, cols;  // of the pooled image
  uint8_t* winners;    // the taps that won, laid out as the image; or null
};

// One packed panel of weights, [tap][row][width], to the transformed panels [point][row][width].
struct WinogradWeights {
  WinogradKind kind;
  const float* from;
  int64_t tap;  // floats from tap to tap
  float* to;
  int64_t point;
  int64_t floats;  // of a panel: rows * width, a multiple of the lanes
};

// The products of few channels, at a rectangle of points in one go: y[point][slot][k] = sum over c of x[point][slot][c]
// * w[point][c][k]. y may be x where the slots are as far apart: a slot's values are read before its products are
// written.
struct WinogradProducts {
  const float* x;
  int64_t x_point, x_slot;
  const float* w;  // of each point [in][vectors * lanes], zero past the channels
  int64_t w_point;
  float* y;
  int64_t y_point, y_slot;
  int point_rows, point_cols;
  int point_pitch;  // points from row to row
  int64_t slots;
  int in;
  int channels;  // (vectors - 1) * lanes < channels <= vectors * lanes
  int vectors;   // 1 or 2
};

// The gradient to the weights: sums [point][row][width] to dw[tap row][tap column][row][channels].
struct WinogradWeightsGradient {
  WinogradKind kind;
  const float* from;
  int64_t point;
  int64_t rows;
  int width;     // of the panel
  int channels;  // of it in use
  float* dw;
  int64_t row;               // floats from row to row
  int64_t tap_row, tap_col;  // floats from tap to tap
  int tap_rows, tap_cols;    // the taps that there are: the transform may have more
};

}  // namespace cnnfast
