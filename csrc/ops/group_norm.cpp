#include "ops/group_norm.h"

#include <algorithm>
#include <cmath>

#include "dispatch.h"
#include "ops/reduce.h"
#include "ops/row_norm.h"
#include "ops/two_passes.h"
#include "runtime/memory.h"

namespace cnnfast {
namespace {

// A group of a single position is a run of a row.
RowNorm as_rows(const GroupNorm& n) { return {n.images, n.groups, n.columns, true, n.epsilon, n.gamma, n.beta}; }

// Every image's positions in chunks whose partition depends on the shape alone, and for each image under way the two
// sums a channel of every chunk and the kernels' parameters: tiles, side by side.
class Images {
 public:
  explicit Images(const GroupNorm& norm, double work_per_value)
      : norm_(norm),
        columns_(columns_of(norm.channels())),
        chunk_(reduction_chunk(columns_)),
        chunks_((norm.positions + chunk_ - 1) / chunk_),
        width_(columns_.count * columns_.repeat),
        passes_(norm.images, chunks_, work_per_value * static_cast<double>(norm.images) * static_cast<double>(image())),
        sums_(passes_.slots(), static_cast<size_t>(2 * chunks_ * norm.channels())),
        tiles_(passes_.slots(), static_cast<size_t>(kTiles * width_)) {}

  enum Tile { kCenter, kScale, kShift, kSlope, kConstant, kTiles };

  const Columns& columns() const { return columns_; }
  const TwoPasses& passes() const { return passes_; }
  int64_t image() const { return norm_.positions * norm_.channels(); }
  int64_t chunks() const { return chunks_; }
  int64_t rows(int64_t chunk) const { return std::min(chunk_, norm_.positions - chunk * chunk_); }
  int64_t place(int64_t image_index, int64_t chunk) const {
    return image_index * image() + chunk * chunk_ * norm_.channels();
  }
  // A chunk's first sums, one a channel; its second ones follow.
  float* sums(int64_t chunk, int slot) const { return sums_.part(slot) + 2 * chunk * norm_.channels(); }

  Normalizer normalizer(int slot) const {
    const auto at = [&](Tile t) { return tiles_.part(slot) + t * width_; };
    return {columns_,   Activation::linear, at(kCenter),   at(kScale),
            at(kShift), at(kSlope),         at(kConstant), outgrows_caches(norm_.images * image())};
  }

  // Fills a tile with value(group, channel).
  template <typename Value>
  void fill(Tile which, int slot, Value value) const {
    float* to = tiles_.part(slot) + which * width_;
    for (int64_t g = 0, c = 0; g < norm_.groups; ++g) {
      for (const int64_t end = c + norm_.columns; c < end; ++c) to[c] = value(g, c);
    }
    for (int64_t i = columns_.count; i < width_; ++i) to[i] = to[i - columns_.count];
  }

 private:
  const GroupNorm& norm_;
  Columns columns_;
  int64_t chunk_, chunks_, width_;
  TwoPasses passes_;
  Scratch sums_, tiles_;
};

// A group's mean and inverse deviation from the means and squares of its channels in every chunk: in double precision,
// where a sum of few numbers is as good as exact.
void combine_moments(const GroupNorm& norm, const Images& images, int slot, int64_t group, float* mean,
                     float* inverse) {
  const int64_t channels = norm.channels(), first = group * norm.columns;
  const double count = static_cast<double>(norm.positions) * static_cast<double>(norm.columns);
  double sum = 0, total = 0;
  for (int64_t i = 0; i < images.chunks(); ++i) {
    const float* means = images.sums(i, slot) + first;
    double part = 0;
    for (int64_t c = 0; c < norm.columns; ++c) part += means[c];
    sum += static_cast<double>(images.rows(i)) * part;
  }
  const double center = sum / count;
  for (int64_t i = 0; i < images.chunks(); ++i) {
    const float *means = images.sums(i, slot) + first, *squares = means + channels;
    double part = 0, between = 0;
    for (int64_t c = 0; c < norm.columns; ++c) {
      part += squares[c];
      between += (means[c] - center) * (means[c] - center);
    }
    total += part + static_cast<double>(images.rows(i)) * between;
  }
  *mean = static_cast<float>(center);
  *inverse = static_cast<float>(1 / std::sqrt(total / count + static_cast<double>(norm.epsilon)));
}

// The same for all groups where each is one channel: several at a time, which fill vectors.
void combine_channels(const GroupNorm& norm, const Images& images, int slot, float* mean, float* inverse) {
  constexpr int64_t kAtOnce = 64;
  const double count = static_cast<double>(norm.positions);
  for (int64_t first = 0; first < norm.groups; first += kAtOnce) {
    const int64_t width = std::min(kAtOnce, norm.groups - first);
    double center[kAtOnce] = {}, total[kAtOnce] = {};
    for (int64_t i = 0; i < images.chunks(); ++i) {
      const float* means = images.sums(i, slot) + first;
      const double rows = static_cast<double>(images.rows(i));
      for (int64_t c = 0; c < width; ++c) center[c] += rows * means[c];
    }
    for (int64_t c = 0; c < width; ++c) center[c] /= count;
    for (int64_t i = 0; i < images.chunks(); ++i) {
      const float *means = images.sums(i, slot) + first, *squares = means + norm.channels();
      const double rows = static_cast<double>(images.rows(i));
      for (int64_t c = 0; c < width; ++c) {
        const double off = means[c] - center[c];
        total[c] += squares[c] + rows * (off * off);
      }
    }
    for (int64_t c = 0; c < width; ++c) {
      mean[first + c] = static_cast<float>(center[c]);
      inverse[first + c] = static_cast<float>(1 / std::sqrt(total[c] / count + static_cast<double>(norm.epsilon)));
    }
  }
}

// The tiles of an image that all passes need.
void fill_tiles(const GroupNorm& norm, const Images& images, int slot, const float* mean, const float* inverse) {
  images.fill(Images::kCenter, slot, [&](int64_t g, int64_t) { return mean[g]; });
  images.fill(Images::kScale, slot,
              [&](int64_t g, int64_t c) { return inverse[g] * (norm.gamma ? norm.gamma[c] : 1.0f); });
  images.fill(Images::kShift, slot, [&](int64_t, int64_t c) { return norm.beta ? norm.beta[c] : 0.0f; });
}

// Adds the chunks' sums up in those of the first one.
void add_chunks(const GroupNorm& norm, const Images& images, int slot) {
  float* sums = images.sums(0, slot);
  for (int64_t i = 1; i < images.chunks(); ++i) {
    const float* chunk = images.sums(i, slot);
    for (int64_t c = 0; c < 2 * norm.channels(); ++c) sums[c] += chunk[c];
  }
}

// From an image's sums of dy and dy * (x - mean) a channel: what it adds to dgamma and dbeta, and what a group's mean
// and variance, which took from all of its values, give back to each.
void fill_gradient_tiles(const GroupNorm& norm, const Images& images, int slot, const float* inverse, float* dgamma,
                         float* dbeta) {
  const float *sums = images.sums(0, slot), *normal_sums = sums + norm.channels();
  const double share = 1 / (static_cast<double>(norm.positions) * static_cast<double>(norm.columns));
  float *slope = images.sums(0, slot), *constant = slope + norm.channels();
  for (int64_t group = 0; group < norm.groups; ++group) {
    const int64_t first = group * norm.columns, last = first + norm.columns;
    const double scale = inverse[group];
    double sum = 0, normal_sum = 0;
    for (int64_t c = first; c < last; ++c) {
      const double gamma = norm.gamma ? norm.gamma[c] : 1.0f;
      dbeta[c] = sums[c];
      dgamma[c] = normal_sums[c] * inverse[group];
      sum += gamma * sums[c];
      normal_sum += gamma * normal_sums[c];
    }
    std::fill(slope + first, slope + last, static_cast<float>(-scale * scale * scale * normal_sum * share));
    std::fill(constant + first, constant + last, static_cast<float>(-scale * sum * share));
  }
  images.fill(Images::kSlope, slot, [&](int64_t, int64_t c) { return slope[c]; });
  images.fill(Images::kConstant, slot, [&](int64_t, int64_t c) { return constant[c]; });
}

}  // namespace

void group_norm_forward(const GroupNorm& norm, const float* x, float* y, float* statistics) {
  if (norm.positions == 1) return row_norm_forward(as_rows(norm), x, y, statistics);
  if (norm.images == 0 || norm.positions == 0 || norm.channels() == 0) return;
  const Images images(norm, 6);
  float *means = statistics, *inverses = statistics + norm.images * norm.groups;
  images.passes().run([](int64_t, int) {},
                      [&](int64_t image, int64_t chunk, int slot) {
                        float* to = images.sums(chunk, slot);
                        kernels().column_moments(images.columns(), x + images.place(image, chunk), images.rows(chunk),
                                                 to, to + norm.channels());
                      },
                      [&](int64_t image, int slot) {
                        float *mean = means + image * norm.groups, *inverse = inverses + image * norm.groups;
                        if (norm.columns == 1) {
                          combine_channels(norm, images, slot, mean, inverse);
                        } else {
                          for (int64_t group = 0; group < norm.groups; ++group) {
                            combine_moments(norm, images, slot, group, mean + group, inverse + group);
                          }
                        }
                        fill_tiles(norm, images, slot, mean, inverse);
                      },
                      [&](int64_t image, int64_t chunk, int slot) {
                        const int64_t place = images.place(image, chunk);
                        kernels().normalize(images.normalizer(slot), x + place, nullptr, y + place,
                                            images.rows(chunk) * norm.channels());
                      });
}

void group_norm_backward(const GroupNorm& norm, const float* x, const float* dy, const float* statistics, float* dx,
                         float* dgamma, float* dbeta) {
  const int64_t channels = norm.channels();
  if (norm.positions == 1) return row_norm_backward(as_rows(norm), x, dy, statistics, dx, dgamma, dbeta);
  if (channels == 0) return;
  const int64_t count = norm.positions == 0 ? 0 : norm.images;
  const Scratch parameters(static_cast<size_t>(2 * count * channels)), total(static_cast<size_t>(2 * channels));
  if (count > 0) {
    const Images images(norm, 8);
    const float *means = statistics, *inverses = statistics + norm.images * norm.groups;
    images.passes().run(
        [&](int64_t image, int slot) {
          fill_tiles(norm, images, slot, means + image * norm.groups, inverses + image * norm.groups);
        },
        [&](int64_t image, int64_t chunk, int slot) {
          const int64_t place = images.place(image, chunk);
          float* to = images.sums(chunk, slot);
          kernels().normalize_gradient_sums(images.normalizer(slot), x + place, nullptr, dy + place, nullptr,
                                            images.rows(chunk), to, to + channels);
        },
        [&](int64_t image, int slot) {
          float* to = parameters.data() + 2 * image * channels;
          add_chunks(norm, images, slot);
          fill_gradient_tiles(norm, images, slot, inverses + image * norm.groups, to, to + channels);
        },
        [&](int64_t image, int64_t chunk, int slot) {
          const int64_t place = images.place(image, chunk);
          kernels().normalize_gradient(images.normalizer(slot), x + place, dy + place, dx + place,
                                       images.rows(chunk) * channels);
        });
  }
  channel_sums(parameters.data(), count, 2 * channels, total.data());
  std::copy_n(total.data(), channels, dgamma);
  std::copy_n(total.data() + channels, channels, dbeta);
}

}  // namespace cnnfast
