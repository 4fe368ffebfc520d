// Batch normalisation and channel sums against their definitions, in double.
#include "check.h"
#include "ops/moments.h"
#include "ops/norm.h"
#include "ops/reduce.h"

using namespace cnnfast;

namespace {

const std::vector<int64_t> kChannels = {1, 3, 7, 8, 9, 15, 16, 17, 31, 33, 64};

std::vector<double> column_means(const std::vector<float>& x, int64_t rows, int64_t channels) {
  std::vector<double> means(channels);
  for (size_t i = 0; i < x.size(); ++i) means[i % channels] += x[i] / static_cast<double>(rows);
  return means;
}

}  // namespace

ENGINE_CASE(channel_sums_match_their_definition) {
  for (int64_t channels : kChannels) {
    for (int64_t rows : {0, 1, 5, 3001}) {
      const std::vector<float> x = check::Random(1).values(rows * channels);
      std::vector<float> sums(channels);
      channel_sums(x.data(), rows, channels, sums.data());
      std::vector<double> expected(channels);
      for (size_t i = 0; i < x.size(); ++i) expected[i % channels] += x[i];
      CHECK_ALL_CLOSE(sums, expected, check::sum_tolerance(static_cast<double>(rows)));
    }
  }
}

ENGINE_CASE(batch_normalisation_matches_its_definition) {
  for (int64_t channels : kChannels) {
    const int64_t rows = 700;
    const std::vector<float> x = check::Random(1).values(rows * channels),
                             dy = check::Random(2).values(rows * channels);
    const std::vector<float> gamma = check::Random(3).values(channels), beta = check::Random(4).values(channels);
    std::vector<float> mean(channels), variance(channels), y(x.size()), dx(x.size()), dgamma(channels), dbeta(channels);
    batch_moments(x.data(), rows, channels, mean.data(), variance.data());
    const BatchNorm norm{rows,         channels,    mean.data(), variance.data(),
                         gamma.data(), beta.data(), 1e-3f,       Activation::linear};
    batch_norm_forward(norm, x.data(), nullptr, y.data());
    batch_norm_backward(norm, true, x.data(), dy.data(), nullptr, dx.data(), dgamma.data(), dbeta.data());

    const std::vector<double> means = column_means(x, rows, channels);
    std::vector<double> variances(channels), sum_dy(channels), sum_dy_x(channels), normal(x.size());
    for (size_t i = 0; i < x.size(); ++i) {
      variances[i % channels] += std::pow(x[i] - means[i % channels], 2) / static_cast<double>(rows);
    }
    for (size_t i = 0; i < x.size(); ++i) {
      const size_t c = i % channels;
      normal[i] = (x[i] - means[c]) / std::sqrt(variances[c] + 1e-3f);
      sum_dy[c] += dy[i];
      sum_dy_x[c] += dy[i] * normal[i];
    }
    std::vector<double> expected_y(x.size()), expected_dx(x.size());
    for (size_t i = 0; i < x.size(); ++i) {
      const size_t c = i % channels;
      expected_y[i] = gamma[c] * normal[i] + beta[c];
      expected_dx[i] = gamma[c] / std::sqrt(variances[c] + 1e-3f) *
                       (dy[i] - (sum_dy[c] + normal[i] * sum_dy_x[c]) / static_cast<double>(rows));
    }
    CHECK_ALL_CLOSE(mean, means, 1e-5);
    CHECK_ALL_CLOSE(variance, variances, 1e-5);
    CHECK_ALL_CLOSE(y, expected_y, 1e-4);
    CHECK_ALL_CLOSE(dx, expected_dx, 1e-4);
    CHECK_ALL_CLOSE(dgamma, sum_dy_x, 1e-3);
    CHECK_ALL_CLOSE(dbeta, sum_dy, 1e-3);
  }
}
