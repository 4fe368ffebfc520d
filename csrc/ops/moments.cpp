#include "ops/moments.h"

#include <algorithm>
#include <vector>

#include "dispatch.h"

namespace cnnfast {

Moments::Moments(const float* x, int64_t rows, int64_t channels)
    : x_(x),
      channels_(channels),
      chunks_(rows, channels),
      partial_(static_cast<size_t>(2 * chunks_.count * channels)) {}

void Moments::take_chunk(int64_t i) {
  float* means = partial_.data() + 2 * i * channels_;
  kernels().column_moments(columns_of(channels_), x_ + chunks_.first(i) * channels_, chunks_.size(i), means,
                           means + channels_);
}

void Moments::combine(float* mean, float* variance) const {
  std::vector<double> means(static_cast<size_t>(channels_)), squares(static_cast<size_t>(channels_));
  for (int64_t i = 0; i < chunks_.count; ++i) {
    const float *chunk_means = partial_.data() + 2 * i * channels_, *chunk_squares = chunk_means + channels_;
    const double before = static_cast<double>(chunks_.first(i));
    const double added = static_cast<double>(chunks_.size(i));
    const double share = added / (before + added);
    for (size_t c = 0; c < means.size(); ++c) {
      const double delta = chunk_means[c] - means[c];
      means[c] += delta * share;
      squares[c] += chunk_squares[c] + delta * delta * before * share;
    }
  }
  for (int64_t c = 0; c < channels_; ++c) {
    mean[c] = static_cast<float>(means[static_cast<size_t>(c)]);
    variance[c] = static_cast<float>(squares[static_cast<size_t>(c)] / static_cast<double>(chunks_.rows));
  }
}

void batch_moments(const float* x, int64_t rows, int64_t channels, float* mean, float* variance) {
  Moments moments(x, rows, channels);
  moments.chunks().run([&](int64_t i, int64_t, int64_t) { moments.take_chunk(i); });
  moments.combine(mean, variance);
}

WrittenMoments::WrittenMoments(const float* y, int64_t rows, int64_t channels)
    : y_(y), channels_(channels), moments_(y, rows, channels) {
  const RowChunks& chunks = moments_.chunks();
  missing_ = std::make_unique<std::atomic<int64_t>[]>(static_cast<size_t>(chunks.count));
  for (int64_t i = 0; i < chunks.count; ++i) {
    missing_[static_cast<size_t>(i)].store(chunks.size(i) * channels, std::memory_order_relaxed);
  }
}

void WrittenMoments::written(const float* y, int64_t count, int64_t channels) {
  const RowChunks& chunks = moments_.chunks();
  int64_t row = (y - y_) / channels_;
  const int64_t end = row + count;
  while (row < end) {
    const int64_t i = row / chunks.chunk, past = std::min(end, chunks.first(i) + chunks.size(i));
    const int64_t values = (past - row) * channels;
    // What others wrote of the chunk before they counted it is there to be read when the count is down.
    if (missing_[static_cast<size_t>(i)].fetch_sub(values, std::memory_order_acq_rel) == values) moments_.take_chunk(i);
    row = past;
  }
}

void WrittenMoments::finish(float* mean, float* variance) {
  const auto missing = [&](int64_t i) { return missing_[static_cast<size_t>(i)].load(std::memory_order_relaxed) != 0; };
  int64_t left = 0;
  for (int64_t i = 0; i < moments_.chunks().count; ++i) left += missing(i) ? 1 : 0;
  if (left > 0) {
    moments_.chunks().run([&](int64_t i, int64_t, int64_t) {
      if (missing(i)) moments_.take_chunk(i);
    });
  }
  moments_.combine(mean, variance);
}

}  // namespace cnnfast
