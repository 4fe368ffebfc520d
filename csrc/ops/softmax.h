// Softmax, its logarithm and the cross-entropy, over `rows` rows of `columns` contiguous values; rows are threaded.
#pragma once

#include <cstdint>

namespace cnnfast {

struct Rows {
  int64_t rows, columns;
};

void softmax_forward(Rows shape, const float* x, float* y);
void softmax_backward(Rows shape, const float* y, const float* dy, float* dx);
void log_softmax_forward(Rows shape, const float* x, float* y);
void log_softmax_backward(Rows shape, const float* y, const float* dy, float* dx);

// losses[row] = -sum(labels * log(softmax(logits))); the probabilities are kept for the gradient.
void cross_entropy_forward(Rows shape, const float* labels, const float* logits, float* probabilities, float* losses);
// dlogits = (sum(labels) * probabilities - labels) * dlosses
void cross_entropy_backward(Rows shape, const float* labels, const float* probabilities, const float* dlosses,
                            float* dlogits);

// The same for rows whose labels are 1 in one column, given by its index; throws std::invalid_argument where that is
// not in [0, columns).
void cross_entropy_forward(Rows shape, const int64_t* labels, const float* logits, float* probabilities, float* losses);
void cross_entropy_backward(Rows shape, const int64_t* labels, const float* probabilities, const float* dlosses,
                            float* dlogits);

}  // namespace cnnfast
