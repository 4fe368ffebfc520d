#include "ops/winograd_pooled.h"

#include "dispatch.h"
#include "ops/conv.h"

namespace cnnfast {
namespace {

bool untouched(const Axis& a) { return a.window == 1 && a.stride == 1 && a.pad_before == 0 && a.in == a.out; }

bool pairs(const Axis& a) { return a.window == 2 && a.stride == 2 && a.dilation == 1 && a.pad_before == 0; }

}  // namespace

void PooledOutput::gather(const WinogradGather& g, const float* y) const {
  kernels().winograd_pooled_output(g, {rows, cols, winners == nullptr ? nullptr : winners + (g.image - y)});
}

PooledInput::PooledInput(const PoolShape& pool, const float* dy, const uint8_t* winners)
    : strides{pool.out_image(), pool.height().out * pool.out_row(), pool.out_row(), pool.channels},
      rows_(pool.height().out),
      cols_(pool.width().out),
      dy_(dy),
      winners_(winners) {}

WinogradScatter PooledInput::pooled(WinogradScatter s) const {
  if (s.image == nullptr) return s;  // reads zeros
  s.rows = rows_;
  s.cols = cols_;
  return s;
}

const uint8_t* PooledInput::winners_of(const WinogradScatter& s) const {
  return s.image == nullptr ? nullptr : winners_ + (s.image - dy_);
}

void PooledInput::scatter_input(WinogradScatter s) const { kernels().winograd_pooled_input(pooled(s), winners_of(s)); }

void PooledInput::scatter_output_gradient(WinogradScatter s) const {
  kernels().winograd_pooled_output_gradient(pooled(s), winners_of(s));
}

bool pooled_in_tiles(const ConvShape& shape, const PoolShape& pool, WinogradKind kind) {
  const auto tiled = [](const Axis& a) { return a.window == 1 || a.dilation == 1; };
  const bool rows_fit = kind.vertical == WinogradAxis::unit ? untouched(pool.height()) : pairs(pool.height());
  return shape.images > 0 && tiled(shape.axis[1]) && tiled(shape.axis[2]) && untouched(pool.depth()) && rows_fit &&
         pairs(pool.width());
}

bool pools_tiles(const ConvShape& shape, const PoolShape& pool) {
  const ConvRoute route = forward_route(shape);
  return route.loops == ConvRoute::Loops::winograd && pooled_in_tiles(shape, pool, route.kind);
}

bool backward_weights_reads_pooled(const ConvShape& shape, const PoolShape& pool) {
  const ConvRoute route = backward_weights_route(shape);
  return route.loops == ConvRoute::Loops::winograd && pooled_in_tiles(shape, pool, route.kind);
}

void winograd_pool_forward(const ConvShape& shape, const PoolShape& pool, const float* x, const float* w,
                           const float* bias, Activation activation, float alpha, float* y, uint8_t* winners) {
  const PooledOutput pooled{pool.height().out, pool.width().out, winners};
  Correlation c = forward_correlation(shape, activation, alpha);
  c.y_image = pool.out_image();
  c.y_plane = pool.height().out * pool.out_row();
  c.y_row = pool.out_row();
  c.y_pixel = pool.channels;
  c.pooled_output = &pooled;
  correlate(c, forward_route(shape), x, forward_weights(shape, w), bias, y);
}

}  // namespace cnnfast
