// Batch normalisation over rows of channels, threaded.
#pragma once

#include <cstdint>

#include "kernels/activation.h"

namespace cnnfast {

// y = f(gamma * (x - mean) / sqrt(variance + epsilon) + beta), where f is linear, relu or relu6. Each pointer is one
// value a channel; gamma and beta may be null (1 and 0).
struct BatchNorm {
  int64_t rows;
  int64_t channels;
  const float* mean;
  const float* variance;
  const float* gamma;
  const float* beta;
  float epsilon;
  Activation activation;
};

// `residual`, of x's shape or null, is added before the activation.
void batch_norm_forward(const BatchNorm& norm, const float* x, const float* residual, float* y);

// What the forward pass made where it added a residual, and where the residual's gradient goes.
struct ResidualGradient {
  const float* y;
  float* d_residual;
};

// The gradients; with `of_statistics`, mean and variance are those of x itself and depend on it. dx may be null, and
// `residual` is where there was none or where the activation is linear: dy is the residual's gradient then.
void batch_norm_backward(const BatchNorm& norm, bool of_statistics, const float* x, const float* dy,
                         const ResidualGradient* residual, float* dx, float* dgamma, float* dbeta);

}  // namespace cnnfast
