// A convolution and the max pooling behind it in one pass, against one after the other.
#include <stdexcept>

#include "check.h"
#include "ops/conv_pool.h"
#include "ops/max_pool.h"

using namespace cnnfast;

namespace {

struct Geometry {
  Dims x, kernel, strides;
  std::vector<std::pair<int64_t, int64_t>> pads;
  Dims window, steps;
  bool pool_same;
};

// Few channels and many, whole images and bands, windows that keep apart, overlap and leave gaps, bytes and numbers.
const std::vector<Geometry> kGeometries = {
    {{3, 12, 13, 1}, {5, 5, 1, 6}, {1, 1}, {{0, 0}, {0, 0}}, {2, 2}, {2, 2}, false},
    {{40, 14, 14, 1}, {3, 3, 1, 8}, {1, 1}, {{1, 1}, {1, 1}}, {2, 2}, {2, 2}, false},
    {{2, 40, 33, 3}, {3, 3, 3, 32}, {1, 1}, {{1, 1}, {1, 1}}, {2, 2}, {2, 2}, false},
    {{2, 41, 40, 3}, {7, 7, 3, 17}, {2, 2}, {{3, 2}, {3, 2}}, {3, 3}, {2, 2}, true},
    {{1, 30, 31, 4}, {3, 2, 4, 9}, {1, 2}, {{0, 1}, {1, 0}}, {2, 3}, {3, 4}, false},
    {{1, 40, 40, 2}, {3, 3, 2, 5}, {1, 1}, {{0, 0}, {0, 0}}, {17, 17}, {17, 17}, false},
    {{2, 20, 5}, {3, 5, 12}, {1}, {{1, 1}}, {2}, {2}, false},
    {{2, 12, 12, 8}, {3, 3, 4, 8}, {1, 1}, {{1, 1}, {1, 1}}, {2, 2}, {2, 2}, false},
};

struct Pair {
  ConvShape conv;
  PoolShape pool;
};

Pair pair_of(const Geometry& g) {
  Padding padding, pool_padding;
  padding.mode = Padding::Mode::explicit_;
  padding.pairs = g.pads;
  if (g.pool_same) pool_padding.mode = Padding::Mode::same;
  const Dims ones(g.strides.size(), 1);
  Pair pair;
  const int64_t groups = g.x.back() / g.kernel[g.kernel.size() - 2];
  pair.conv = conv_shape("conv", g.x, g.kernel, g.strides, padding, ones, groups, false);
  pair.pool = make_pool_shape("pool", pair.conv.y_dims(), g.window, g.steps, pool_padding, ones);
  return pair;
}

size_t size_of(const Dims& dims) { return static_cast<size_t>(checked_size(dims)); }

std::vector<double> doubles(const std::vector<float>& values) { return {values.begin(), values.end()}; }

void check_forward(const Pair& p, Activation activation, const std::vector<float>& x, const std::vector<float>& w,
                   std::vector<int32_t>& winners) {
  const std::vector<float> bias = check::Random(3).values(p.conv.out_channels);
  std::vector<float> between(size_of(p.conv.y_dims())), y(size_of(p.pool.y_dims)), alone(y.size()), expected(y.size());
  std::vector<int32_t> expected_winners(y.size());
  conv_forward(p.conv, x.data(), w.data(), bias.data(), activation, 0.2f, between.data());
  max_pool_forward(p.pool, between.data(), expected.data(), expected_winners.data());
  conv_pool_forward(p.conv, p.pool, x.data(), w.data(), bias.data(), activation, 0.2f, y.data(), winners.data());
  conv_pool_forward(p.conv, p.pool, x.data(), w.data(), bias.data(), activation, 0.2f, alone.data(), nullptr);
  CHECK_ALL_CLOSE(y, doubles(expected), 0);
  CHECK_ALL_CLOSE(alone, doubles(expected), 0);
  CHECK(winners == expected_winners);
}

void check_backward(const Pair& p, const std::vector<float>& x, const std::vector<float>& w,
                    const std::vector<int32_t>& winners) {
  const std::vector<float> dy = check::Random(4).values(checked_size(p.pool.y_dims));
  std::vector<float> between(size_of(p.conv.y_dims())), dx(x.size()), dw(w.size()), to_x(x.size()), to_w(w.size());
  max_pool_backward(p.pool, dy.data(), winners.data(), between.data());
  conv_backward_data(p.conv, between.data(), w.data(), dx.data());
  conv_backward_weights(p.conv, x.data(), between.data(), dw.data(), nullptr);
  conv_pool_backward(p.conv, p.pool, x.data(), w.data(), dy.data(), winners.data(), to_x.data(), to_w.data());
  const double terms = static_cast<double>(p.conv.images * p.conv.axis[1].out * p.conv.axis[2].out);
  CHECK_ALL_CLOSE(to_x, doubles(dx), check::sum_tolerance(static_cast<double>(p.conv.taps() * p.conv.out_channels)));
  CHECK_ALL_CLOSE(to_w, doubles(dw), check::sum_tolerance(terms));
  std::vector<float> x_alone(x.size()), w_alone(w.size());
  conv_pool_backward(p.conv, p.pool, x.data(), w.data(), dy.data(), winners.data(), x_alone.data(), nullptr);
  conv_pool_backward(p.conv, p.pool, x.data(), w.data(), dy.data(), winners.data(), nullptr, w_alone.data());
  CHECK(x_alone == to_x);
  // Alone it may be summed up from the winners, in another order.
  CHECK_ALL_CLOSE(w_alone, doubles(dw), check::sum_tolerance(terms));
}

}  // namespace

ENGINE_CASE(convolutions_and_poolings_in_one_pass) {
  int joined = 0;
  for (const Geometry& geometry : kGeometries) {
    const Pair pair = pair_of(geometry);
    if (!conv_pool_joined(pair.conv, pair.pool, true)) continue;
    ++joined;
    const std::vector<float> x = check::Random(1).values(checked_size(pair.conv.x_dims()));
    const std::vector<float> w = check::Random(2).values(checked_size(pair.conv.kernel_dims()));
    // Bytes fill the beginning, the rest stays as it is.
    std::vector<int32_t> winners(size_of(pair.pool.y_dims));
    for (const Activation activation : {Activation::linear, Activation::relu, Activation::leaky_relu}) {
      check_forward(pair, activation, x, w, winners);
    }
    check_backward(pair, x, w, winners);
  }
  CHECK(joined >= 5);
}

ENGINE_CASE(poolings_behind_convolutions_pass_nan) {
  const Pair pair = pair_of(kGeometries[2]);
  std::vector<float> x = check::Random(1).values(checked_size(pair.conv.x_dims()));
  x[5] = std::numeric_limits<float>::quiet_NaN();
  x[700] = std::numeric_limits<float>::infinity();
  std::vector<int32_t> winners(size_of(pair.pool.y_dims));
  check_forward(pair, Activation::relu, x, check::Random(2).values(checked_size(pair.conv.kernel_dims())), winners);
}

CASE(poolings_of_something_else_are_refused) {
  const Pair pair = pair_of(kGeometries[0]), other = pair_of(kGeometries[1]);
  CHECK_THROWS(require_conv_pool(pair.conv, other.pool), std::invalid_argument, "conv_pool: the pooling is of shape");
}
