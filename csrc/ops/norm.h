// Batch normalisation over rows of channels, threaded.
#pragma once

#include <cstdint>

namespace cnnfast {

// y = gamma * (x - mean) / sqrt(variance + epsilon) + beta, then a ReLU where asked. Each pointer is one value a
// channel; gamma and beta may be null (1 and 0).
struct BatchNorm {
  int64_t rows;
  int64_t channels;
  const float* mean;
  const float* variance;
  const float* gamma;
  const float* beta;
  float epsilon;
  bool relu;
};

// Each channel's mean and biased variance over at least one row: chunk by chunk while a chunk is in cache, the chunks
// combined in order by the formula of Chan, Golub and LeVeque (1979), in double precision.
void batch_moments(const float* x, int64_t rows, int64_t channels, float* mean, float* variance);

void batch_norm_forward(const BatchNorm& norm, const float* x, float* y);

// The gradients; with `of_statistics`, mean and variance are those of x itself and depend on it. dx may be null.
void batch_norm_backward(const BatchNorm& norm, bool of_statistics, const float* x, const float* dy, float* dx,
                         float* dgamma, float* dbeta);

}  // namespace cnnfast
