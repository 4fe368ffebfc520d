// The gradient to a convolution's weights straight from the gradient behind a max pooling and its winners: of the
// pixels of a pooling's window only the winner receives any, so only its window of x counts.
#pragma once

#include "ops/conv_shape.h"
#include "ops/pool_shape.h"

namespace cnnfast {

// Whether this takes less time than spreading the gradient over all pixels and multiplying by it: a product for every
// channel and pooled pixel, of vectors along a window's rows, beside one for every element and pixel, along channels.
bool pooled_weights_pay(const ConvShape& shape, const PoolShape& pool);

// Whether there is neither a NaN nor an infinity in x (nor are they so large as to overflow together). Multiplied by
// the zeros that other pixels receive, these would not vanish.
bool all_finite(const float* x, const ConvShape& shape);

// For what pooled_weights_pay(): dw from `dy` at the pooling's output.
void pooled_backward_weights(const ConvShape& shape, const PoolShape& pool, const float* x, const float* dy,
                             const uint8_t* winners, float* dw);

}  // namespace cnnfast
