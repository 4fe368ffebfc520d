// Means and variances of the columns of a matrix.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>

#include "ops/row_chunks.h"
#include "runtime/memory.h"

namespace cnnfast {

// Each channel's mean and biased variance over at least one row: chunk by chunk while a chunk is in cache, the chunks
// combined in order by the formula of Chan, Golub and LeVeque (1979), in double precision.
class Moments {
 public:
  Moments(const float* x, int64_t rows, int64_t channels);

  // Those of one chunk; to be called once for each.
  void take_chunk(int64_t i);
  const RowChunks& chunks() const { return chunks_; }

  // After all chunks.
  void combine(float* mean, float* variance) const;

 private:
  const float* x_;
  int64_t channels_;
  RowChunks chunks_;
  Scratch partial_;
};

void batch_moments(const float* x, int64_t rows, int64_t channels, float* mean, float* variance);

// The moments of what is being written: whoever writes a chunk's last values reads it again at once, from a near cache.
// Which chunks there are does not depend on who writes what, so the result is the same bits as batch_moments() has.
class WrittenMoments {
 public:
  WrittenMoments(const float* y, int64_t rows, int64_t channels);

  // To be told, by any thread, of some channels of `count` rows from `y` on: they are written for good.
  void written(const float* y, int64_t count, int64_t channels);

  // After everything was written; what nobody told of is read now.
  void finish(float* mean, float* variance);

 private:
  const float* y_;
  int64_t channels_;
  Moments moments_;
  std::unique_ptr<std::atomic<int64_t>[]> missing_;  // values of each chunk
};

}  // namespace cnnfast
