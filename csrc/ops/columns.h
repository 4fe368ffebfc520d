// im2col and its adjoint, threaded.
#pragma once

#include "ops/pool_shape.h"

namespace cnnfast {

// Each window as one row of shape.y_dims.back() values: taps in order, a tap's channels side by side, zeros for
// padding.
void im2col(const PoolShape& shape, const float* x, float* columns);

// x = the sum, at each place, of the columns' values that im2col took from there.
void col2im(const PoolShape& shape, const float* columns, float* x);

}  // namespace cnnfast
