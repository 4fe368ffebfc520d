#include "ops/chain.h"

#include <algorithm>
#include <stdexcept>
#include <string>

#include "ops/activation.h"
#include "ops/average_pool.h"
#include "ops/conv.h"
#include "ops/conv_pool.h"
#include "ops/max_pool.h"
#include "ops/reduce.h"
#include "runtime/memory.h"

namespace cnnfast {
namespace {

int64_t pixels(const ConvShape& shape, int64_t Axis::* size) {
  return shape.images * (shape.axis[0].*size) * (shape.axis[1].*size) * (shape.axis[2].*size);
}

// Gradients that are selections: where they are zero, nothing was chosen.
bool bent(Activation kind) {
  return kind == Activation::relu || kind == Activation::relu6 || kind == Activation::leaky_relu;
}

}  // namespace

int64_t ChainLink::x_size() const {
  const bool pooling = kind == Kind::max_pooling || kind == Kind::average_pooling;
  return pooling ? checked_size(pool.x_dims) : pixels(conv, &Axis::in) * conv.in_channels;
}

int64_t ChainLink::y_size() const {
  return kind == Kind::convolution ? pixels(conv, &Axis::out) * conv.out_channels : checked_size(pool.y_dims);
}

int64_t Chain::reserve(int64_t floats) {
  constexpr int64_t kLine = 16;  // floats of a cache line
  const int64_t place = kept_size_;
  kept_size_ += (floats + kLine - 1) / kLine * kLine;
  return place;
}

void Chain::add(const ChainLink& link) {
  if (!gradient_uses_output(link.activation)) {
    throw std::invalid_argument("chain: the activation's gradient needs its input, which is not kept");
  }
  if (!links_.empty() && links_.back().link.y_size() != link.x_size()) {
    throw std::invalid_argument("chain: a link expects " + std::to_string(link.x_size()) + " values, gets " +
                                std::to_string(links_.back().link.y_size()));
  }
  if (!joined(link)) {
    if (!links_.empty()) {
      links_.back().y = reserve(links_.back().link.y_size());
      largest_ = std::max(largest_, link.x_size());
    }
    links_.push_back({link});
  }
  Placed& placed = links_.back();
  if (link.kind == ChainLink::Kind::max_pooling) {
    const bool bytes = winner_type(link.pool) == WinnerType::byte;
    placed.winners = reserve(bytes ? (link.y_size() + 3) / 4 : link.y_size());
  }
  largest_ = std::max(largest_, link.y_size());
}

// Lets the last link pool what it computes, if that is quicker.
bool Chain::joined(const ChainLink& pooling) {
  if (links_.empty() || pooling.kind != ChainLink::Kind::max_pooling) return false;
  ChainLink& last = links_.back().link;
  const bool convolution = last.kind == ChainLink::Kind::convolution && last.conv.y_dims() == pooling.pool.x_dims;
  if (!convolution || !(last.activation == Activation::linear || bent(last.activation))) return false;
  if (!conv_pool_joined(last.conv, pooling.pool, true)) return false;
  last.kind = ChainLink::Kind::pooled_convolution;
  last.pool = pooling.pool;
  return true;
}

void Chain::forward(const float* x, const ChainWeights* weights, float* kept, float* y) const {
  for (size_t i = 0; i < links_.size(); ++i) {
    float* to = i + 1 < links_.size() ? kept + links_[i].y : y;
    run(links_[i], x, weights[i], kept, to);
    x = to;
  }
}

void Chain::run(const Placed& placed, const float* x, const ChainWeights& weights, float* kept, float* y) const {
  const ChainLink& link = placed.link;
  switch (link.kind) {
    case ChainLink::Kind::convolution:
      conv_forward(link.conv, x, weights.kernel, weights.bias, link.activation, link.alpha, y);
      break;
    case ChainLink::Kind::pooled_convolution:
      conv_pool_forward(link.conv, link.pool, x, weights.kernel, weights.bias, link.activation, link.alpha, y,
                        kept + placed.winners);
      break;
    case ChainLink::Kind::max_pooling:
      max_pool_forward(link.pool, x, y, kept + placed.winners);
      break;
    case ChainLink::Kind::average_pooling:
      average_pool_forward(link.pool, false, x, y);
      break;
  }
}

// One way back through a chain.
class Chain::Backward {
 public:
  Backward(const Chain& chain, const float* x, const ChainWeights* weights, const float* kept, const float* y,
           const float* dy, const ChainGradients* gradients)
      : chain_(chain),
        x_(x),
        weights_(weights),
        kept_(kept),
        y_(y),
        gradients_(gradients),
        buffers_(2, static_cast<size_t>(chain.largest_)),
        dy_(dy) {}

  void run(float* dx) {
    const size_t first = dx != nullptr ? 0 : first_wanted();
    for (size_t i = chain_.size(); i-- > first;) {
      float* to = i > first ? nullptr : dx;
      const bool wants_dx = i > first || dx != nullptr;
      switch (chain_.link(i).kind) {
        case ChainLink::Kind::convolution:
          convolution(i, wants_dx, to);
          break;
        case ChainLink::Kind::pooled_convolution:
          pooled_convolution(i, wants_dx, to);
          break;
        case ChainLink::Kind::max_pooling:
        case ChainLink::Kind::average_pooling:
          pooling(i, to);
          break;
      }
    }
  }

 private:
  // The first link to whose weights a gradient is wanted.
  size_t first_wanted() const {
    size_t i = 0;
    while (i < chain_.size() && gradients_[i].kernel == nullptr && gradients_[i].bias == nullptr) ++i;
    return i;
  }

  const float* input(size_t i) const { return i == 0 ? x_ : kept_ + chain_.links_[i - 1].y; }
  const float* output(size_t i) const { return i + 1 < chain_.size() ? kept_ + chain_.links_[i].y : y_; }

  // The buffer that the gradient at hand is not in, and that which it may be overwritten in.
  float* other() const { return dy_ == buffers_.part(0) ? buffers_.part(1) : buffers_.part(0); }
  float* own() const { return dy_ == buffers_.part(1) ? buffers_.part(1) : buffers_.part(0); }

  // Brings the gradient in front of link i's activation, whose output was y (or the largest values of that), and sums
  // it up for the bias.
  void pass_activation(size_t i, const float* y, int64_t size) {
    const ChainLink& link = chain_.link(i);
    float *dz = own(), *db = gradients_[i].bias;
    if (db == nullptr) {
      activation_backward(link.activation, link.alpha, y, dy_, dz, size);
    } else {
      const int64_t channels = link.conv.out_channels;
      activation_backward_sums(link.activation, link.alpha, y, dy_, dz, size / channels, channels, db);
    }
    dy_ = dz;
    passed_ = true;
  }

  void convolution(size_t i, bool wants_dx, float* to) {
    const ChainLink& link = chain_.link(i);
    if (!passed_ && link.activation != Activation::linear) pass_activation(i, output(i), link.y_size());
    float *dw = gradients_[i].kernel, *db = passed_ ? nullptr : gradients_[i].bias;
    if (dw != nullptr) {
      conv_backward_weights(link.conv, input(i), dy_, dw, db);
    } else if (db != nullptr) {
      channel_sums(dy_, link.y_size() / link.conv.out_channels, link.conv.out_channels, db);
    }
    passed_ = false;
    if (!wants_dx) return;
    if (to == nullptr) to = other();
    conv_backward_data(link.conv, dy_, weights_[i].kernel, to);
    dy_ = to;
  }

  void pooled_convolution(size_t i, bool wants_dx, float* to) {
    const ChainLink& link = chain_.link(i);
    const int64_t size = link.y_size(), channels = link.conv.out_channels;
    if (link.activation != Activation::linear) {
      pass_activation(i, output(i), size);
    } else if (gradients_[i].bias != nullptr) {
      channel_sums(dy_, size / channels, channels, gradients_[i].bias);
    }
    passed_ = false;
    if (wants_dx && to == nullptr) to = other();
    conv_pool_backward(link.conv, link.pool, input(i), weights_[i].kernel, dy_, kept_ + chain_.links_[i].winners, to,
                       gradients_[i].kernel);
    dy_ = to;
  }

  void pooling(size_t i, float* to) {
    const ChainLink& link = chain_.link(i);
    const bool largest = link.kind == ChainLink::Kind::max_pooling;
    // An activation's slope at a winner can be told from the maximum, and all others get no gradient. The bias is
    // summed up over channels, which a reshape in between may have mixed.
    if (largest && i > 0 && chain_.link(i - 1).kind == ChainLink::Kind::convolution &&
        bent(chain_.link(i - 1).activation) && chain_.link(i - 1).conv.out_channels == link.pool.channels) {
      pass_activation(i - 1, output(i), link.y_size());
    }
    if (to == nullptr) to = other();
    if (largest) {
      max_pool_backward(link.pool, dy_, kept_ + chain_.links_[i].winners, to);
    } else {
      average_pool_backward(link.pool, false, dy_, to);
    }
    dy_ = to;
  }

  const Chain& chain_;
  const float* x_;
  const ChainWeights* weights_;
  const float *kept_, *y_;
  const ChainGradients* gradients_;
  Scratch buffers_;
  const float* dy_;      // the gradient at the output of the link that is next
  bool passed_ = false;  // whether it is in front of that link's activation already, and summed up for its bias
};

void Chain::backward(const float* x, const ChainWeights* weights, const float* kept, const float* y, const float* dy,
                     const ChainGradients* gradients, float* dx) const {
  Backward(*this, x, weights, kept, y, dy, gradients).run(dx);
}

}  // namespace cnnfast
