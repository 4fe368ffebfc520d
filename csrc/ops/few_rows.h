// Products of a few rows with a matrix: dense layers of small batches, and whatever else comes down to that.
#pragma once

#include "kernels/activation.h"
#include "ops/conv_shape.h"

namespace cnnfast {

// Whether a convolution is such a product, and the route that it then takes.
bool has_few_rows(const ConvShape& shape);
ConvRoute few_rows_route();

void few_rows_forward(const ConvShape& shape, const float* x, const float* w, const float* bias, Activation activation,
                      float alpha, float* y);
void few_rows_backward_data(const ConvShape& shape, const float* dy, const float* w, const float* bias,
                            Activation activation, float alpha, float* dx);
void few_rows_backward_weights(const ConvShape& shape, const float* x, const float* dy, float* dw);

}  // namespace cnnfast
