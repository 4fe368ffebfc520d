// Sums down the columns of a matrix, and what batch normalisation computes with them.
#pragma once

#include <cstdint>

#include "kernels/activation.h"

namespace cnnfast {

// Rows narrower than a few vectors are seen `repeat` at a time as one wide row, so that vectors are full and enough
// sums are under way at once. Values that belong to a column are then needed as a tile: `repeat` copies side by side.
struct Columns {
  int64_t count;   // values in a row
  int64_t repeat;  // rows seen as one
};

// y = f((x - center) * scale + shift), where f is linear, relu or relu6; each is a tile. The gradient is
// f'(y) * dy * scale + (x - center) * slope + constant.
struct Normalizer {
  Columns columns;
  Activation activation;
  const float* center;
  const float* scale;
  const float* shift;
  const float* slope;     // gradient only
  const float* constant;  // gradient only
  bool fetch_ahead;       // what is written, as no cache has it yet
};

}  // namespace cnnfast
