// Max pooling over 1-D, 2-D and 3-D windows, threaded.
#pragma once

#include "ops/pool_shape.h"

namespace cnnfast {

// How the winners of a pooling are kept: a byte each where the window has at most 256 taps.
WinnerType winner_type(const PoolShape& shape);

// y and, unless `winners` is null, the tap that won each of its values. Padding never wins; the first of equal maxima
// does; a NaN beats every number.
void max_pool_forward(const PoolShape& shape, const float* x, float* y, void* winners);

// Whether the gradient is written row by row, each value once; else values of dy are carried to their places.
bool max_pool_spreads_rows(const PoolShape& shape);

// dx: each value of dy goes to the input that won it.
void max_pool_backward(const PoolShape& shape, const float* dy, const void* winners, float* dx);

}  // namespace cnnfast
