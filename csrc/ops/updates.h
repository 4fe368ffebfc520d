// One step of an optimiser over all parameters of a model, in place and in one parallel region.
#pragma once

#include <cstdint>
#include <vector>

namespace cnnfast {

struct SgdParameter {
  float* weights;
  const float* gradient;
  float* velocity;  // null where momentum is 0
  int64_t count;
};

struct AdamParameter {
  float* weights;
  const float* gradient;
  float *mean, *square;
  int64_t count;
};

// velocity = momentum * velocity - learning_rate * gradient; weights += velocity, or with Nesterov's momentum
// weights += momentum * velocity - learning_rate * gradient.
void sgd_update(const std::vector<SgdParameter>& parameters, double learning_rate, double momentum, bool nesterov);

// mean += (gradient - mean) * (1 - beta_1); square += (gradient^2 - square) * (1 - beta_2);
// weights -= mean * alpha / (sqrt(square) + epsilon), alpha = learning_rate * sqrt(1 - beta_2^step) / (1 -
// beta_1^step). `step` counts from 1.
void adam_update(const std::vector<AdamParameter>& parameters, int64_t step, double learning_rate, double beta_1,
                 double beta_2, double epsilon);

}  // namespace cnnfast
