// Chains of layers against the operations that they are made of, called one after the other.
#include <algorithm>
#include <stdexcept>

#include "check.h"
#include "ops/activation.h"
#include "ops/average_pool.h"
#include "ops/chain.h"
#include "ops/conv.h"
#include "ops/max_pool.h"

using namespace cnnfast;

namespace {

using Kind = ChainLink::Kind;

Padding same() {
  Padding padding;
  padding.mode = Padding::Mode::same;
  return padding;
}

ChainLink convolution(const Dims& x, const Dims& kernel, Activation activation, const Padding& padding = {}) {
  ChainLink link;
  link.conv = conv_shape("conv", x, kernel, {1, 1}, padding, {1, 1}, x.back() / kernel[2], false);
  link.activation = activation;
  link.alpha = activation == Activation::leaky_relu ? 0.3f : 0.0f;
  return link;
}

ChainLink dense(int64_t rows, int64_t features, int64_t units, Activation activation) {
  ChainLink link;
  link.conv = dense_shape(rows, features, units);
  link.activation = activation;
  return link;
}

ChainLink pooling(Kind kind, const Dims& x, int64_t window, int64_t stride, const Padding& padding = {}) {
  ChainLink link;
  link.kind = kind;
  link.pool = make_pool_shape("pool", x, {window, window}, {stride, stride}, padding, {1, 1});
  return link;
}

// Networks of few channels, whose poolings join, and of many; windows that keep apart and that overlap.
std::vector<std::vector<ChainLink>> networks() {
  return {
      {convolution({3, 12, 12, 1}, {5, 5, 1, 6}, Activation::tanh), pooling(Kind::average_pooling, {3, 8, 8, 6}, 2, 2),
       dense(3, 96, 17, Activation::sigmoid), dense(3, 17, 5, Activation::linear)},
      {convolution({9, 12, 13, 1}, {3, 3, 1, 8}, Activation::relu), pooling(Kind::max_pooling, {9, 10, 11, 8}, 2, 2),
       convolution({9, 5, 5, 8}, {3, 3, 8, 16}, Activation::leaky_relu, same()),
       pooling(Kind::max_pooling, {9, 5, 5, 16}, 3, 2, same()), dense(9, 144, 4, Activation::relu6)},
      {convolution({2, 30, 30, 3}, {3, 3, 3, 16}, Activation::linear, same()),
       pooling(Kind::max_pooling, {2, 30, 30, 16}, 3, 2)},
      {pooling(Kind::max_pooling, {2, 9, 9, 12}, 3, 3), convolution({2, 3, 3, 12}, {2, 2, 4, 12}, Activation::relu)},
      {pooling(Kind::average_pooling, {1, 6, 6, 3}, 2, 1)},
      {convolution({1, 6, 6, 33}, {3, 3, 33, 40}, Activation::sigmoid), dense(1, 640, 3, Activation::tanh)},
  };
}

bool weighted(const ChainLink& link) { return link.kind == Kind::convolution; }

// What one link after the other computes; every link's input is kept, the last entry is the result.
class Separately {
 public:
  explicit Separately(const std::vector<ChainLink>& links) : links_(links) {
    uint64_t seed = 1;
    values_.push_back(check::Random(seed).values(links.front().x_size()));
    for (const ChainLink& link : links) {
      const bool has = weighted(link);
      kernels.push_back(check::Random(++seed).values(has ? checked_size(link.conv.kernel_dims()) : 0));
      biases.push_back(check::Random(++seed).values(has ? link.conv.out_channels : 0));
      values_.emplace_back(static_cast<size_t>(link.y_size()));
      winners_.emplace_back(static_cast<size_t>(link.y_size()));
    }
  }

  std::vector<std::vector<float>> kernels, biases, kernel_gradients, bias_gradients;
  const std::vector<float>& x() const { return values_.front(); }
  const std::vector<float>& y() const { return values_.back(); }

  void forward() {
    for (size_t i = 0; i < links_.size(); ++i) {
      const ChainLink& link = links_[i];
      const float* from = values_[i].data();
      float* to = values_[i + 1].data();
      if (link.kind == Kind::max_pooling) {
        max_pool_forward(link.pool, from, to, winners_[i].data());
      } else if (link.kind == Kind::average_pooling) {
        average_pool_forward(link.pool, false, from, to);
      } else {
        conv_forward(link.conv, from, kernels[i].data(), biases[i].data(), link.activation, link.alpha, to);
      }
    }
  }

  // The gradient to x.
  std::vector<float> backward(std::vector<float> dy) {
    kernel_gradients = kernels;
    bias_gradients = biases;
    for (size_t i = links_.size(); i-- > 0;) {
      const ChainLink& link = links_[i];
      std::vector<float> dx(values_[i].size());
      if (link.kind == Kind::max_pooling) {
        max_pool_backward(link.pool, dy.data(), winners_[i].data(), dx.data());
      } else if (link.kind == Kind::average_pooling) {
        average_pool_backward(link.pool, false, dy.data(), dx.data());
      } else {
        activation_backward(link.activation, link.alpha, values_[i + 1].data(), dy.data(), dy.data(), link.y_size());
        conv_backward_data(link.conv, dy.data(), kernels[i].data(), dx.data());
        conv_backward_weights(link.conv, values_[i].data(), dy.data(), kernel_gradients[i].data(),
                              bias_gradients[i].data());
      }
      dy = dx;
    }
    return dy;
  }

 private:
  const std::vector<ChainLink>& links_;
  std::vector<std::vector<float>> values_;
  std::vector<std::vector<int32_t>> winners_;
};

void check_near(const std::vector<float>& actual, const std::vector<float>& expected) {
  double largest = 1;
  for (const float value : expected) largest = std::max(largest, std::abs(static_cast<double>(value)));
  CHECK_ALL_CLOSE(actual, std::vector<double>(expected.begin(), expected.end()), 1e-5 * largest);
}

// Makes a chain of layers and tells which of its links computes each: a pooling that is joined has none of its own.
std::vector<size_t> add_all(const std::vector<ChainLink>& links, Chain& chain) {
  std::vector<size_t> at;
  for (const ChainLink& link : links) {
    chain.add(link);
    at.push_back(chain.size() - 1);
  }
  return at;
}

void check_network(const std::vector<ChainLink>& links, bool wants_dx) {
  Chain chain;
  const std::vector<size_t> at = add_all(links, chain);
  Separately separately(links);
  separately.forward();
  std::vector<ChainWeights> weights(chain.size());
  std::vector<ChainGradients> gradients(chain.size());
  std::vector<std::vector<float>> kernels = separately.kernels, biases = separately.biases;
  for (size_t i = 0; i < links.size(); ++i) {
    if (!weighted(links[i])) continue;
    weights[at[i]] = {separately.kernels[i].data(), separately.biases[i].data()};
    gradients[at[i]] = {kernels[i].data(), biases[i].data()};
  }
  std::vector<float> kept(static_cast<size_t>(chain.kept_size())), y(separately.y().size());
  chain.forward(separately.x().data(), weights.data(), kept.data(), y.data());
  check_near(y, separately.y());

  const std::vector<float> dy = check::Random(99).values(static_cast<int64_t>(y.size()));
  std::vector<float> dx(separately.x().size());
  chain.backward(separately.x().data(), weights.data(), kept.data(), y.data(), dy.data(), gradients.data(),
                 wants_dx ? dx.data() : nullptr);
  const std::vector<float> expected = separately.backward(dy);
  if (wants_dx) check_near(dx, expected);
  for (size_t i = 0; i < links.size(); ++i) {
    if (!weighted(links[i])) continue;
    check_near(kernels[i], separately.kernel_gradients[i]);
    check_near(biases[i], separately.bias_gradients[i]);
  }
}

}  // namespace

ENGINE_CASE(chains_compute_what_their_links_do) {
  for (const std::vector<ChainLink>& links : networks()) {
    for (const bool wants_dx : {true, false}) check_network(links, wants_dx);
  }
}

ENGINE_CASE(poolings_join_the_convolutions_before_them) {
  const std::vector<ChainLink> links = networks()[1];
  Chain chain;
  add_all(links, chain);
  CHECK(chain.link(0).kind == Kind::pooled_convolution);
  CHECK(chain.size() < links.size());
}

ENGINE_CASE(chains_leave_out_gradients_that_nobody_wants) {
  const std::vector<ChainLink> links = networks()[0];
  Chain chain;
  add_all(links, chain);
  Separately separately(links);
  separately.forward();
  std::vector<ChainWeights> weights(links.size());
  for (size_t i = 0; i < links.size(); ++i) {
    if (weighted(links[i])) weights[i] = {separately.kernels[i].data(), separately.biases[i].data()};
  }
  std::vector<float> kept(static_cast<size_t>(chain.kept_size())), y(separately.y().size());
  chain.forward(separately.x().data(), weights.data(), kept.data(), y.data());
  const std::vector<float> dy = check::Random(99).values(static_cast<int64_t>(y.size()));
  separately.backward(dy);
  std::vector<float> kernel(separately.kernels[2].size());
  std::vector<ChainGradients> gradients(links.size());
  gradients[2].kernel = kernel.data();
  chain.backward(separately.x().data(), weights.data(), kept.data(), y.data(), dy.data(), gradients.data(), nullptr);
  check_near(kernel, separately.kernel_gradients[2]);
}

CASE(links_that_do_not_fit_are_refused) {
  Chain chain;
  chain.add(dense(2, 3, 4, Activation::relu));
  CHECK_THROWS(chain.add(dense(2, 5, 4, Activation::relu)), std::invalid_argument, "expects 10 values, gets 8");
  CHECK_THROWS(chain.add(dense(2, 4, 4, Activation::silu)), std::invalid_argument, "activation's gradient");
}
