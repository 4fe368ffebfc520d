// Convolutions in which every channel has a window of its own: bound by memory, vectorised over the channels.
#pragma once

#include "ops/conv_shape.h"
#include "ops/correlation.h"

namespace cnnfast {

// As correlate(), for one input and one output channel in each group.
void correlate_depthwise(const Correlation& c, const float* x, const WeightView& w, const float* bias, float* y);

void depthwise_backward_weights(const ConvShape& shape, const float* x, const float* dy, float* dw);

}  // namespace cnnfast
