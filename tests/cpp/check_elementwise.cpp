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

ENGINE_CASE(maxout_takes_the_largest_of_each_group) {
  for (int64_t inner : {1, 5, 16, 33}) {
    const MaxoutShape shape = {37, 3, inner};
    const std::vector<float> x = check::Random(4).values(37 * 3 * inner), dy = check::Random(5).values(37 * inner);
    std::vector<float> y(dy.size()), dx(x.size());
    std::vector<double> expected(dy.size()), gradient(x.size());
    for (int64_t at = 0; at < 37 * inner; ++at) {
      const int64_t first = at / inner * 3 * inner + at % inner;
      int64_t best = first;
      for (int64_t piece = 1; piece < 3; ++piece) {
        const int64_t other = first + piece * inner;
        if (x[static_cast<size_t>(other)] > x[static_cast<size_t>(best)]) best = other;
      }
      expected[static_cast<size_t>(at)] = x[static_cast<size_t>(best)];
      gradient[static_cast<size_t>(best)] = dy[static_cast<size_t>(at)];
    }
    maxout_forward(shape, x.data(), y.data());
    maxout_backward(shape, x.data(), dy.data(), dx.data());
    CHECK_ALL_CLOSE(y, expected, 0);
    CHECK_ALL_CLOSE(dx, gradient, 0);
  }
}

ENGINE_CASE(random_numbers_are_philox) {
  // The paper's known answers for a key and counter of zeros: the first words of the first block.
  float u[64];
  uniform(0, 0, u, 64);
  const uint32_t words[] = {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8};
  for (int i = 0; i < 4; ++i) CHECK(u[16 * i] == static_cast<float>(words[i] >> 8) * 0x1p-24f);
}

ENGINE_CASE(dropout_drops_where_the_random_numbers_are_small) {
  for (int64_t count : {1, 16, 63, 64, 65, 200003}) {
    const std::vector<float> x(static_cast<size_t>(count), 3.0f);
    std::vector<float> y(x.size()), u(x.size());
    std::vector<double> expected;
    dropout(99, 0.25, x.data(), y.data(), count);
    uniform(99, 0, u.data(), count);
    for (float value : u) expected.push_back(value < 0.25f ? 0 : 4);
    CHECK_ALL_CLOSE(y, expected, 1e-6);
  }
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
