// Convolution at stride 1 by minimal filtering: fewer products, at the price of some rounding error.
#pragma once

#include "kernels/winograd.h"
#include "ops/conv_shape.h"
#include "ops/correlation.h"

namespace cnnfast {

struct PooledInput;

// Whether this correlation has the window, stride and dilation that `kind` computes.
bool winograd_fits(const WindowSource& source, WinogradKind kind);

// As correlate().
void correlate_winograd(const Correlation& c, WinogradKind kind, const float* x, const WeightView& w, const float* bias,
                        float* y);

// As conv_backward_weights(), without the kernel's flip.
void winograd_backward_weights(const ConvShape& shape, WinogradKind kind, const float* x, const float* dy, float* dw);
void winograd_backward_weights(const ConvShape& shape, WinogradKind kind, const float* x, const PooledInput& dy,
                               float* dw);

}  // namespace cnnfast
