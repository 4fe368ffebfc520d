#include "ops/few_rows.h"

#include "dispatch.h"
#include "runtime/parallel.h"

namespace cnnfast {
namespace {

// Threads take whole cache lines, and enough of the matrix to be worth a call.
constexpr int64_t kGrain = 64;

int64_t rows_of(const ConvShape& shape) {
  return shape.images * shape.axis[0].out * shape.axis[1].out * shape.axis[2].out;
}

void activate(Activation kind, float alpha, float* y, int64_t y_row, int rows, int64_t columns) {
  if (kind == Activation::linear) return;
  for (int r = 0; r < rows; ++r) kernels().activation_forward(kind, alpha, y + r * y_row, y + r * y_row, columns);
}

}  // namespace

bool has_few_rows(const ConvShape& shape) {
  for (const Axis& a : shape.axis) {
    if (a.window != 1 || a.stride != 1 || a.pad_before != 0 || a.in != a.out) return false;
  }
  const bool chosen = shape.algorithm == ConvAlgorithm::automatic || shape.algorithm == ConvAlgorithm::direct ||
                      shape.algorithm == ConvAlgorithm::few_rows;
  const int64_t rows = rows_of(shape);
  return chosen && shape.groups == 1 && rows >= 1 && rows <= kMostFewRows;
}

ConvRoute few_rows_route() {
  ConvRoute route;
  route.loops = ConvRoute::Loops::few_rows;
  return route;
}

void few_rows_forward(const ConvShape& shape, const float* x, const float* w, const float* bias, Activation activation,
                      float alpha, float* y) {
  parallel_ranges(shape.out_channels, kGrain, shape.flops(), [&](int64_t begin, int64_t end) {
    FewRowsForward f;
    f.x = x;
    f.w = w + begin;
    f.w_row = shape.out_channels;
    f.bias = bias == nullptr ? nullptr : bias + begin;
    f.y = y + begin;
    f.y_row = shape.out_channels;
    f.rows = static_cast<int>(rows_of(shape));
    f.in = shape.in_channels;
    f.columns = end - begin;
    kernels().few_rows_forward(f);
    activate(activation, alpha, f.y, f.y_row, f.rows, f.columns);
  });
}

void few_rows_backward_data(const ConvShape& shape, const float* dy, const float* w, const float* bias,
                            Activation activation, float alpha, float* dx) {
  parallel_ranges(shape.in_channels, kGrain, shape.flops(), [&](int64_t begin, int64_t end) {
    FewRowsBackwardData b;
    b.dy = dy;
    b.w = w + begin * shape.out_channels;
    b.bias = bias == nullptr ? nullptr : bias + begin;
    b.dx = dx + begin;
    b.dx_row = shape.in_channels;
    b.rows = static_cast<int>(rows_of(shape));
    b.count = end - begin;
    b.out = shape.out_channels;
    kernels().few_rows_backward_data(b);
    activate(activation, alpha, b.dx, b.dx_row, b.rows, b.count);
  });
}

void few_rows_backward_weights(const ConvShape& shape, const float* x, const float* dy, float* dw) {
  parallel_ranges(shape.in_channels, kGrain, shape.flops(), [&](int64_t begin, int64_t end) {
    FewRowsBackwardWeights b;
    b.x = x + begin;
    b.x_row = shape.in_channels;
    b.dy = dy;
    b.dw = dw + begin * shape.out_channels;
    b.rows = static_cast<int>(rows_of(shape));
    b.count = end - begin;
    b.out = shape.out_channels;
    kernels().few_rows_backward_weights(b);
  });
}

}  // namespace cnnfast
