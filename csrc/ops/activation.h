// Elementwise activations over whole arrays, threaded.
#pragma once

#include <cstdint>
#include <string>

#include "kernels/activation.h"

namespace cnnfast {

// Throws std::invalid_argument that lists the known names.
Activation activation_from_name(const std::string& op, const std::string& name);

// Whether kernels apply it to their registers: linear, relu, relu6 and leaky_relu.
bool piecewise_linear(Activation kind);

// Whether the gradient is computed from the activation's output (else from its input).
bool gradient_uses_output(Activation kind);

// y = f(x) over `count` values; x == y is allowed. `alpha` is leaky_relu's and elu's slope or scale.
void activation_forward(Activation kind, float alpha, const float* x, float* y, int64_t count);

// dx = dy * f'; `saved` is f's output or input as gradient_uses_output says; dy == dx is allowed.
void activation_backward(Activation kind, float alpha, const float* saved, const float* dy, float* dx, int64_t count);

// dz = dy * f' over rows of channels, from f's output, and sums[c] = the sum of dz down channel c: what a layer with a
// bias before its activation needs. dz == dy is allowed.
void activation_backward_sums(Activation kind, float alpha, const float* y, const float* dy, float* dz, int64_t rows,
                              int64_t channels, float* sums);

}  // namespace cnnfast
