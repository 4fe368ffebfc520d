// A convolution and the max pooling behind it. The convolution's output is not kept; where one pass is quicker, a few
// of its rows at a time are pooled while they are in the nearest cache, and likewise the rows of its gradient on the
// way back.
#pragma once

#include "ops/conv.h"
#include "ops/pool_shape.h"

namespace cnnfast {

// Throws std::invalid_argument where the pooling is of something else than the convolution's output.
void require_conv_pool(const ConvShape& shape, const PoolShape& pool);

// Where this is quicker than one after the other: forward or, `with_gradients`, on the way back to the weights. Without
// gradients minimal filtering rather has its weights ready.
bool conv_pool_joined(const ConvShape& shape, const PoolShape& pool, bool with_gradients);

// For what conv_pool_joined(): y = max pooling of activation(correlation of x with w + bias); the same bits as one
// after the other. `bias` and `winners` may be null.
void conv_pool_forward(const ConvShape& shape, const PoolShape& pool, const float* x, const float* w, const float* bias,
                       Activation activation, float alpha, float* y, void* winners);

// The gradients to the input and to the weights, where they are not null, from `dy` at the pooling's output, in front
// of the activation.
void conv_pool_backward(const ConvShape& shape, const PoolShape& pool, const float* x, const float* w, const float* dy,
                        const void* winners, float* dx, float* dw);

}  // namespace cnnfast
