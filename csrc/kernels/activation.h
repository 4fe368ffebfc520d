// Elementwise activations, as kernels, ops and bindings name them.
#pragma once

#include <cstdint>

namespace cnnfast {

// ACTIVATION(name, gradient is computed from the output rather than from the input)
#define CNNFAST_ACTIVATIONS(ACTIVATION) \
  ACTIVATION(linear, true)              \
  ACTIVATION(relu, true)                \
  ACTIVATION(relu6, true)               \
  ACTIVATION(leaky_relu, true)          \
  ACTIVATION(sigmoid, true)             \
  ACTIVATION(tanh, true)                \
  ACTIVATION(elu, true)                 \
  ACTIVATION(selu, true)                \
  ACTIVATION(softplus, true)            \
  ACTIVATION(gelu, false)               \
  ACTIVATION(gelu_tanh, false)          \
  ACTIVATION(silu, false)               \
  ACTIVATION(hard_sigmoid, true)        \
  ACTIVATION(hard_silu, false)

enum class Activation : int32_t {
#define ACTIVATION(name, from_output) name,
  CNNFAST_ACTIVATIONS(ACTIVATION)
#undef ACTIVATION
};

}  // namespace cnnfast
