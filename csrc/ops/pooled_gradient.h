// The gradient at a max pooling's input, made piece by piece where it is needed, and never kept.
#pragma once

#include "ops/pool_rows.h"
#include "ops/pool_shape.h"
#include "ops/pool_spread.h"
#include "ops/window.h"

namespace cnnfast {

// For poolings that max_pool_spreads_rows().
class PooledGradient {
 public:
  // `dy` is the gradient at the pooling's output.
  PooledGradient(const PoolShape& shape, const float* dy, const void* winners);

  // Writes the gradient at the inputs of `block`, all channels, row after row.
  void write(const OutputBlock& block, float* to) const;

 private:
  const PoolShape& shape_;
  const float* dy_;
  const void* winners_;
  WinnerType type_;
  SpreadTable table_;
  OutputsOf depths_, heights_;
};

}  // namespace cnnfast
