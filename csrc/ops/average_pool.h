// Average pooling over 1-D, 2-D and 3-D windows, threaded.
#pragma once

#include "ops/pool_shape.h"

namespace cnnfast {

// Each y is the mean over its window: over the taps inside the array or, with `count_include_pad`, over all of them,
// padding counting as zeros.
void average_pool_forward(const PoolShape& shape, bool count_include_pad, const float* x, float* y);

// dx: each value of dy spread evenly over the taps that it was the mean of.
void average_pool_backward(const PoolShape& shape, bool count_include_pad, const float* dy, float* dx);

}  // namespace cnnfast
