// Softmax, its logarithm and the cross-entropy against their definitions, in double.
#include <algorithm>

#include "check.h"
#include "ops/softmax.h"

using namespace cnnfast;

namespace {

constexpr int64_t kSizes[] = {1, 3, 7, 8, 15, 16, 17, 33, 1000};

// exp(x - max) / sum of one row.
std::vector<double> softmax(const float* x, int64_t columns) {
  const double largest = *std::max_element(x, x + columns);
  std::vector<double> p;
  double total = 0;
  for (int64_t i = 0; i < columns; ++i) total += p.emplace_back(std::exp(x[i] - largest));
  for (double& value : p) value /= total;
  return p;
}

}  // namespace

ENGINE_CASE(softmax_matches_its_definition) {
  for (int64_t columns : kSizes) {
    const Rows shape = {57, columns};
    const int64_t count = shape.rows * columns;
    const std::vector<float> x = check::Random(1).values(count);
    std::vector<float> y(x.size()), logarithms(x.size());
    softmax_forward(shape, x.data(), y.data());
    log_softmax_forward(shape, x.data(), logarithms.data());
    std::vector<double> expected, expected_logarithms;
    for (int64_t row = 0; row < shape.rows; ++row) {
      for (double p : softmax(x.data() + row * columns, columns)) {
        expected.push_back(p);
        expected_logarithms.push_back(std::log(p));
      }
    }
    CHECK_ALL_CLOSE(y, expected, 1e-6);
    CHECK_ALL_CLOSE(logarithms, expected_logarithms, 1e-5);
  }
}

ENGINE_CASE(cross_entropy_of_classes_and_of_distributions_agree) {
  for (int64_t columns : kSizes) {
    const Rows shape = {57, columns};
    const std::vector<float> logits = check::Random(2).values(shape.rows * columns);
    std::vector<float> labels(logits.size()), p(logits.size()), dlogits(logits.size()), dclasses(logits.size());
    std::vector<float> losses(57), class_losses(57);
    const std::vector<float> dlosses = check::Random(3).values(shape.rows);
    std::vector<int64_t> classes;
    std::vector<double> expected, gradient;
    for (int64_t row = 0; row < shape.rows; ++row) {
      classes.push_back(row * 7 % columns);
      labels[static_cast<size_t>(row * columns + classes.back())] = 1;
      const std::vector<double> exact = softmax(logits.data() + row * columns, columns);
      expected.push_back(-std::log(exact[static_cast<size_t>(classes.back())]));
      for (int64_t i = 0; i < columns; ++i) {
        const auto at = static_cast<size_t>(i);
        gradient.push_back((exact[at] - (i == classes.back())) * dlosses[static_cast<size_t>(row)]);
      }
    }
    cross_entropy_forward(shape, labels.data(), logits.data(), p.data(), losses.data());
    cross_entropy_backward(shape, labels.data(), p.data(), dlosses.data(), dlogits.data());
    cross_entropy_forward(shape, classes.data(), logits.data(), p.data(), class_losses.data());
    cross_entropy_backward(shape, classes.data(), p.data(), dlosses.data(), dclasses.data());
    CHECK_ALL_CLOSE(losses, expected, 1e-5);
    CHECK_ALL_CLOSE(class_losses, expected, 1e-5);
    CHECK_ALL_CLOSE(dlogits, gradient, 1e-6);
    CHECK_ALL_CLOSE(dclasses, gradient, 1e-6);
  }
  const int64_t outside = 3;
  float logits[3] = {}, p[3], loss;
  CHECK_THROWS(cross_entropy_forward({1, 3}, &outside, logits, p, &loss), std::invalid_argument, "got 3");
}
