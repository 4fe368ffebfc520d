// Local response normalisation: every value over a power of the squares of its neighbours in the channels.
#pragma once

#include <cstdint>

namespace cnnfast {

// y[c] = x[c] / (bias + alpha * sum of x[c - radius .. c + radius]^2)^beta. `step` is what lies between rows in the
// kernels' scratch memory: the channels and, shared with the next row, `radius` zeros.
struct LocalResponse {
  int64_t channels;
  int64_t radius;
  int64_t step;
  float bias;
  float alpha;
  float beta;
};

}  // namespace cnnfast
