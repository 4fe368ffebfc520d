// Arguments of convolutions with few outputs: vectors run along the image's rows, which are kept channel by channel.
#pragma once

#include <cstdint>

#include "kernels/activation.h"

namespace cnnfast {

constexpr int kMostLineOutputs = 8;
constexpr int kMostLineRows = 8;

// How many rows of pixels are summed up side by side: with `outputs` accumulators each, beside the outputs' weights and
// one vector of the input, they fill the registers.
constexpr int line_rows(int outputs, int accumulators) {
  const int rows = (accumulators + 3 - outputs) / outputs;
  return rows < 1 ? 1 : rows > kMostLineRows ? kMostLineRows : rows;
}

// As many rows as line_rows() says of one vector of neighbouring pixels, of which some are written.
struct LineTile {
  const float* x;  // what the first pixel's first tap meets in the first channel
  int64_t x_channel, x_row;
  int channels;
  const int64_t* taps;  // offsets from the first
  int tap_count;
  const float* w;     // [channel][tap][output]
  const float* bias;  // of the outputs, or null
  int outputs;        // at most kMostLineOutputs
  float* y;
  int64_t y_row, y_pixel;  // a pixel's outputs are neighbours
  int rows, pixels;        // to be written
  const int32_t* places;   // where the outputs of the pixels, one after the other, are among vectors of each output
};

// How many outputs have room for the two rows and two vectors of pixels of a LinePoolTile, beside the input's four.
constexpr int line_pool_outputs(int accumulators) { return (accumulators - 4) / 4; }
constexpr int kMostLinePoolOutputs = 6;

// Two rows and two vectors of neighbouring pixels, pooled by windows of 2x2 before they are written: `line.y` and
// `winners` (null where none are kept) are of one row of pooled pixels, of which `line.pixels` are written, and
// `line.places` is as there.
struct LinePoolTile {
  LineTile line;
  uint8_t* winners;
  Activation activation;  // linear, relu, relu6 or leaky_relu
  float alpha;
};

}  // namespace cnnfast
