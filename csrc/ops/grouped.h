// Convolutions of few channels a group, depthwise ones among them: vectors hold the channels of several whole groups,
// and the input is read where it lies, windows that leave it with fewer taps.
#pragma once

#include <vector>

#include "ops/conv_shape.h"
#include "ops/correlation.h"

namespace cnnfast {

// Whether vectors hold at least two whole groups, and so fill better than panels of one group's output channels.
bool groups_share_vectors(int64_t groups, int64_t in_channels, int64_t out_channels);

// Whether a vector holds a group at least, so that these loops can run.
bool groups_fit_vectors(int64_t groups, int64_t in_channels, int64_t out_channels);

// As correlate() for each of several correlations of one x with the same groups, such as the phases of a gradient; all
// are run through row by row, so that x and y pass through the caches once.
void correlate_grouped(const std::vector<CorrelationPart>& parts, const float* x, const float* bias);

// `db`, the sums of dy, comes along almost for nothing; it may be null.
void grouped_backward_weights(const ConvShape& shape, const float* x, const float* dy, float* dw, float* db);

}  // namespace cnnfast
