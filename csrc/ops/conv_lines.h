// Convolutions to few channels, as the gradient to an image is one: vectors run along the rows of pixels.
//
// Panels of so few output channels would leave most lanes of a vector empty.
#pragma once

#include <vector>

#include "ops/correlation.h"

namespace cnnfast {

// Whether rows of pixels fill vectors better than so few output channels do.
bool lines_pay(const WindowSource& source, int64_t out_channels);

// As correlate() for each of several correlations of one x, such as the phases of a gradient, for all of which
// lines_pay().
void correlate_lines(const std::vector<CorrelationPart>& parts, const float* x, const float* bias);

}  // namespace cnnfast
