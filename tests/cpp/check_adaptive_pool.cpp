// Pooling to a given number of windows against loops over windows, in double.
#include <algorithm>

#include "check.h"
#include "ops/adaptive_pool.h"

using namespace cnnfast;

namespace {

// Calls body(x index, y index) for every value of every window.
template <typename Body>
void for_each_value(const AdaptivePoolShape& s, Body body) {
  const int64_t outputs = s.out_image() / s.channels;
  for (int64_t output = 0; output < s.images * outputs; ++output) {
    const int64_t image = output / outputs;
    const PoolSpan w = s.width().window(output % s.width().out);
    const PoolSpan h = s.height().window(output / s.width().out % s.height().out);
    const PoolSpan d = s.depth().window(output % outputs / (s.width().out * s.height().out));
    for (int64_t i = d.begin; i < d.end; ++i) {
      for (int64_t j = h.begin; j < h.end; ++j) {
        for (int64_t k = w.begin * s.channels; k < w.end * s.channels; ++k) {
          const int64_t in = image * s.image() + i * s.plane() + j * s.row() + k;
          body(static_cast<size_t>(in), static_cast<size_t>(output * s.channels + k % s.channels));
        }
      }
    }
  }
}

void check_adaptive_pool(const Dims& x_dims, const Dims& sizes) {
  const AdaptivePoolShape s = make_adaptive_shape("check", x_dims, sizes);
  const std::vector<float> x = check::Random(1).values(checked_size(s.x_dims)),
                           dy = check::Random(2).values(checked_size(s.y_dims));
  std::vector<float> y(dy.size()), dx(x.size()), mean(dy.size()), dmean(x.size());
  std::vector<int32_t> winners(dy.size());  // large enough for either type
  adaptive_max_forward(s, x.data(), y.data(), winners.data());
  adaptive_max_backward(s, dy.data(), winners.data(), dx.data());
  adaptive_average_forward(s, x.data(), mean.data());
  adaptive_average_backward(s, dy.data(), dmean.data());
  std::vector<double> largest(y.size(), -1e30), sums(y.size()), counts(y.size()), spread(x.size()), carried(x.size());
  std::vector<size_t> best(y.size());
  for_each_value(s, [&](size_t in, size_t out) {
    sums[out] += x[in];
    counts[out] += 1;
    if (x[in] > largest[out]) {
      largest[out] = x[in];
      best[out] = in;
    }
  });
  for_each_value(s, [&](size_t in, size_t out) { spread[in] += dy[out] / counts[out]; });
  for (size_t i = 0; i < y.size(); ++i) {
    carried[best[i]] += dy[i];
    sums[i] /= counts[i];
  }
  CHECK_ALL_CLOSE(y, largest, 0);
  CHECK_ALL_CLOSE(dx, carried, 1e-5);
  CHECK_ALL_CLOSE(mean, sums, 1e-5);
  CHECK_ALL_CLOSE(dmean, spread, 1e-5);
}

}  // namespace

ENGINE_CASE(adaptive_pooling_matches_its_definition) {
  check_adaptive_pool({2, 7, 3}, {3});
  check_adaptive_pool({2, 3, 5}, {7});
  check_adaptive_pool({1, 3000, 17}, {7});
  check_adaptive_pool({2, 7, 9, 1}, {3, 4});
  check_adaptive_pool({3, 8, 7, 8}, {3, 3});
  check_adaptive_pool({2, 5, 6, 33}, {4, 9});
  check_adaptive_pool({1, 40, 40, 2}, {2, 3});  // more taps than a byte counts
  check_adaptive_pool({1, 61, 60, 19}, {7, 11});
  check_adaptive_pool({2, 5, 4, 7, 3}, {2, 3, 3});
  check_adaptive_pool({0, 4, 4, 3}, {3, 3});
}

CASE(adaptive_pooling_refuses_what_it_cannot_pool) {
  CHECK_THROWS(make_adaptive_shape("pool", {1, 4}, {2}), std::invalid_argument, "3 to 5 axes");
  CHECK_THROWS(make_adaptive_shape("pool", {1, 4, 3}, {2, 2}), std::invalid_argument, "one value per spatial axis");
  CHECK_THROWS(make_adaptive_shape("pool", {1, 4, 3}, {0}), std::invalid_argument, "expect 1 to");
  CHECK_THROWS(make_adaptive_shape("pool", {1, 0, 3}, {2}), std::invalid_argument, "expect 1 to");
  CHECK_THROWS(make_adaptive_shape("pool", {1, 4, 0}, {2}), std::invalid_argument, "no channels");
}
