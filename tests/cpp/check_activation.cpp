// Activations against their definitions, in double.
#include "check.h"
#include "ops/activation.h"

using namespace cnnfast;

namespace {

constexpr float kNaN = std::numeric_limits<float>::quiet_NaN();
constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr float kAlpha = 0.3f;

double linear(double x) { return x; }
double relu(double x) { return std::isnan(x) || x > 0 ? x : 0; }
double relu6(double x) { return std::min(relu(x), 6.0); }
double leaky_relu(double x) { return std::isnan(x) || x > 0 ? x : kAlpha * x; }
double sigmoid(double x) { return 1 / (1 + std::exp(-x)); }
double elu(double x) { return std::isnan(x) || x > 0 ? x : kAlpha * std::expm1(x); }
double selu(double x) { return 1.0507009873554805 * (std::isnan(x) || x > 0 ? x : 1.6732632423543772 * std::expm1(x)); }
double softplus(double x) { return std::log1p(std::exp(x)); }
double gelu(double x) { return x / 2 * std::erfc(-x / std::sqrt(2.0)); }
double gelu_tanh(double x) { return x * sigmoid(2 * 0.7978845608028654 * (x + 0.044715 * x * x * x)); }
double silu(double x) { return x * sigmoid(x); }
double hard_sigmoid(double x) { return relu6(x + 3) / 6; }
double hard_silu(double x) { return x * hard_sigmoid(x); }

struct Definition {
  Activation kind;
  double (*function)(double);
  double tolerance;  // for results of size 8
};

const Definition kDefinitions[] = {
    {Activation::linear, linear, 0},
    {Activation::relu, relu, 0},
    {Activation::relu6, relu6, 0},
    {Activation::leaky_relu, leaky_relu, 1e-6},
    {Activation::sigmoid, sigmoid, 3e-7},
    {Activation::tanh, std::tanh, 3e-7},
    {Activation::elu, elu, 3e-7},
    {Activation::selu, selu, 2e-6},
    {Activation::softplus, softplus, 2e-6},
    {Activation::gelu, gelu, 2e-6},
    {Activation::gelu_tanh, gelu_tanh, 2e-6},
    {Activation::silu, silu, 2e-6},
    {Activation::hard_sigmoid, hard_sigmoid, 3e-7},
    {Activation::hard_silu, hard_silu, 2e-6},
};

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
    for (const Definition& d : kDefinitions) check_forward(d.kind, d.function, x, d.tolerance);
  }
}

ENGINE_CASE(activation_gradients_are_slopes) {
  const std::vector<float> x = check::Random(2).values(1003), dy = check::Random(3).values(1003);
  const auto count = static_cast<int64_t>(x.size());
  for (const Definition& d : kDefinitions) {
    std::vector<float> y(x.size()), dx(x.size());
    std::vector<double> expected;
    for (size_t i = 0; i < x.size(); ++i) {
      const double ahead = d.function(x[i] + 1e-6), behind = d.function(x[i] - 1e-6);
      expected.push_back(dy[i] * (ahead - behind) / 2e-6);
    }
    activation_forward(d.kind, kAlpha, x.data(), y.data(), count);
    const std::vector<float>& saved = gradient_uses_output(d.kind) ? y : x;
    activation_backward(d.kind, kAlpha, saved.data(), dy.data(), dx.data(), count);
    CHECK_ALL_CLOSE(dx, expected, 1e-6);
  }
}

ENGINE_CASE(activations_pass_nan_and_infinity) {
  const std::vector<float> x = {kNaN, kInfinity, -kInfinity, 0.0f, -0.0f, kNaN, 1.0f, -1.0f, kNaN};
  check_forward(Activation::relu, relu, x, 0);
}
