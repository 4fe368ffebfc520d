// Arguments of the convolution kernels.
//
// All of them work on "runs": a tap row of the kernel window is one contiguous piece of NHWC memory (several taps times
// all channels where the dilation is 1, one tap otherwise), so a window is a short list of runs, given by their offsets
// from the window's first element. One, two and three dimensions differ only in that list.
#pragma once

#include <cstdint>

#include "kernels/activation.h"

namespace cnnfast {

// Neighbouring output pixels of one row, for one panel of output channels:
// y[p, k] = activation(bias[k] + sum over runs and elements of x[p * x_pixel + run + e] * w[run, e, k])
struct ConvTile {
  const float* x;       // the first pixel's window
  int64_t x_pixel;      // floats from one pixel's window to the next
  const int64_t* runs;  // offsets of the runs from the window's start
  int run_count;
  int run_length;
  const float* w;     // packed panel [run][element][vectors * lanes], zero past `channels`
  const float* bias;  // `channels` values, or null
  float* y;
  int64_t y_pixel;
  int64_t pixels;
  int channels;           // of this panel: (vectors - 1) * lanes < channels <= vectors * lanes
  int vectors;            // 1 <= vectors <= kMaxPanelVectors
  bool accumulate;        // start from y instead of the bias
  bool fetch_ahead;       // the next pixels come from far: pixels that share no windows, read once
  bool fetch_y;           // y is no scratch memory: its lines are in no near cache
  Activation activation;  // linear, relu, relu6 or leaky_relu; the others run over the finished row
  float alpha;
};

// dw[e, k] += sum over pixels of x[p + e] * dy[p, k], for one run and one panel.
struct ConvWeightsTile {
  const float* x;  // the run's first element at the first pixel
  int64_t x_pixel;
  int64_t x_row;
  const float* dy;  // `vectors * lanes` values of each pixel, rows one after the other
  int64_t dy_pixel;
  int rows;
  int cols;
  float* dw;  // [run_length][vectors * lanes]
  int run_length;
  const int64_t* elements;  // null, or offsets from x of the run's elements where they are not neighbours
  int vectors;              // 1 <= vectors <= kMaxWeightsVectors
};

// The same where dy is the gradient of a max pooling's input, known by the pooled pixels of one row and their winners:
// sums[k, piece, e] += sum over pixels p of x[p * x_pixel + taps[winner[p, k]] + pieces[piece] + e] * dy[p, k]
struct PooledWeightsRow {
  const float* x;
  int64_t x_pixel;      // floats from one pooled pixel's first window to the next one's
  const int64_t* taps;  // where the window of each of the pooling's taps lies, from the first
  int64_t pixels;
  const float* dy;
  const uint8_t* winners;
  int64_t channels;       // of dy, of the winners and of the sums
  const int64_t* pieces;  // offsets of the window's pieces
  int piece_count;
  int lanes;    // a piece's elements
  float* sums;  // a vector for each piece
};

// Copies a panel of a row-major matrix: to[r, j] = from[r * row + j * col] for j < cols, 0 for cols <= j < padded.
struct PackPanel {
  const float* from;
  int64_t row;
  int64_t col;  // 1, or the stride of a transposed panel (then row is 1)
  int64_t rows;
  int cols;
  int padded;
  float* to;
};

// The way back, for a gradient summed up in several parts: to[r, j] = the sum over parts of from[r, j], j < cols.
struct UnpackPanels {
  const float* from;
  int64_t part;  // floats from one part to the next
  int parts;
  int64_t rows;
  int cols;
  int padded;
  float* to;
  int64_t row;
};

// to[r * to_run + i] += the sum over parts p of from[r * from_run + p * part + i], for all runs r and i < length.
struct AddRuns {
  const float* from;
  int64_t part;
  int64_t parts;
  int64_t from_run;
  float* to;
  int64_t to_run;
  int64_t runs;
  int64_t length;
};

constexpr int kMaxPanelVectors = 4;
constexpr int kMaxWeightsVectors = 2;
constexpr int kMaxTilePixels = 14;

}  // namespace cnnfast
