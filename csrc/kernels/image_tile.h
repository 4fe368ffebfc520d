// Arguments of convolutions with few outputs over many small images: vectors run across the images.
#pragma once

#include <cstdint>

namespace cnnfast {

constexpr int kMostImageOutputs = 8;
constexpr int kMostImagePixels = 8;

// How many pixels of a row are summed up side by side: with `outputs` accumulators each, beside a vector of the input
// for each and one of the weights, they fill the registers.
constexpr int image_pixels(int outputs, int accumulators) {
  const int pixels = (accumulators + 3) / (outputs + 1);
  return pixels > kMostImagePixels ? kMostImagePixels : pixels;
}

// A row of taps, and a column of them: offsets in x and in the weights add up. Only pixels [begin, end) of the tile
// meet the column inside the image.
struct ImageTapRow {
  int64_t x, w;
};
struct ImageTapColumn {
  int64_t x, w;
  int begin, end;
};

// Some neighbouring pixels of a row, of as many images as a vector has lanes:
// y[image, p, k] = bias[k] + sum over rows, columns and c of x[row + column + p * x_pixel, c, image] * w[row, column,
// c, k]
struct ImageTile {
  const float* x;  // of each pixel and channel the images' values, side by side
  int64_t x_pixel;
  int channels;
  const ImageTapRow* rows;
  int row_count;
  const ImageTapColumn* columns;
  int column_count;
  const float* w;     // [tap][channel][output]
  const float* bias;  // of the outputs, or null
  int outputs;        // at most kMostImageOutputs
  int pixels;         // at most image_pixels()
  float* y;
  int64_t y_image, y_pixel;
  int images;  // to be written
};

}  // namespace cnnfast
