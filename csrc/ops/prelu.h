// The rectifier with a slope for every column, threaded.
#pragma once

#include <cstdint>

namespace cnnfast {

// x is rows of columns; y = x where it is positive, else alpha[column] * x.
struct Prelu {
  int64_t rows;
  int64_t columns;
  const float* alpha;
};

void prelu_forward(const Prelu& prelu, const float* x, float* y);
void prelu_backward(const Prelu& prelu, const float* x, const float* dy, float* dx, float* dalpha);

}  // namespace cnnfast
