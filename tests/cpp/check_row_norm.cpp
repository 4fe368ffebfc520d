// Layer and group normalisation and the rectifier with slopes against their definitions, in double.
#include "check.h"
#include "ops/group_norm.h"
#include "ops/prelu.h"
#include "ops/row_norm.h"

using namespace cnnfast;

namespace {

constexpr float kEpsilon = 0.1f;

struct Expected {
  std::vector<double> y, dx, dgamma, dbeta;
};

// Images of positions of groups of columns: every image's groups by themselves. Layer normalisation is that of images
// of one position and one group.
struct Geometry {
  int64_t images, positions, groups, columns;

  int64_t channels() const { return groups * columns; }
  int64_t count() const { return images * positions * channels(); }
  size_t at(int64_t image, int64_t group, int64_t i) const {
    const int64_t position = i / columns;
    return static_cast<size_t>((image * positions + position) * channels() + group * columns + i % columns);
  }
};

void add_group(const Geometry& g, int64_t image, int64_t group, const std::vector<float>& x,
               const std::vector<float>& dy, const std::vector<float>& gamma, const std::vector<float>& beta,
               Expected& to) {
  const int64_t count = g.positions * g.columns;
  const double n = static_cast<double>(count);
  double mean = 0, variance = 0, sum = 0, normal_sum = 0;
  for (int64_t i = 0; i < count; ++i) mean += x[g.at(image, group, i)] / n;
  for (int64_t i = 0; i < count; ++i) variance += std::pow(x[g.at(image, group, i)] - mean, 2) / n;
  const double inverse = 1 / std::sqrt(variance + kEpsilon);
  for (int64_t i = 0; i < count; ++i) {
    const size_t at = g.at(image, group, i), c = static_cast<size_t>(group * g.columns + i % g.columns);
    const double normal = (x[at] - mean) * inverse;
    to.y[at] = normal * gamma[c] + beta[c];
    to.dgamma[c] += dy[at] * normal;
    to.dbeta[c] += dy[at];
    sum += dy[at] * gamma[c] / n;
    normal_sum += dy[at] * gamma[c] * normal / n;
  }
  for (int64_t i = 0; i < count; ++i) {
    const size_t at = g.at(image, group, i), c = static_cast<size_t>(group * g.columns + i % g.columns);
    to.dx[at] = inverse * (dy[at] * gamma[c] - sum - (x[at] - mean) * inverse * normal_sum);
  }
}

void check_normalisation(const Geometry& g, bool as_rows) {
  const auto channels = static_cast<size_t>(g.channels()), count = static_cast<size_t>(g.count());
  const std::vector<float> x = check::Random(1).values(g.count()), dy = check::Random(2).values(g.count());
  const std::vector<float> gamma = check::Random(3).values(g.channels()), beta = check::Random(4).values(g.channels());
  std::vector<float> y(count), dx(count), dgamma(channels), dbeta(channels);
  Expected expected{std::vector<double>(count), std::vector<double>(count), std::vector<double>(channels),
                    std::vector<double>(channels)};
  for (int64_t image = 0; image < g.images; ++image) {
    for (int64_t group = 0; group < g.groups; ++group) add_group(g, image, group, x, dy, gamma, beta, expected);
  }
  if (as_rows) {
    const RowNorm norm{g.images, g.groups, g.columns, true, kEpsilon, gamma.data(), beta.data()};
    std::vector<float> statistics(static_cast<size_t>(norm.statistics()));
    row_norm_forward(norm, x.data(), y.data(), statistics.data());
    row_norm_backward(norm, x.data(), dy.data(), statistics.data(), dx.data(), dgamma.data(), dbeta.data());
  } else {
    const GroupNorm norm{g.images, g.positions, g.groups, g.columns, kEpsilon, gamma.data(), beta.data()};
    std::vector<float> statistics(static_cast<size_t>(norm.statistics()));
    group_norm_forward(norm, x.data(), y.data(), statistics.data());
    group_norm_backward(norm, x.data(), dy.data(), statistics.data(), dx.data(), dgamma.data(), dbeta.data());
  }
  CHECK_ALL_CLOSE(y, expected.y, 1e-4);
  CHECK_ALL_CLOSE(dx, expected.dx, 1e-4);
  CHECK_ALL_CLOSE(dgamma, expected.dgamma, 1e-3);
  CHECK_ALL_CLOSE(dbeta, expected.dbeta, 1e-3);
}

}  // namespace

ENGINE_CASE(layer_normalisation_matches_its_definition) {
  for (int64_t columns : {1, 3, 7, 16, 17, 64, 100, 4096, 9001}) {
    for (int64_t rows : {0, 1, 5, 130}) check_normalisation({rows, 1, 1, columns}, true);
  }
  check_normalisation({70, 1, 3, 19}, true);
}

ENGINE_CASE(group_normalisation_matches_its_definition) {
  check_normalisation({0, 5, 2, 3}, false);
  check_normalisation({3, 1, 4, 8}, false);
  for (int64_t columns : {1, 2, 5, 16, 33}) {
    check_normalisation({2, 300, 3, columns}, false);
    check_normalisation({1, 9000 / columns, 1, columns}, false);
    check_normalisation({60, 9, 2, columns}, false);
  }
}

ENGINE_CASE(prelu_matches_its_definition) {
  for (int64_t columns : {1, 3, 16, 17, 100, 4096, 5000}) {
    for (int64_t rows : {0, 1, 70}) {
      const std::vector<float> x = check::Random(1).values(rows * columns),
                               dy = check::Random(2).values(rows * columns);
      const std::vector<float> alpha = check::Random(3).values(columns);
      std::vector<float> y(x.size()), dx(x.size()), dalpha(alpha.size());
      const Prelu prelu{rows, columns, alpha.data()};
      prelu_forward(prelu, x.data(), y.data());
      prelu_backward(prelu, x.data(), dy.data(), dx.data(), dalpha.data());
      std::vector<double> expected_y(x.size()), expected_dx(x.size()), expected_dalpha(alpha.size());
      for (size_t i = 0; i < x.size(); ++i) {
        const float slope = alpha[i % alpha.size()];
        expected_y[i] = x[i] > 0 ? x[i] : slope * x[i];
        expected_dx[i] = x[i] > 0 ? dy[i] : slope * dy[i];
        expected_dalpha[i % alpha.size()] += x[i] > 0 ? 0.0 : static_cast<double>(dy[i]) * x[i];
      }
      CHECK_ALL_CLOSE(y, expected_y, 1e-7);
      CHECK_ALL_CLOSE(dx, expected_dx, 1e-7);
      CHECK_ALL_CLOSE(dalpha, expected_dalpha, 1e-5);
    }
  }
}
