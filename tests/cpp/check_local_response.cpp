// Local response normalisation against its definition, in double.
#include <algorithm>

#include "check.h"
#include "ops/local_response.h"

using namespace cnnfast;

ENGINE_CASE(local_response_matches_its_definition) {
  for (int64_t channels : {1, 3, 16, 17, 100}) {
    for (int64_t radius : {0, 2, 30}) {
      for (float beta : {0.75f, 0.5f, 1.25f}) {
        const int64_t rows = 70, count = rows * channels;
        const std::vector<float> x = check::Random(1).values(count), dy = check::Random(2).values(count);
        std::vector<float> y(x.size()), dx(x.size());
        const LocalResponse response = make_local_response(channels, radius, 1.5f, 0.5f, beta);
        local_response_forward(response, x.data(), rows, y.data());
        local_response_backward(response, x.data(), dy.data(), rows, dx.data());
        std::vector<double> base(x.size(), 1.5), expected_y(x.size()), expected_dx(x.size());
        // Calls body(value, one of its neighbours) for all.
        const auto for_neighbours = [&](auto body) {
          for (int64_t i = 0; i < count; ++i) {
            const int64_t row = i / channels * channels;
            const int64_t first = std::max(row, i - radius), last = std::min(row + channels - 1, i + radius);
            for (int64_t j = first; j <= last; ++j) body(static_cast<size_t>(i), static_cast<size_t>(j));
          }
        };
        for_neighbours([&](size_t i, size_t j) { base[i] += 0.5 * x[j] * static_cast<double>(x[j]); });
        for (size_t i = 0; i < x.size(); ++i) {
          expected_y[i] = x[i] / std::pow(base[i], beta);
          expected_dx[i] = dy[i] / std::pow(base[i], beta);
        }
        for_neighbours(
            [&](size_t i, size_t j) { expected_dx[i] -= 2 * 0.5 * beta * x[i] * (dy[j] * expected_y[j] / base[j]); });
        CHECK_ALL_CLOSE(y, expected_y, 1e-6);
        CHECK_ALL_CLOSE(dx, expected_dx, 2e-5);
      }
    }
  }
}
