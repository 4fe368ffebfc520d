// Max pooling behind a convolution by minimal filtering, done on its tiles: windows of two values that keep apart lie
// within tiles, whose sides are even.
#pragma once

#include <cstdint>

#include "ops/conv_shape.h"
#include "ops/correlation.h"
#include "ops/pool_shape.h"
#include "ops/winograd_tiles.h"

namespace cnnfast {

// Where the pooled maxima go instead of a correlation's output, whose strides are theirs.
struct PooledOutput {
  int64_t rows, cols;
  uint8_t* winners;  // or null

  // Pools a tile; its image is a plane of y or some of its channels.
  void gather(const WinogradGather& g, const float* y) const;
};

// What a correlation reads instead of the gradient at a pooling's input: the gradient at its output.
struct PooledInput {
  PooledInput(const PoolShape& pool, const float* dy, const uint8_t* winners);

  const float* values() const { return dy_; }

  // Transforms a tile of dy's channels from some on; of a scatter that was made with `strides`.
  void scatter_input(WinogradScatter s) const;
  void scatter_output_gradient(WinogradScatter s) const;

  ImageStrides strides;

 private:
  WinogradScatter pooled(WinogradScatter s) const;
  const uint8_t* winners_of(const WinogradScatter& s) const;

  int64_t rows_, cols_;
  const float* dy_;
  const uint8_t* winners_;
};

// Whether windows lie within the tiles of this kind of the convolution's output.
bool pooled_in_tiles(const ConvShape& shape, const PoolShape& pool, WinogradKind kind);

// Whether the forward pass takes tiles that pool, and the two backward ones tiles that read what is behind the pooling.
bool pools_tiles(const ConvShape& shape, const PoolShape& pool);
bool backward_data_reads_pooled(const ConvShape& shape, const PoolShape& pool);
bool backward_weights_reads_pooled(const ConvShape& shape, const PoolShape& pool);

// y and, unless `winners` is null, the winners; for what pools_tiles() and activations that are piecewise linear.
void winograd_pool_forward(const ConvShape& shape, const PoolShape& pool, const float* x, const float* w,
                           const float* bias, Activation activation, float alpha, float* y, uint8_t* winners);

}  // namespace cnnfast
