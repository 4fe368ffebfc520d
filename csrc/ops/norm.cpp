#include "ops/norm.h"

#include <algorithm>
#include <cmath>

#include "dispatch.h"
#include "ops/reduce.h"
#include "ops/row_chunks.h"
#include "runtime/memory.h"

namespace cnnfast {
namespace {

float inverse_deviation(const BatchNorm& norm, int64_t channel) {
  return static_cast<float>(1 / std::sqrt(static_cast<double>(norm.variance[channel]) + norm.epsilon));
}

// The kernels' parameters: one tile each, side by side in scratch memory.
class Tiles {
 public:
  explicit Tiles(const BatchNorm& norm)
      : norm_(norm),
        columns_(columns_of(norm.channels)),
        width_(columns_.count * columns_.repeat),
        memory_(static_cast<size_t>(kTiles * width_)) {
    fill(0, [&](int64_t c) { return norm.mean[c]; });
    fill(1, [&](int64_t c) { return inverse_deviation(norm, c) * (norm.gamma ? norm.gamma[c] : 1.0f); });
    fill(2, [&](int64_t c) { return norm.beta ? norm.beta[c] : 0.0f; });
    fill(3, [](int64_t) { return 0.0f; });
    fill(4, [](int64_t) { return 0.0f; });
  }

  Normalizer normalizer(Activation activation) const {
    return {columns_, activation, tile(0), tile(1),
            tile(2),  tile(3),    tile(4), outgrows_caches(norm_.rows * norm_.channels)};
  }

  // What dx owes to the mean and the variance, which depend on x; `sums` are those of dy and of dy * (x - mean).
  void set_gradient_of_statistics(const float* sums) {
    const float share = 1.0f / static_cast<float>(norm_.rows);
    fill(3, [&](int64_t c) {
      const float inverse = inverse_deviation(norm_, c);
      return -tile(1)[c] * inverse * inverse * (sums[norm_.channels + c] * share);
    });
    fill(4, [&](int64_t c) { return -tile(1)[c] * (sums[c] * share); });
  }

 private:
  static constexpr int64_t kTiles = 5;

  float* tile(int64_t index) const { return memory_.data() + index * width_; }

  template <typename Value>
  void fill(int64_t index, Value value) {
    float* to = tile(index);
    for (int64_t i = 0; i < width_; ++i) to[i] = i < columns_.count ? value(i) : to[i - columns_.count];
  }

  const BatchNorm& norm_;
  Columns columns_;
  int64_t width_;
  Scratch memory_;
};

}  // namespace

void batch_norm_forward(const BatchNorm& norm, const float* x, const float* residual, float* y) {
  const Tiles tiles(norm);
  const Normalizer normalizer = tiles.normalizer(norm.activation);
  RowChunks(norm.rows, norm.channels).run([&](int64_t, int64_t first, int64_t count) {
    const int64_t place = first * norm.channels;
    kernels().normalize(normalizer, x + place, residual == nullptr ? nullptr : residual + place, y + place,
                        count * norm.channels);
  });
}

void batch_norm_backward(const BatchNorm& norm, bool of_statistics, const float* x, const float* dy,
                         const ResidualGradient* residual, float* dx, float* dgamma, float* dbeta) {
  const int64_t channels = norm.channels;
  Tiles tiles(norm);
  const RowChunks chunks(norm.rows, channels);
  const Scratch partial(static_cast<size_t>(2 * chunks.count * channels)), sums(static_cast<size_t>(2 * channels));
  {
    const Normalizer normalizer = tiles.normalizer(norm.activation);
    chunks.run([&](int64_t i, int64_t first, int64_t count) {
      const int64_t place = first * channels;
      const float* y = residual == nullptr ? nullptr : residual->y + place;
      float* dz = residual == nullptr ? nullptr : residual->d_residual + place;
      float* to = partial.data() + 2 * i * channels;
      kernels().normalize_gradient_sums(normalizer, x + place, y, dy + place, dz, count, to, to + channels);
    });
  }
  channel_sums(partial.data(), chunks.count, 2 * channels, sums.data());
  for (int64_t c = 0; c < channels; ++c) {
    dbeta[c] = sums.data()[c];
    dgamma[c] = sums.data()[channels + c] * inverse_deviation(norm, c);
  }
  if (dx == nullptr) return;
  if (of_statistics) tiles.set_gradient_of_statistics(sums.data());
  // The residual's gradient is the one before the activation: nothing is left for this pass to bend.
  const float* dz = residual == nullptr ? dy : residual->d_residual;
  const Normalizer normalizer = tiles.normalizer(residual == nullptr ? norm.activation : Activation::linear);
  chunks.run_back([&](int64_t, int64_t first, int64_t count) {
    const int64_t place = first * channels;
    kernels().normalize_gradient(normalizer, x + place, dz + place, dx + place, count * channels);
  });
}

}  // namespace cnnfast
