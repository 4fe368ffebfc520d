// Softmax, its logarithm and the cross-entropy over rows of contiguous values.
//
// The largest value is subtracted first, so that nothing overflows. A row that holds NaN or +inf, or nothing but -inf,
// has no softmax: all of it becomes NaN.
#include <cstdint>

#include "simd/math.h"
#include "simd/vec.h"

namespace cnnfast::CNNFAST_ISA {
namespace {

// The lanes past the end hold -inf: no maximum, and nothing in a sum of exponentials.
CNNFAST_INLINE Vec load_values(const float* x, int lanes) {
  if (lanes == kLanes) return load(x);
  return select(lane_index() < broadcast_int(lanes), load_partial(x, lanes), broadcast(-__builtin_inff()));
}

CNNFAST_INLINE float row_max(const float* x, int64_t columns) {
  Vec best = broadcast(-__builtin_inff());
  for_each_vector(columns, [&](int64_t i, int lanes) CNNFAST_INLINE_LAMBDA {
    const Vec v = load_values(x + i, lanes);
    best = select((v > best) | is_nan(v), v, best);
  });
  return max_lane(best);
}

// The sum of exp(x - largest); y = these exponentials.
CNNFAST_INLINE float exponentials(const float* x, float largest, float* y, int64_t columns) {
  Vec total = zero();
  for_each_vector(columns, [&](int64_t i, int lanes) CNNFAST_INLINE_LAMBDA {
    const Vec e = exp(load_values(x + i, lanes) - largest);
    total += e;
    store_lanes(y + i, e, lanes);
  });
  return sum(total);
}

CNNFAST_INLINE void scale(float* y, float factor, int64_t columns) {
  for_each_vector(columns, [&](int64_t i, int lanes)
                               CNNFAST_INLINE_LAMBDA { store_lanes(y + i, load_lanes(y + i, lanes) * factor, lanes); });
}

// The logarithm of a sum of exponentials, which holds exp(0) and so is at least 1.
CNNFAST_INLINE float log_sum(float total) { return log1p(broadcast(total - 1.0f))[0]; }

CNNFAST_INLINE float row_sum(const float* x, int64_t columns) {
  Vec total = zero();
  for_each_vector(columns, [&](int64_t i, int lanes) CNNFAST_INLINE_LAMBDA { total += load_lanes(x + i, lanes); });
  return sum(total);
}

CNNFAST_INLINE float dot(const float* a, const float* b, int64_t columns) {
  Vec total = zero();
  for_each_vector(columns, [&](int64_t i, int lanes) CNNFAST_INLINE_LAMBDA {
    total = fma(load_lanes(a + i, lanes), load_lanes(b + i, lanes), total);
  });
  return sum(total);
}

}  // namespace

void softmax_forward(const float* x, float* y, int64_t rows, int64_t columns) {
  for (int64_t row = 0; row < rows; ++row, x += columns, y += columns) {
    const float total = exponentials(x, row_max(x, columns), y, columns);
    scale(y, 1.0f / total, columns);
  }
}

void softmax_backward(const float* y, const float* dy, float* dx, int64_t rows, int64_t columns) {
  for (int64_t row = 0; row < rows; ++row, y += columns, dy += columns, dx += columns) {
    const float mean = dot(y, dy, columns);
    for_each_vector(columns, [&](int64_t i, int lanes) CNNFAST_INLINE_LAMBDA {
      store_lanes(dx + i, load_lanes(y + i, lanes) * (load_lanes(dy + i, lanes) - mean), lanes);
    });
  }
}

void log_softmax_forward(const float* x, float* y, int64_t rows, int64_t columns) {
  for (int64_t row = 0; row < rows; ++row, x += columns, y += columns) {
    const float largest = row_max(x, columns);
    Vec total = zero();
    for_each_vector(columns, [&](int64_t i, int lanes)
                                 CNNFAST_INLINE_LAMBDA { total += exp(load_values(x + i, lanes) - largest); });
    const float logarithm = log_sum(sum(total));
    for_each_vector(columns, [&](int64_t i, int lanes) CNNFAST_INLINE_LAMBDA {
      store_lanes(y + i, load_lanes(x + i, lanes) - largest - logarithm, lanes);
    });
  }
}

void log_softmax_backward(const float* y, const float* dy, float* dx, int64_t rows, int64_t columns) {
  for (int64_t row = 0; row < rows; ++row, y += columns, dy += columns, dx += columns) {
    const Vec total = broadcast(row_sum(dy, columns));
    for_each_vector(columns, [&](int64_t i, int lanes) CNNFAST_INLINE_LAMBDA {
      store_lanes(dx + i, fma(-exp(load_lanes(y + i, lanes)), total, load_lanes(dy + i, lanes)), lanes);
    });
  }
}

void cross_entropy_forward(const float* labels, const float* logits, float* probabilities, float* losses, int64_t rows,
                           int64_t columns) {
  for (int64_t row = 0; row < rows; ++row, labels += columns, logits += columns, probabilities += columns) {
    const float largest = row_max(logits, columns);
    const float total = exponentials(logits, largest, probabilities, columns);
    scale(probabilities, 1.0f / total, columns);
    // -sum(labels * log p), where a label of 0 counts for nothing even where p is 0 too.
    Vec weighted = zero();
    for_each_vector(columns, [&](int64_t i, int lanes) CNNFAST_INLINE_LAMBDA {
      const Vec label = load_lanes(labels + i, lanes);
      weighted += select(label == 0, zero(), label * (load_lanes(logits + i, lanes) - largest));
    });
    losses[row] = row_sum(labels, columns) * log_sum(total) - sum(weighted);
  }
}

void cross_entropy_backward(const float* labels, const float* probabilities, const float* dlosses, float* dlogits,
                            int64_t rows, int64_t columns) {
  for (int64_t row = 0; row < rows; ++row, labels += columns, probabilities += columns, dlogits += columns) {
    const Vec total = broadcast(row_sum(labels, columns));
    for_each_vector(columns, [&](int64_t i, int lanes) CNNFAST_INLINE_LAMBDA {
      const Vec difference = fma(total, load_lanes(probabilities + i, lanes), -load_lanes(labels + i, lanes));
      store_lanes(dlogits + i, difference * dlosses[row], lanes);
    });
  }
}

void sparse_cross_entropy_forward(const int64_t* labels, const float* logits, float* probabilities, float* losses,
                                  int64_t rows, int64_t columns) {
  for (int64_t row = 0; row < rows; ++row, logits += columns, probabilities += columns) {
    const float largest = row_max(logits, columns);
    const float total = exponentials(logits, largest, probabilities, columns);
    scale(probabilities, 1.0f / total, columns);
    losses[row] = log_sum(total) - (logits[labels[row]] - largest);
  }
}

void sparse_cross_entropy_backward(const int64_t* labels, const float* probabilities, const float* dlosses,
                                   float* dlogits, int64_t rows, int64_t columns) {
  for (int64_t row = 0; row < rows; ++row, probabilities += columns, dlogits += columns) {
    for_each_vector(columns, [&](int64_t i, int lanes) CNNFAST_INLINE_LAMBDA {
      store_lanes(dlogits + i, load_lanes(probabilities + i, lanes) * dlosses[row], lanes);
    });
    dlogits[labels[row]] = (probabilities[labels[row]] - 1.0f) * dlosses[row];
  }
}

}  // namespace cnnfast::CNNFAST_ISA
