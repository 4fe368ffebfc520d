// Convolution and its gradients over whole arrays. Pointers are to dense NHWC arrays and HWIO kernels of the shape's
// dimensions.
#pragma once

#include "kernels/activation.h"
#include "ops/conv_shape.h"
#include "ops/kept_weights.h"

namespace cnnfast {

class PooledGradient;
struct PooledInput;

// y = activation(correlation of x with w + bias); `bias` may be null. `kept`, where it is not null, belongs to these
// values of w and this window, stride, dilation and direction; sizes and batches may change from call to call.
void conv_forward(const ConvShape& shape, const float* x, const float* w, const float* bias, Activation activation,
                  float alpha, float* y, KeptWeights* kept = nullptr);

// The same, and each output channel's mean and biased variance over all of at least one pixel: the bits that
// batch_moments() makes of y, found while y is in the cache.
void conv_forward_moments(const ConvShape& shape, const float* x, const float* w, const float* bias,
                          Activation activation, float alpha, float* y, float* mean, float* variance);

// dx: what the gradient dy at the output is at the input. This is also the transposed convolution of dy.
void conv_backward_data(const ConvShape& shape, const float* dy, const float* w, float* dx);

// The same where a pooling follows and only the gradient behind it is known; for what backward_data_reads_pooled().
void conv_backward_data(const ConvShape& shape, const PooledInput& dy, const float* w, float* dx);

// As above with a bias per input channel and an activation: the transposed convolution as a layer has it.
void conv_transposed(const ConvShape& shape, const float* dy, const float* w, const float* bias, Activation activation,
                     float alpha, float* dx);

// Where `db` is not null, also the gradient to the bias: the sums of dy, from the same pass where the loops allow it.
void conv_backward_weights(const ConvShape& shape, const float* x, const float* dy, float* dw, float* db);

// The same where a pooling follows and only the gradient behind it is known; for the direct loops.
void conv_backward_weights(const ConvShape& shape, const float* x, const PooledGradient& dy, float* dw);
// and for what backward_weights_reads_pooled().
void conv_backward_weights(const ConvShape& shape, const float* x, const PooledInput& dy, float* dw);

// Which loops each pass of this convolution runs through.
ConvRoute forward_route(const ConvShape& shape, bool weights_kept = false);
std::string backward_data_route(const ConvShape& shape);
ConvRoute backward_weights_route(const ConvShape& shape);

// Throws std::invalid_argument, naming `op`, where special loops are asked for and no pass can run through them.
void require_algorithm(const std::string& op, const ConvShape& shape);

}  // namespace cnnfast
