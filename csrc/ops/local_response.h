// Local response normalisation over rows of channels, threaded.
#pragma once

#include <cstdint>

#include "kernels/local_response.h"

namespace cnnfast {

// `radius` may be larger than the channels.
LocalResponse make_local_response(int64_t channels, int64_t radius, float bias, float alpha, float beta);

void local_response_forward(const LocalResponse& response, const float* x, int64_t rows, float* y);
void local_response_backward(const LocalResponse& response, const float* x, const float* dy, int64_t rows, float* dx);

}  // namespace cnnfast
