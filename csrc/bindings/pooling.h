// A pooling as Python holds it, and its winners.
#pragma once

#include <string>

#include "bindings/arrays.h"
#include "ops/max_pool.h"

namespace cnnfast {

// Checked once, used by the forward and the backward pass.
struct Pooling {
  std::string op;
  PoolShape shape;
};

inline py::array new_winners(const Pooling& pooling) {
  return winner_type(pooling.shape) == WinnerType::byte ? py::array(new_array<uint8_t>(pooling.shape.y_dims))
                                                        : py::array(new_array<int32_t>(pooling.shape.y_dims));
}

// Throws where winners of so many bytes each come from another pooling.
inline void require_winners_of(const Pooling& pooling, size_t winner_bytes) {
  if ((winner_type(pooling.shape) == WinnerType::byte) != (winner_bytes == 1)) {
    throw std::invalid_argument(pooling.op + ": winners are of another pooling");
  }
}

}  // namespace cnnfast
