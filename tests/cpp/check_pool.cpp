// Pooling and columns against loops over windows, in double.
#include <algorithm>
#include <numeric>

#include "check.h"
#include "ops/average_pool.h"
#include "ops/columns.h"
#include "ops/global_pool.h"
#include "ops/max_pool.h"

using namespace cnnfast;

namespace {

struct Geometry {
  Dims x, window, strides, dilation;
  std::vector<std::pair<int64_t, int64_t>> pads;
};

const std::vector<Geometry> kGeometries = {
    {{2, 20, 3}, {2}, {2}, {1}, {{0, 0}}},
    {{2, 8, 8, 1}, {2, 2}, {2, 2}, {1, 1}, {{0, 0}, {0, 0}}},
    {{3, 9, 7, 17}, {3, 2}, {2, 1}, {1, 1}, {{1, 0}, {0, 1}}},
    {{1, 11, 12, 33}, {3, 3}, {1, 2}, {1, 1}, {{1, 1}, {1, 1}}},
    {{2, 5, 6, 7, 8}, {2, 3, 2}, {2, 1, 3}, {1, 1, 1}, {{1, 1}, {1, 1}, {0, 1}}},
    {{1, 20, 20, 2}, {17, 17}, {1, 3}, {1, 1}, {{0, 0}, {0, 0}}},  // more taps than a byte counts
    {{0, 4, 4, 3}, {2, 2}, {2, 2}, {1, 1}, {{0, 0}, {0, 0}}},
};

Padding padding_of(const Geometry& g) {
  Padding padding;
  padding.mode = Padding::Mode::explicit_;
  padding.pairs = g.pads;
  return padding;
}

int64_t input_at(const Axis& axis, int64_t output, int64_t tap) {
  const int64_t position = output * axis.stride - axis.pad_before + tap * axis.dilation;
  return position >= 0 && position < axis.in ? position : -1;
}

// Calls body(x index or -1 in the padding, tap, y position) for every tap of every window of one channel.
template <typename Body>
void for_each_tap(const PoolShape& s, Body body) {
  const auto& [d, h, w] = s.axes;
  const int64_t positions = d.out * h.out * w.out;
  for (int64_t row = 0; row < s.images * positions; ++row) {
    const int64_t image = row / positions, position = row % positions;
    for (int64_t tap = 0; tap < s.taps(); ++tap) {
      const int64_t in_d = input_at(d, position / (h.out * w.out), tap / (h.window * w.window));
      const int64_t in_h = input_at(h, position / w.out % h.out, tap / w.window % h.window);
      const int64_t in_w = input_at(w, position % w.out, tap % w.window);
      const bool inside = in_d >= 0 && in_h >= 0 && in_w >= 0;
      body(inside ? ((image * d.in + in_d) * h.in + in_h) * w.in + in_w : -1, tap, row);
    }
  }
}

void check_max_pool(const PoolShape& s, const std::vector<float>& x, const std::vector<float>& dy) {
  const int64_t c = s.channels;
  std::vector<float> y(dy.size()), dx(x.size());
  std::vector<int32_t> winners(dy.size());  // large enough for either type
  max_pool_forward(s, x.data(), y.data(), winners.data());
  max_pool_backward(s, dy.data(), winners.data(), dx.data());
  std::vector<double> expected_y(y.size(), -1e30), expected_dx(x.size());
  std::vector<int64_t> best(y.size(), -1);
  for_each_tap(s, [&](int64_t pixel, int64_t, int64_t row) {
    for (int64_t k = 0; k < c && pixel >= 0; ++k) {
      if (x[pixel * c + k] > expected_y[row * c + k]) {
        expected_y[row * c + k] = x[pixel * c + k];
        best[row * c + k] = pixel * c + k;
      }
    }
  });
  for (size_t i = 0; i < best.size(); ++i) expected_dx[best[i]] += dy[i];
  CHECK_ALL_CLOSE(y, expected_y, 0);
  CHECK_ALL_CLOSE(dx, expected_dx, 1e-5);
}

void check_average_pool(const PoolShape& s, bool padding_counts, const std::vector<float>& x,
                        const std::vector<float>& dy) {
  const int64_t c = s.channels;
  std::vector<float> y(dy.size()), dx(x.size());
  average_pool_forward(s, padding_counts, x.data(), y.data());
  average_pool_backward(s, padding_counts, dy.data(), dx.data());
  std::vector<double> counts(y.size() / c), expected_y(y.size()), expected_dx(x.size());
  for_each_tap(s, [&](int64_t pixel, int64_t, int64_t row) { counts[row] += pixel >= 0 || padding_counts; });
  for_each_tap(s, [&](int64_t pixel, int64_t, int64_t row) {
    for (int64_t k = 0; k < c && pixel >= 0; ++k) {
      expected_y[row * c + k] += x[pixel * c + k] / counts[row];
      expected_dx[pixel * c + k] += dy[row * c + k] / counts[row];
    }
  });
  CHECK_ALL_CLOSE(y, expected_y, 1e-5);
  CHECK_ALL_CLOSE(dx, expected_dx, 1e-5);
}

void check_columns(const Geometry& g) {
  const PoolShape s = make_column_shape("im2col", g.x, g.window, g.strides, padding_of(g), g.dilation);
  const int64_t c = s.channels;
  const std::vector<float> x = check::Random(5).values(checked_size(g.x));
  const std::vector<float> values = check::Random(6).values(checked_size(s.y_dims));
  std::vector<float> columns(values.size()), sums(x.size());
  im2col(s, x.data(), columns.data());
  col2im(s, values.data(), sums.data());
  std::vector<double> expected_columns(values.size()), expected_sums(x.size());
  for_each_tap(s, [&](int64_t pixel, int64_t tap, int64_t row) {
    for (int64_t k = 0; k < c && pixel >= 0; ++k) {
      expected_columns[(row * s.taps() + tap) * c + k] = x[pixel * c + k];
      expected_sums[pixel * c + k] += values[(row * s.taps() + tap) * c + k];
    }
  });
  CHECK_ALL_CLOSE(columns, expected_columns, 0);
  CHECK_ALL_CLOSE(sums, expected_sums, 1e-4);
}

}  // namespace

ENGINE_CASE(pooling_matches_its_definition) {
  for (const Geometry& g : kGeometries) {
    const PoolShape s = make_pool_shape("pool", g.x, g.window, g.strides, padding_of(g), g.dilation);
    const std::vector<float> x = check::Random(1).values(checked_size(g.x));
    const std::vector<float> dy = check::Random(2).values(checked_size(s.y_dims));
    check_max_pool(s, x, dy);
    for (bool padding_counts : {false, true}) check_average_pool(s, padding_counts, x, dy);
  }
}

ENGINE_CASE(columns_match_their_definition) {
  for (const Geometry& g : kGeometries) check_columns(g);
}

ENGINE_CASE(global_pooling_matches_its_definition) {
  for (int64_t channels : {1, 3, 8, 17, 33, 64}) {
    const int64_t images = 3, positions = 50, count = images * positions * channels;
    const std::vector<float> x = check::Random(1).values(count), dy = check::Random(2).values(images * channels);
    std::vector<float> largest(dy.size()), mean(dy.size()), dx(x.size());
    std::vector<int32_t> winners(dy.size());
    global_max_forward(x.data(), images, positions, channels, largest.data(), winners.data());
    global_average_forward(x.data(), images, positions, channels, mean.data());
    std::vector<double> expected_max(dy.size(), -1e30), expected_mean(dy.size()), expected_dx(x.size());
    std::vector<size_t> best(dy.size());
    for (size_t i = 0; i < x.size(); ++i) {
      const size_t y = i / (positions * channels) * channels + i % channels;
      expected_mean[y] += double{x[i]} / positions;
      if (x[i] > expected_max[y]) expected_max[y] = x[best[y] = i];
    }
    for (size_t y = 0; y < best.size(); ++y) expected_dx[best[y]] = dy[y];
    CHECK_ALL_CLOSE(largest, expected_max, 0);
    CHECK_ALL_CLOSE(mean, expected_mean, 1e-5);
    global_max_backward(dy.data(), winners.data(), images, positions, channels, dx.data());
    CHECK_ALL_CLOSE(dx, expected_dx, 0);
    global_average_backward(dy.data(), images, positions, channels, dx.data());
    CHECK(std::abs(std::accumulate(dx.begin(), dx.end(), 0.0) - std::accumulate(dy.begin(), dy.end(), 0.0)) < 1e-3);
  }
}
