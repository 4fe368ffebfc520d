// Group normalisation: every image's groups of channels by themselves, threaded.
#pragma once

#include <cstdint>

namespace cnnfast {

// x is `images` of `positions` of `groups * columns` channels. y = gamma * (x - mean) * inverse + beta, where mean and
// inverse = 1 / sqrt(variance + epsilon) are those of a group of channels of an image, and gamma and beta, one value a
// channel, may be null (1 and 0).
struct GroupNorm {
  int64_t images;
  int64_t positions;
  int64_t groups;
  int64_t columns;
  float epsilon;
  const float* gamma;
  const float* beta;

  int64_t channels() const { return groups * columns; }
  // Means, then inverses, of every group of every image.
  int64_t statistics() const { return 2 * images * groups; }
};

void group_norm_forward(const GroupNorm& norm, const float* x, float* y, float* statistics);

// dgamma and dbeta are one value a channel, whether there were parameters or not.
void group_norm_backward(const GroupNorm& norm, const float* x, const float* dy, const float* statistics, float* dx,
                         float* dgamma, float* dbeta);

}  // namespace cnnfast
