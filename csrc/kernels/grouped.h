// Arguments of the kernels for convolutions of few channels a group, depthwise ones among them.
//
// A block is the vector's worth of channels that holds as many whole groups as fit, in the input as in the output.
// Where a group is more than one channel, the other side's vector is permuted so that every lane meets its own group.
#pragma once

#include <cstdint>

#include "kernels/activation.h"

namespace cnnfast {

// How the channels fall into blocks.
struct GroupBlocks {
  int64_t count;
  int64_t whole;            // the first ones, that leave no lane empty
  int block_in, block_out;  // channels of a block,
  int last_in, last_out;    // and of the last one
  // Null in a depthwise convolution. Else, of each lane, where its group begins in the permuted side's block.
  const int32_t* places;
};

// A row of taps that lies inside the input.
struct TapRow {
  int64_t x;  // offset from the window's first row
  int64_t w;  // offset in a block's weights
};

// Neighbouring output pixels of one row whose windows have the same taps inside the input:
// y[p, k] = activation(bias[k] + sum over rows, taps and c of x[p * x_pixel + row + tap * x_tap, c] * w[row, c, tap,
// k])
struct GroupedRow {
  GroupBlocks blocks;
  const float* x;
  int64_t x_pixel;
  int64_t x_tap;
  const TapRow* rows;
  int row_count;
  int taps;            // of each row
  const float* w;      // [block][row][group_channels][...][lanes]
  int64_t w_block;     // floats of a block
  int64_t w_channel;   // floats from one channel of the group to the next
  int group_channels;  // of the input
  const float* bias;   // or null
  float* y;
  int64_t y_pixel;
  int64_t pixels;
  Activation activation;  // linear, relu, relu6 or leaky_relu
  float alpha;
};

// One tap of the gradient.
struct TapPlace {
  int64_t x;   // offset from the window's start
  int64_t dw;  // offset in a block's gradient
};

// dw[k, tap, c] += sum over pixels of x[p + tap, c] * dy[p, k]. Lanes are input channels, dy is what is permuted.
// db[k] += sum over pixels of dy[p, k].
struct GroupedWeights {
  GroupBlocks blocks;
  const float* x;
  int64_t x_pixel, x_row;
  const float* dy;
  int64_t dy_pixel, dy_row;
  int64_t rows, cols;
  const TapPlace* taps;
  int tap_count;
  float* dw;           // [block][group_channels][...][lanes]
  int64_t dw_block;    // floats of a block
  int64_t dw_channel;  // floats from one channel of the group to the next
  int group_channels;  // of the output
  float* db;           // [block][lanes], or null
};

}  // namespace cnnfast
