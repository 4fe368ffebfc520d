// Layers in a row, each fed by the one before it alone: one call computes them all, another all their gradients.
#pragma once

#include <cstdint>
#include <vector>

#include "kernels/activation.h"
#include "ops/conv_shape.h"
#include "ops/pool_shape.h"

namespace cnnfast {

struct ChainLink {
  enum class Kind { convolution, pooled_convolution, max_pooling, average_pooling };

  Kind kind = Kind::convolution;
  ConvShape conv;  // a dense layer is a pointwise one
  Activation activation = Activation::linear;
  float alpha = 0;
  PoolShape pool;

  int64_t x_size() const;
  int64_t y_size() const;
};

// A link's weights; both null for a pooling, `bias` where there is none.
struct ChainWeights {
  const float *kernel = nullptr, *bias = nullptr;
};

// Where the gradients to a link's weights go; null where they are not wanted.
struct ChainGradients {
  float *kernel = nullptr, *bias = nullptr;
};

class Chain {
 public:
  // Throws std::invalid_argument unless the link takes as many values as the last one gives, and an activation's
  // gradient can be computed from its output. A max pooling becomes part of the convolution before it where one pass
  // is quicker.
  void add(const ChainLink& link);

  size_t size() const { return links_.size(); }
  const ChainLink& link(size_t i) const { return links_[i].link; }
  // The floats that `forward` leaves in `kept` for `backward`: outputs of all links but the last, and winners.
  int64_t kept_size() const { return kept_size_; }

  // `weights` has an entry for each link.
  void forward(const float* x, const ChainWeights* weights, float* kept, float* y) const;

  // `dx` is null where the gradient to x is not wanted.
  void backward(const float* x, const ChainWeights* weights, const float* kept, const float* y, const float* dy,
                const ChainGradients* gradients, float* dx) const;

 private:
  struct Placed {
    ChainLink link;
    int64_t y = 0, winners = 0;  // where in `kept`
  };
  class Backward;

  bool joined(const ChainLink& pooling);
  void run(const Placed& placed, const float* x, const ChainWeights& weights, float* kept, float* y) const;
  int64_t reserve(int64_t floats);

  std::vector<Placed> links_;
  int64_t kept_size_ = 0, largest_ = 0;
};

}  // namespace cnnfast
