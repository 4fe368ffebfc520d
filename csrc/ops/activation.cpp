#include "ops/activation.h"

#include <stdexcept>

#include "dispatch.h"
#include "ops/reduce.h"
#include "runtime/parallel.h"

namespace cnnfast {
namespace {

constexpr int64_t kGrain = 4096;

// Elementary operations for one value.
double work(Activation kind, int64_t count) {
  return (piecewise_linear(kind) ? 2.0 : 24.0) * static_cast<double>(count);
}

}  // namespace

Activation activation_from_name(const std::string& op, const std::string& name) {
  std::string known;
#define ACTIVATION(kind, from_output)         \
  if (name == #kind) return Activation::kind; \
  known += (known.empty() ? "" : ", ") + std::string(#kind);
  CNNFAST_ACTIVATIONS(ACTIVATION)
#undef ACTIVATION
  throw std::invalid_argument(op + ": unknown activation '" + name + "'; known: " + known);
}

bool piecewise_linear(Activation kind) {
  return kind == Activation::linear || kind == Activation::relu || kind == Activation::relu6 ||
         kind == Activation::leaky_relu;
}

bool gradient_uses_output(Activation kind) {
  switch (kind) {
#define ACTIVATION(name, from_output) \
  case Activation::name:              \
    return from_output;
    CNNFAST_ACTIVATIONS(ACTIVATION)
#undef ACTIVATION
  }
  return true;
}

void activation_forward(Activation kind, float alpha, const float* x, float* y, int64_t count) {
  parallel_ranges(count, kGrain, work(kind, count), [&](int64_t begin, int64_t end) {
    kernels().activation_forward(kind, alpha, x + begin, y + begin, end - begin);
  });
}

void activation_backward_sums(Activation kind, float alpha, const float* y, const float* dy, float* dz, int64_t rows,
                              int64_t channels, float* sums) {
  if (!piecewise_linear(kind)) {
    activation_backward(kind, alpha, y, dy, dz, rows * channels);
    channel_sums(dz, rows, channels, sums);
    return;
  }
  const Columns columns = columns_of(channels);
  sums_of_chunks(rows, channels, sums, [&](int64_t first, int64_t count, float* to) {
    const int64_t place = first * channels;
    kernels().activation_gradient_sums(columns, kind, alpha, y + place, dy + place, count, dz + place, to);
  });
}

void activation_backward(Activation kind, float alpha, const float* saved, const float* dy, float* dx, int64_t count) {
  parallel_ranges(count, kGrain, work(kind, count), [&](int64_t begin, int64_t end) {
    kernels().activation_backward(kind, alpha, saved + begin, dy + begin, dx + begin, end - begin);
  });
}

}  // namespace cnnfast
