#include "ops/depthwise.h"

#include <algorithm>
#include <cstring>

#include "dispatch.h"
#include "runtime/memory.h"
#include "runtime/parallel.h"

namespace cnnfast {
namespace {

constexpr int64_t kBlockFloats = (256 << 10) / 4;
constexpr int kTasksPerThread = 4;
constexpr int64_t kMostChunks = 64;

// All channels of a pixel, seen as one group.
WindowSource all_channels(WindowSource source) {
  source.channels = source.pixel_channels;
  return source;
}

// The weights as [tap][channel], taps in the correlation's order.
void gather_weights(const WeightView& view, int64_t channels, float* to) {
  for (const int64_t tap : view.taps) {
    std::memcpy(to, view.w + tap * view.tap_stride, sizeof(float) * static_cast<size_t>(channels));
    to += channels;
  }
}

}  // namespace

void correlate_depthwise(const Correlation& c, const float* x, const WeightView& w, const float* bias, float* y) {
  const WindowSource source = all_channels(c.source);
  const int64_t channels = c.groups;
  const Scratch weights(static_cast<size_t>(source.taps() * channels));
  gather_weights(w, channels, weights.data());

  BlockGrid grid(source, c.images, kBlockFloats, INT64_MAX);
  grid.split(int64_t{kTasksPerThread} * threads_for(INT32_MAX, c.flops()));
  const WindowLayout layout(source, grid, Runs::taps);
  const int threads = threads_for(grid.size(), c.flops());
  const Scratch scratch(threads, static_cast<size_t>(layout.scratch_floats()));
  parallel_tasks(grid.size(), threads, [&](int64_t task, int thread) {
    const OutputBlock block = grid[task];
    const WindowView view = layout.view(block, x, 0, scratch.part(thread));
    DepthwiseTile tile;
    tile.x_pixel = view.pixel;
    tile.taps = layout.runs().data();
    tile.tap_count = static_cast<int>(layout.runs().size());
    tile.w = weights.data();
    tile.w_tap = channels;
    tile.bias = bias;
    tile.y_pixel = c.y_pixel;
    tile.pixels = block.cols();
    tile.channels = channels;
    tile.activation = fused_in_kernel(c.activation) ? c.activation : Activation::linear;
    tile.alpha = c.alpha;
    for (int64_t r = 0; r < block.rows(); ++r) {
      tile.x = view.first + r * view.row;
      tile.y = y + block.image * c.y_image + block.depth * c.y_plane + (block.row_begin + r) * c.y_row +
               block.col_begin * c.y_pixel;
      kernels().depthwise_tile(tile);
      if (!fused_in_kernel(c.activation)) {
        activate_pixels(c.activation, c.alpha, tile.y, tile.y_pixel, tile.pixels, channels);
      }
    }
  });
}

void depthwise_backward_weights(const ConvShape& shape, const float* x, const float* dy, float* dw) {
  const WindowSource source = all_channels(shape.window_source());
  const int64_t channels = shape.out_channels, dw_floats = source.taps() * channels;
  const BlockGrid grid(source, shape.images, kBlockFloats, INT64_MAX);
  const WindowLayout layout(source, grid, Runs::taps);
  const int64_t chunks = std::min(grid.size(), kMostChunks);
  const Scratch sums(static_cast<size_t>(chunks * dw_floats));
  const int threads = threads_for(chunks, shape.flops());
  const Scratch scratch(threads, static_cast<size_t>(layout.scratch_floats()));
  parallel_tasks(chunks, threads, [&](int64_t chunk, int thread) {
    DepthwiseWeightsTile tile;
    tile.taps = layout.runs().data();
    tile.tap_count = static_cast<int>(layout.runs().size());
    tile.dy_pixel = channels;
    tile.dw = sums.data() + chunk * dw_floats;
    tile.channels = channels;
    std::memset(tile.dw, 0, sizeof(float) * static_cast<size_t>(dw_floats));
    for (int64_t i = grid.size() * chunk / chunks; i < grid.size() * (chunk + 1) / chunks; ++i) {
      const OutputBlock block = grid[i];
      const WindowView view = layout.view(block, x, 0, scratch.part(thread));
      tile.x_pixel = view.pixel;
      tile.pixels = block.cols();
      for (int64_t r = 0; r < block.rows(); ++r) {
        const int64_t row = (block.image * shape.axis[0].out + block.depth) * shape.axis[1].out + block.row_begin + r;
        tile.x = view.first + r * view.row;
        tile.dy = dy + (row * shape.axis[2].out + block.col_begin) * channels;
        kernels().depthwise_weights_tile(tile);
      }
    }
  });
  std::memcpy(dw, sums.data(), sizeof(float) * static_cast<size_t>(dw_floats));
  for (int64_t chunk = 1; chunk < chunks; ++chunk) {
    const float* from = sums.data() + chunk * dw_floats;
    for (int64_t i = 0; i < dw_floats; ++i) dw[i] += from[i];
  }
}

}  // namespace cnnfast
