// Pooling over every position of an image at once: x is (images, positions, channels), y is (images, channels).
#pragma once

#include <cstdint>

namespace cnnfast {

// The winner is the position of the first maximum; positions must be below 2^31. `winners` may not be null.
void global_max_forward(const float* x, int64_t images, int64_t positions, int64_t channels, float* y,
                        int32_t* winners);
void global_max_backward(const float* dy, const int32_t* winners, int64_t images, int64_t positions, int64_t channels,
                         float* dx);

void global_average_forward(const float* x, int64_t images, int64_t positions, int64_t channels, float* y);
void global_average_backward(const float* dy, int64_t images, int64_t positions, int64_t channels, float* dx);

}  // namespace cnnfast
