#include "ops/softmax.h"

#include <algorithm>
#include <stdexcept>
#include <string>

#include "dispatch.h"
#include "runtime/parallel.h"

namespace cnnfast {
namespace {

constexpr int64_t kGrain = 2048;      // values
constexpr double kWorkPerValue = 30;  // dominated by the exponential
constexpr double kWorkWithoutExp = 4;

// Calls body(first row, rows, offset of the first row's values).
template <typename Body>
void for_row_ranges(Rows shape, double work_per_value, const Body& body) {
  const int64_t grain = std::max<int64_t>(1, kGrain / std::max<int64_t>(1, shape.columns));
  const double work = work_per_value * static_cast<double>(shape.rows) * static_cast<double>(shape.columns);
  parallel_ranges(shape.rows, grain, work,
                  [&](int64_t begin, int64_t end) { body(begin, end - begin, begin * shape.columns); });
}

void check_labels(Rows shape, const int64_t* labels) {
  for (int64_t row = 0; row < shape.rows; ++row) {
    if (labels[row] < 0 || labels[row] >= shape.columns) {
      throw std::invalid_argument("softmax_cross_entropy: integer labels expect values from 0 to " +
                                  std::to_string(shape.columns - 1) + " for logits of " +
                                  std::to_string(shape.columns) + " classes, got " + std::to_string(labels[row]) +
                                  " (row " + std::to_string(row) + ")");
    }
  }
}

}  // namespace

void softmax_forward(Rows shape, const float* x, float* y) {
  for_row_ranges(shape, kWorkPerValue, [&](int64_t, int64_t rows, int64_t at) {
    kernels().softmax_forward(x + at, y + at, rows, shape.columns);
  });
}

void softmax_backward(Rows shape, const float* y, const float* dy, float* dx) {
  for_row_ranges(shape, kWorkWithoutExp, [&](int64_t, int64_t rows, int64_t at) {
    kernels().softmax_backward(y + at, dy + at, dx + at, rows, shape.columns);
  });
}

void log_softmax_forward(Rows shape, const float* x, float* y) {
  for_row_ranges(shape, kWorkPerValue, [&](int64_t, int64_t rows, int64_t at) {
    kernels().log_softmax_forward(x + at, y + at, rows, shape.columns);
  });
}

void log_softmax_backward(Rows shape, const float* y, const float* dy, float* dx) {
  for_row_ranges(shape, kWorkPerValue, [&](int64_t, int64_t rows, int64_t at) {
    kernels().log_softmax_backward(y + at, dy + at, dx + at, rows, shape.columns);
  });
}

void cross_entropy_forward(Rows shape, const float* labels, const float* logits, float* probabilities, float* losses) {
  for_row_ranges(shape, kWorkPerValue, [&](int64_t first, int64_t rows, int64_t at) {
    kernels().cross_entropy_forward(labels + at, logits + at, probabilities + at, losses + first, rows, shape.columns);
  });
}

void cross_entropy_backward(Rows shape, const float* labels, const float* probabilities, const float* dlosses,
                            float* dlogits) {
  for_row_ranges(shape, kWorkWithoutExp, [&](int64_t first, int64_t rows, int64_t at) {
    kernels().cross_entropy_backward(labels + at, probabilities + at, dlosses + first, dlogits + at, rows,
                                     shape.columns);
  });
}

void cross_entropy_forward(Rows shape, const int64_t* labels, const float* logits, float* probabilities,
                           float* losses) {
  check_labels(shape, labels);
  for_row_ranges(shape, kWorkPerValue, [&](int64_t first, int64_t rows, int64_t at) {
    kernels().sparse_cross_entropy_forward(labels + first, logits + at, probabilities + at, losses + first, rows,
                                           shape.columns);
  });
}

void cross_entropy_backward(Rows shape, const int64_t* labels, const float* probabilities, const float* dlosses,
                            float* dlogits) {
  check_labels(shape, labels);
  for_row_ranges(shape, kWorkWithoutExp, [&](int64_t first, int64_t rows, int64_t at) {
    kernels().sparse_cross_entropy_backward(labels + first, probabilities + at, dlosses + first, dlogits + at, rows,
                                            shape.columns);
  });
}

}  // namespace cnnfast
