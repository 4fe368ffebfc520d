// The largest of each group of consecutive entries along an axis.
#pragma once

#include <cstdint>

namespace cnnfast {

// x is (groups, pieces, inner), y is (groups, inner): y[g, i] = max over p of x[g, p, i].
struct MaxoutShape {
  int64_t groups, pieces, inner;
};

// NaN is larger than all numbers.
void maxout_forward(MaxoutShape shape, const float* x, float* y);
// The gradient goes to the first of the largest.
void maxout_backward(MaxoutShape shape, const float* x, const float* dy, float* dx);

}  // namespace cnnfast
