// Elementwise arithmetic, joins, maxout, dropout and optimiser steps against plain loops.
#include "check.h"
#include "ops/elementwise.h"
#include "ops/maxout.h"
#include "ops/random.h"
#include "ops/updates.h"

using namespace cnnfast;

ENGINE_CASE(arithmetic_matches_plain_loops) {
  for (int64_t count : {0, 1, 3, 17, 33, 100001}) {
    const std::vector<float> a = check::Random(1).values(count), b = check::Random(2).values(count);
    std::vector<float> total(a.size()), product(a.size());
    add(a.data(), b.data(), total.data(), count);
    multiply(a.data(), b.data(), product.data(), count);
    for (size_t i = 0; i < a.size(); ++i) CHECK(total[i] == a[i] + b[i] && product[i] == a[i] * b[i]);
  }
}

ENGINE_CASE(joined_rows_come_apart_again) {
  const int64_t outer = 300;
  const std::vector<int64_t> widths = {1, 17, 8, 33};
  std::vector<std::vector<float>> parts, back;
  std::vector<const float*> inputs;
  std::vector<float*> outputs;
  int64_t whole_width = 0;
  for (int64_t width : widths) {
    parts.push_back(check::Random(width).values(outer * width));
    back.emplace_back(outer * width);
    whole_width += width;
  }
  for (size_t i = 0; i < parts.size(); ++i) {
    inputs.push_back(parts[i].data());
    outputs.push_back(back[i].data());
  }
  std::vector<float> whole(outer * whole_width);
  concatenate_rows(inputs, widths, whole.data(), outer);
  CHECK(whole[0] == parts[0][0] && whole[1] == parts[1][0] && whole[whole_width + 1] == parts[1][17]);
  split_rows(whole.data(), outputs, widths, outer);
  CHECK(parts == back);
}

ENGINE_CASE(maxout_takes_the_largest_piece) {
  const MaxoutShape shape{40, 3, 17};
  const std::vector<float> x = check::Random(1).values(40 * 3 * 17), dy = check::Random(2).values(40 * 17);
  std::vector<float> y(dy.size()), dx(x.size());
  maxout_forward(shape, x.data(), y.data());
  maxout_backward(shape, x.data(), dy.data(), dx.data());
  std::vector<double> expected(y.size()), expected_dx(x.size());
  for (size_t i = 0; i < y.size(); ++i) {
    const size_t first = i / 17 * 3 * 17 + i % 17;
    size_t best = first;
    for (size_t piece = first; piece < first + 3 * 17; piece += 17) best = x[piece] > x[best] ? piece : best;
    expected[i] = x[best];
    expected_dx[best] = dy[i];
  }
  CHECK_ALL_CLOSE(y, expected, 0);
  CHECK_ALL_CLOSE(dx, expected_dx, 0);
}

ENGINE_CASE(dropout_keeps_its_share_and_repeats) {
  const std::vector<float> x(100003, 1.0f);
  std::vector<float> y(x.size()), again(x.size());
  dropout(7, 0.25, x.data(), y.data(), static_cast<int64_t>(x.size()));
  dropout(7, 0.25, x.data(), again.data(), static_cast<int64_t>(x.size()));
  CHECK(y == again);
  double kept = 0;
  for (float value : y) {
    CHECK(value == 0 || std::abs(value - 4.0f / 3) < 1e-6f);
    kept += value != 0;
  }
  CHECK(std::abs(kept / static_cast<double>(x.size()) - 0.75) < 0.01);
}

ENGINE_CASE(optimiser_steps_match_their_formulas) {
  const int64_t count = 70001;
  const std::vector<float> gradient = check::Random(1).values(count), start = check::Random(2).values(count);
  std::vector<float> weights = start, velocity(count), adam = start, mean(count), square(count);
  sgd_update({{weights.data(), gradient.data(), velocity.data(), count}}, 0.1, 0.9, false);
  sgd_update({{weights.data(), gradient.data(), velocity.data(), count}}, 0.1, 0.9, false);
  adam_update({{adam.data(), gradient.data(), mean.data(), square.data(), count}}, 1, 0.1, 0.9, 0.999, 1e-7);
  std::vector<double> expected(count), expected_adam(count);
  for (int64_t i = 0; i < count; ++i) {
    expected[i] = start[i] - 0.1 * gradient[i] * (1 + 1.9);
    // The first step of Adam is the learning rate in the direction of the gradient's sign.
    const double g = gradient[i];
    expected_adam[i] = start[i] - 0.1 * g / (std::abs(g) + 1e-7 / std::sqrt(0.001));
  }
  CHECK_ALL_CLOSE(weights, expected, 1e-6);
  CHECK_ALL_CLOSE(adam, expected_adam, 1e-5);
}
