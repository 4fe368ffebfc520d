// Convolutions to few channels, as the gradient to an image is one: vectors run along the rows of pixels.
//
// Panels of so few output channels would leave most lanes of a vector empty.
#pragma once

#include <vector>

#include "ops/correlation.h"

namespace cnnfast {

// Whether rows of pixels fill vectors better than so few output channels do.
bool lines_pay(const WindowSource& source, int64_t out_channels);

// Whether these loops can run, if not always quickly.
bool lines_fit(const WindowSource& source, int64_t out_channels);

// As correlate() for each of several correlations of one x, such as the phases of a gradient, for all of which
// lines_fit().
void correlate_lines(const std::vector<CorrelationPart>& parts, const float* x, const float* bias);

// What becomes of the rows where windows of 2x2 that keep apart are pooled at once.
struct LinePooling {
  int64_t height, width;  // pooled
  float* y;
  uint8_t* winners;  // or null
};

// Whether rows of pixels with so few output channels can be pooled before they are written.
bool lines_can_pool(int64_t out_channels, int64_t pooled_width);

// As correlate_lines() of one correlation with max pooling behind it; its own `y` is not written.
void correlate_and_pool_lines(const CorrelationPart& part, const LinePooling& pooling, const float* x,
                              const float* bias);

}  // namespace cnnfast
