// The gradient to the weights in the transformed domain: for each point a product of tiles of x and of dy.
#include <algorithm>
#include <cstring>

#include "dispatch.h"
#include "ops/panels.h"
#include "ops/winograd.h"
#include "ops/winograd_tiles.h"
#include "runtime/memory.h"
#include "runtime/parallel.h"

namespace cnnfast {
namespace {

constexpr int64_t kPrivateFloats =
    (1 << 20) / 4;  // sums of this size are private to chunks of tiles, larger ones shared
constexpr int64_t kPrivateTiles = 28, kSharedTiles = 112;
constexpr int64_t kChunks = 16;

class TransformedGradient {
 public:
  TransformedGradient(const ConvShape& shape, WinogradKind kind, const float* x, const float* dy)
      : shape_(shape),
        kind_(kind),
        x_(x),
        dy_(dy),
        panels_(shape.out_channels, kernels().limits.lanes, 2),
        tiles_(shape.window_source(), shape.images, kind),
        padded_in_((shape.in_channels + kernels().limits.lanes - 1) / kernels().limits.lanes * kernels().limits.lanes),
        sum_point_(spread_points(panels_.floats(shape.in_channels))),
        zeros_(static_cast<size_t>(std::max(shape.in_channels, shape.out_channels))) {
    std::memset(zeros_.data(), 0, sizeof(float) * static_cast<size_t>(std::max(shape.in_channels, shape.out_channels)));
    const bool private_sums = kind.points() * sum_point_ <= kPrivateFloats;
    block_tiles_ = private_sums ? kPrivateTiles : kSharedTiles;
    const int64_t blocks = (tiles_.count() + block_tiles_ - 1) / block_tiles_;
    chunks_ = private_sums ? std::min(blocks, kChunks) : 1;
    v_point_ = spread_points(block_tiles_ * padded_in_);
    y_point_ = spread_points(block_tiles_ * panels_.count() * panels_.width());
  }

  void run(float* dw) {
    const int64_t points = kind_.points();
    const Scratch sums(static_cast<size_t>(chunks_ * points * sum_point_));
    if (chunks_ > 1) {
      run_private(sums.data());
    } else {
      run_shared(sums.data());
    }
    transform_back(sums.data(), dw);
  }

 private:
  int64_t block_floats() const { return kind_.points() * (v_point_ + y_point_); }

  // A chunk of tiles for each task, with sums of its own.
  void run_private(float* sums) const {
    const int64_t blocks = (tiles_.count() + block_tiles_ - 1) / block_tiles_, points = kind_.points();
    const int threads = threads_for(chunks_, shape_.flops());
    const Scratch scratch(threads, static_cast<size_t>(block_floats()));
    parallel_tasks(chunks_, threads, [&](int64_t chunk, int thread) {
      float *v = scratch.part(thread), *y = v + points * v_point_;
      float* chunk_sums = sums + chunk * points * sum_point_;
      std::memset(chunk_sums, 0, sizeof(float) * static_cast<size_t>(points * sum_point_));
      for (int64_t block = blocks * chunk / chunks_; block < blocks * (chunk + 1) / chunks_; ++block) {
        const int64_t begin = block * block_tiles_, count = std::min(block_tiles_, tiles_.count() - begin);
        for (int64_t t = 0; t < count; ++t) transform_tile(begin + t, t, v, y);
        for (int64_t point = 0; point < points; ++point) {
          for (int64_t panel = 0; panel < panels_.count(); ++panel) multiply(point, panel, count, v, y, chunk_sums);
        }
      }
    });
  }

  // All threads work on one block of tiles at a time and share out the points; every sum has one order of addition.
  void run_shared(float* sums) const {
    const int64_t points = kind_.points();
    const Scratch scratch(static_cast<size_t>(block_floats()));
    float *v = scratch.data(), *y = v + points * v_point_;
    const double flops = shape_.flops() * static_cast<double>(block_tiles_) / static_cast<double>(tiles_.count());
    const int64_t products = points * panels_.count();
    for (int64_t begin = 0; begin < tiles_.count(); begin += block_tiles_) {
      const int64_t count = std::min(block_tiles_, tiles_.count() - begin);
      parallel_tasks(count, threads_for(count, flops), [&](int64_t t, int) { transform_tile(begin + t, t, v, y); });
      parallel_tasks(products, threads_for(products, flops), [&](int64_t task, int) {
        const int64_t point = task / panels_.count(), panel = task % panels_.count();
        if (begin == 0) {
          std::memset(sum_panel(sums, point, panel), 0,
                      sizeof(float) * static_cast<size_t>(shape_.in_channels * panels_.padded(panel)));
        }
        multiply(point, panel, count, v, y, sums);
      });
    }
  }

  float* sum_panel(float* sums, int64_t point, int64_t panel) const {
    return sums + point * sum_point_ + panels_.offset(panel, shape_.in_channels);
  }

  void transform_tile(int64_t tile, int64_t place, float* v, float* y) const {
    const Axis &h = shape_.axis[1], &w = shape_.axis[2];
    WinogradScatter s = scatter_from(kind_, h.in, w.in, shape_.in_channels, zeros_.data());
    s.image = x_ + tiles_.plane(tile) * h.in * w.in * shape_.in_channels;
    s.row = tiles_.row(tile) - h.pad_before;
    s.col = tiles_.col(tile) - w.pad_before;
    s.to = v + place * padded_in_;
    s.point = v_point_;
    s.panel = static_cast<int>(padded_in_);
    kernels().winograd_input(s);

    s = scatter_from(kind_, h.out, w.out, shape_.out_channels, zeros_.data());
    s.image = dy_ + tiles_.plane(tile) * h.out * w.out * shape_.out_channels;
    s.row = tiles_.row(tile);
    s.col = tiles_.col(tile);
    s.to = y + place * panels_.width();
    s.point = y_point_;
    s.panel = static_cast<int>(panels_.width());
    s.panel_stride = block_tiles_ * panels_.width();
    kernels().winograd_output_gradient(s);
  }

  void multiply(int64_t point, int64_t panel, int64_t tiles, const float* v, const float* y, float* sums) const {
    ConvWeightsTile t{};
    t.x = v + point * v_point_;
    t.x_pixel = padded_in_;
    t.dy = y + point * y_point_ + panel * block_tiles_ * panels_.width();
    t.dy_pixel = panels_.width();
    t.rows = 1;
    t.cols = static_cast<int>(tiles);
    t.dw = sum_panel(sums, point, panel);
    t.run_length = static_cast<int>(shape_.in_channels);
    t.vectors = panels_.vectors(panel);
    kernels().conv_weights_tile(t);
  }

  void transform_back(const float* sums, float* dw) const {
    constexpr int64_t kRows = 16;
    const int64_t points = kind_.points(), row_blocks = (shape_.in_channels + kRows - 1) / kRows;
    const int64_t tasks = row_blocks * panels_.count();
    const double work = static_cast<double>(chunks_ * points * sum_point_);
    parallel_tasks(tasks, threads_for(tasks, work), [&](int64_t task, int) {
      const int64_t panel = task / row_blocks, row = task % row_blocks * kRows;
      WinogradWeightsGradient g;
      g.kind = kind_;
      g.width = panels_.padded(panel);
      g.from = sums + panels_.offset(panel, shape_.in_channels) + row * g.width;
      g.part = points * sum_point_;
      g.parts = static_cast<int>(chunks_);
      g.point = sum_point_;
      g.rows = std::min(kRows, shape_.in_channels - row);
      g.channels = panels_.channels(panel);
      g.dw = dw + row * shape_.out_channels + panels_.begin(panel);
      g.tap = shape_.in_channels * shape_.out_channels;
      g.row = shape_.out_channels;
      kernels().winograd_weights_gradient(g);
    });
  }

  const ConvShape& shape_;
  WinogradKind kind_;
  const float *x_, *dy_;
  PanelGrid panels_;
  WinogradTiles tiles_;
  int64_t padded_in_, sum_point_;
  int64_t block_tiles_, chunks_, v_point_, y_point_;
  Scratch zeros_;
};

}  // namespace

void winograd_backward_weights(const ConvShape& shape, WinogradKind kind, const float* x, const float* dy, float* dw) {
  TransformedGradient(shape, kind, x, dy).run(dw);
}

}  // namespace cnnfast
