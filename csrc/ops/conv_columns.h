// The gradient to an input of few channels: a matrix product to columns, whose rows are then added where they belong.
//
// With three input channels the phases' panels would leave most lanes of a vector empty; here vectors run along the
// image's rows.
#pragma once

#include "ops/conv_shape.h"

namespace cnnfast {

// Whether conv_transposed() may take this way.
bool columns_pay(const ConvShape& shape);

// As conv_transposed(), for one group.
void conv_transposed_columns(const ConvShape& shape, const float* dy, const float* w, const float* bias,
                             Activation activation, float alpha, float* dx);

}  // namespace cnnfast
