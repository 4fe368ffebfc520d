// Layer normalisation and its relatives: every row by itself, threaded.
#pragma once

#include <cstdint>

namespace cnnfast {

// x is rows of `groups` runs of `columns` values; each run is normalised by itself: y = gamma * (x - mean) *
// inverse + beta with inverse = 1 / sqrt(variance + epsilon). gamma and beta are one value for each of a row's, or null
// (1 and 0). Where runs are not `centred`, the mean is zero and the variance the mean square.
struct RowNorm {
  int64_t rows;
  int64_t groups;
  int64_t columns;
  bool centred;
  float epsilon;
  const float* gamma;
  const float* beta;

  int64_t stride() const { return groups * columns; }
  // Means, then inverses, of every run: the first runs of all rows come first.
  int64_t statistics() const { return 2 * rows * groups; }
};

void row_norm_forward(const RowNorm& norm, const float* x, float* y, float* statistics);

// dgamma and dbeta are one value for each of a row's, whether there were parameters or not.
void row_norm_backward(const RowNorm& norm, const float* x, const float* dy, const float* statistics, float* dx,
                       float* dgamma, float* dbeta);

}  // namespace cnnfast
