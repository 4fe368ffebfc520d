// Activations against their definitions, in double.
#include "check.h"
#include "ops/activation.h"

using namespace cnnfast;

namespace {

constexpr float kNaN = std::numeric_limits<float>::quiet_NaN();
constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr float kAlpha = 0.3f;

double relu(double x) { return std::isnan(x) || x > 0 ? x : 0; }
double leaky_relu(double x) { return std::isnan(x) || x > 0 ? x : kAlpha * x; }

void check_forward(Activation kind, double (*definition)(double), const std::vector<float>& x, double tolerance) {
  std::vector<float> y(x.size());
  std::vector<double> expected;
  for (float value : x) expected.push_back(definition(value));
  activation_forward(kind, kAlpha, x.data(), y.data(), static_cast<int64_t>(x.size()));
  CHECK_ALL_CLOSE(y, expected, tolerance);
}

}  // namespace

ENGINE_CASE(activations_match_their_definitions) {
  // Tails of every vector width, and enough values for several threads.
  for (int64_t count : {0, 1, 3, 7, 8, 15, 16, 17, 31, 33, 200003}) {
    std::vector<float> x = check::Random(1).values(count);
    for (float& value : x) value *= 8;
    check_forward(Activation::relu, relu, x, 0);
    check_forward(Activation::leaky_relu, leaky_relu, x, 1e-6);
  }
}

ENGINE_CASE(activations_pass_nan_and_infinity) {
  const std::vector<float> x = {kNaN, kInfinity, -kInfinity, 0.0f, -0.0f, kNaN, 1.0f, -1.0f, kNaN};
  check_forward(Activation::relu, relu, x, 0);
}
