// Arguments of convolutions that are pooled while their sums are still in registers: maxima over windows of 2x2 outputs
// that keep apart.
#pragma once

#include <cstdint>

#include "kernels/activation.h"

namespace cnnfast {

// Neighbouring pooled pixels of one row, for at most one vector of output channels.
struct ConvPoolTile {
  const float* x;             // what the first window's first pixel sees
  int64_t x_pixel, x_row;     // floats from one of the convolution's outputs to the next, and to the one below it
  const int64_t* runs;        // offsets of the runs from a pixel's window
  int run_count, run_length;  // as of ConvTile
  const float* w;             // packed panel of one vector
  const float* bias;          // `channels` values, or null
  int channels;               // of this panel: 1 to lanes
  float* y;
  uint8_t* winners;  // null where none are kept
  int64_t y_pixel;   // of y and of the winners
  int64_t pixels;
  Activation activation;  // linear, relu, relu6 or leaky_relu
  float alpha;
};

}  // namespace cnnfast
