#include "ops/global_pool.h"

#include <algorithm>

#include "dispatch.h"
#include "ops/reduce.h"
#include "runtime/memory.h"
#include "runtime/parallel.h"

namespace cnnfast {
namespace {

double floats(int64_t images, int64_t positions, int64_t channels) {
  return static_cast<double>(images) * static_cast<double>(positions) * static_cast<double>(channels);
}

// Every image's positions in chunks whose number depends on the shape alone.
struct Chunks {
  int64_t rows;  // positions in a chunk
  int64_t per_image;
  Chunks(int64_t positions, int64_t channels)
      : rows(reduction_chunk(columns_of(channels))), per_image((positions + rows - 1) / rows) {}
};

// Takes a later chunk's maxima where they beat those before.
void merge_maxima(const float* value, const int32_t* row, int64_t channels, float* best, int32_t* best_row) {
  for (int64_t c = 0; c < channels; ++c) {
    const bool beaten = best[c] == best[c] && !(value[c] <= best[c]);
    if (!beaten) continue;
    best[c] = value[c];
    best_row[c] = row[c];
  }
}

}  // namespace

void global_max_forward(const float* x, int64_t images, int64_t positions, int64_t channels, float* y,
                        int32_t* winners) {
  const Columns columns = columns_of(channels);
  const Chunks chunks(positions, channels);
  const int64_t partials = images * chunks.per_image;
  const Scratch scratch(2, static_cast<size_t>(partials * channels));
  float* values = scratch.part(0);
  auto* rows = reinterpret_cast<int32_t*>(scratch.part(1));
  parallel_tasks(partials, threads_for(partials, 2 * floats(images, positions, channels)), [&](int64_t task, int) {
    const int64_t image = task / chunks.per_image, first = task % chunks.per_image * chunks.rows;
    kernels().column_maxima(columns, x + (image * positions + first) * channels,
                            std::min(chunks.rows, positions - first), first, values + task * channels,
                            rows + task * channels);
  });
  for (int64_t image = 0; image < images; ++image) {
    const int64_t from = image * chunks.per_image * channels;
    float* best = y + image * channels;
    int32_t* best_row = winners + image * channels;
    std::copy_n(values + from, channels, best);
    std::copy_n(rows + from, channels, best_row);
    for (int64_t i = 1; i < chunks.per_image; ++i) {
      merge_maxima(values + from + i * channels, rows + from + i * channels, channels, best, best_row);
    }
  }
}

void global_max_backward(const float* dy, const int32_t* winners, int64_t images, int64_t positions, int64_t channels,
                         float* dx) {
  const int64_t size = positions * channels;
  parallel_ranges(images, 1, floats(images, positions, channels), [&](int64_t begin, int64_t end) {
    std::fill(dx + begin * size, dx + end * size, 0.0f);
    for (int64_t i = begin * channels; i < end * channels; ++i) {
      const int64_t row = winners[i];
      if (row >= 0 && row < positions) dx[i / channels * size + row * channels + i % channels] = dy[i];
    }
  });
}

void global_average_forward(const float* x, int64_t images, int64_t positions, int64_t channels, float* y) {
  const Columns columns = columns_of(channels);
  const Chunks chunks(positions, channels);
  const int64_t partials = images * chunks.per_image;
  const Scratch scratch(static_cast<size_t>(partials * channels));
  parallel_tasks(partials, threads_for(partials, floats(images, positions, channels)), [&](int64_t task, int) {
    const int64_t image = task / chunks.per_image, first = task % chunks.per_image * chunks.rows;
    kernels().column_sums(columns, x + (image * positions + first) * channels, std::min(chunks.rows, positions - first),
                          scratch.data() + task * channels);
  });
  const float scale = 1.0f / static_cast<float>(positions);
  for (int64_t image = 0; image < images; ++image) {
    float* sums = y + image * channels;
    channel_sums(scratch.data() + image * chunks.per_image * channels, chunks.per_image, channels, sums);
    for (int64_t c = 0; c < channels; ++c) sums[c] *= scale;
  }
}

void global_average_backward(const float* dy, int64_t images, int64_t positions, int64_t channels, float* dx) {
  const float scale = 1.0f / static_cast<float>(positions);
  const int64_t rows = images * positions;
  parallel_ranges(rows, std::max<int64_t>(1, 16384 / channels), floats(images, positions, channels),
                  [&](int64_t begin, int64_t end) {
                    for (int64_t row = begin; row < end; ++row) {
                      const float* from = dy + row / positions * channels;
                      for (int64_t c = 0; c < channels; ++c) dx[row * channels + c] = from[c] * scale;
                    }
                  });
}

}  // namespace cnnfast
