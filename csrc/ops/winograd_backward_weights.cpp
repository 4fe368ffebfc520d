// The gradient to the weights in the transformed domain: for each point a product of tiles of x and of dy.
//
// A task takes a block of input and output channels small enough that its sums stay in the second-level cache, and goes
// over a chunk of all tiles. That transforms tiles anew for every block, which costs a few percent, and reads and
// writes nothing but x, dy and dw in main memory. Neither blocks nor chunks depend on the number of threads.
#include <algorithm>
#include <cmath>
#include <cstring>

#include "dispatch.h"
#include "ops/panels.h"
#include "ops/winograd.h"
#include "ops/winograd_tiles.h"
#include "runtime/memory.h"
#include "runtime/parallel.h"

namespace cnnfast {
namespace {

constexpr int64_t kSumFloats = (1 << 20) / 4;
constexpr int64_t kTransformedFloats = (768 << 10) / 4;
constexpr int64_t kMostSlots = 56;
constexpr int64_t kTasks = 16;  // enough to share out evenly among a few threads
constexpr int64_t kMostChunks = 16;

int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }

class TransformedGradient {
 public:
  TransformedGradient(const ConvShape& shape, WinogradKind kind, const float* x, const float* dy)
      : shape_(shape),
        kind_(kind),
        tiles_(shape.window_source(), shape.images, kind),
        x_(x),
        dy_(dy),
        x_strides_(dense_input(shape.window_source())),
        dy_strides_(dense_output(shape.window_source(), shape.out_channels)),
        lanes_(kernels().limits.lanes),
        panels_(shape.out_channels, kernels().limits.lanes, 2),
        zeros_(static_cast<size_t>(std::max(shape.in_channels, shape.out_channels))) {
    std::memset(zeros_.data(), 0, sizeof(float) * static_cast<size_t>(std::max(shape.in_channels, shape.out_channels)));
    // Tiles are transformed least often where blocks are about as many channels wide in as out, counting the subs.
    const int64_t points = kind.points(), area = std::max<int64_t>(1, kSumFloats / (points * tiles_.runs()));
    const auto side = static_cast<int64_t>(std::sqrt(static_cast<double>(area * tiles_.subs())));
    out_blocks_ = ceil_div(panels_.count(), std::max<int64_t>(1, side / panels_.width()));
    block_panels_ = ceil_div(panels_.count(), out_blocks_);
    out_blocks_ = ceil_div(panels_.count(), block_panels_);
    const int64_t out_width = block_panels_ * panels_.width();
    in_blocks_ = ceil_div(shape.in_channels, std::max(lanes_, area / out_width / lanes_ * lanes_));
    block_in_ = ceil_div(ceil_div(shape.in_channels, in_blocks_), lanes_) * lanes_;
    in_blocks_ = ceil_div(shape.in_channels, block_in_);

    slot_floats_ = tiles_.subs() * block_in_;
    const int64_t slots = std::min(kMostSlots, kTransformedFloats / (points * (slot_floats_ + out_width)));
    columns_ = std::clamp<int64_t>(slots / tiles_.slots(), 1, tiles_.columns());
    const int64_t steps = ceil_div(tiles_.columns(), columns_);
    chunks_ = std::min({steps, kMostChunks, ceil_div(kTasks, in_blocks_ * out_blocks_)});
    run_floats_ = block_in_ * out_width;
    sum_point_ = spread_points(tiles_.runs() * run_floats_);
    v_point_ = spread_points(columns_ * tiles_.slots() * slot_floats_);
    y_point_ = spread_points(columns_ * tiles_.slots() * out_width);
  }

  void run(float* dw) {
    const int64_t dw_floats = shape_.taps() * shape_.in_channels * shape_.out_channels;
    const int64_t part = spread_points(dw_floats);
    const Scratch parts(chunks_ == 1 ? 0 : static_cast<size_t>(chunks_ * part));
    const int64_t tasks = in_blocks_ * out_blocks_ * chunks_;
    const int threads = threads_for(tasks, shape_.flops());
    const Scratch scratch(threads, static_cast<size_t>(kind_.points() * (sum_point_ + v_point_ + y_point_)));
    parallel_tasks(tasks, threads, [&](int64_t task, int thread) {
      const int64_t in_block = task % in_blocks_, out_block = task / in_blocks_ % out_blocks_;
      const int64_t chunk = task / in_blocks_ / out_blocks_;
      const Block block = block_at(in_block, out_block);
      float* sums = scratch.part(thread);
      add_chunk(block, chunk, sums);
      transform_back(block, sums, chunks_ == 1 ? dw : parts.data() + chunk * part);
    });
    if (chunks_ > 1) add_parts(parts.data(), part, dw_floats, dw);
  }

 private:
  struct Block {
    int64_t in_begin, in_count;
    int64_t first_panel, last_panel;
    int64_t out_begin, out_count;
  };

  Block block_at(int64_t in_block, int64_t out_block) const {
    Block b;
    b.in_begin = in_block * block_in_;
    b.in_count = std::min(block_in_, shape_.in_channels - b.in_begin);
    b.first_panel = out_block * block_panels_;
    b.last_panel = std::min(b.first_panel + block_panels_, panels_.count());
    b.out_begin = panels_.begin(b.first_panel);
    b.out_count = panels_.begin(b.last_panel - 1) + panels_.channels(b.last_panel - 1) - b.out_begin;
    return b;
  }

  void add_chunk(const Block& block, int64_t chunk, float* sums) const {
    const int64_t points = kind_.points(), steps = ceil_div(tiles_.columns(), columns_);
    float *v = sums + points * sum_point_, *y = v + points * v_point_;
    std::memset(sums, 0, sizeof(float) * static_cast<size_t>(points * sum_point_));
    for (int64_t step = steps * chunk / chunks_; step < steps * (chunk + 1) / chunks_; ++step) {
      const int64_t begin = step * columns_, count = std::min(columns_, tiles_.columns() - begin);
      for (int64_t i = 0; i < count * tiles_.slots(); ++i) {
        transform_slot(block, begin + i / tiles_.slots(), i % tiles_.slots(), i, v, y);
      }
      for (int64_t point = 0; point < points; ++point) multiply(block, point, count, v, y, sums);
    }
  }

  void transform_slot(const Block& block, int64_t column, int64_t slot, int64_t place, float* v, float* y) const {
    for (int64_t sub = 0; sub < tiles_.subs(); ++sub) {
      WinogradScatter s = tiles_.input(x_ + block.in_begin, x_strides_, column, slot, sub);
      s.channels = static_cast<int>(block.in_count);
      s.zeros = zeros_.data();
      s.to = v + place * slot_floats_ + sub * block_in_;
      s.point = v_point_;
      s.panel = static_cast<int>(block_in_);
      kernels().winograd_input(s);
    }
    WinogradScatter s = tiles_.gradient(dy_ + block.out_begin, dy_strides_, column, slot);
    s.channels = static_cast<int>(block.out_count);
    s.zeros = zeros_.data();
    s.to = y + place * panels_.width();
    s.point = y_point_;
    s.panel = static_cast<int>(panels_.width());
    s.panel_stride = columns_ * tiles_.slots() * panels_.width();
    kernels().winograd_output_gradient(s);
  }

  void multiply(const Block& block, int64_t point, int64_t columns, const float* v, const float* y, float* sums) const {
    ConvWeightsTile t{};
    t.x_pixel = slot_floats_;
    t.dy_pixel = panels_.width();
    t.rows = 1;
    t.cols = static_cast<int>((columns - 1) * tiles_.slots() + tiles_.outputs());
    t.run_length = static_cast<int>(block.in_count);
    for (int64_t run = 0; run < tiles_.runs(); ++run) {
      t.x = v + point * v_point_ + tiles_.run_slot(run) * slot_floats_ + run % tiles_.subs() * block_in_;
      for (int64_t panel = block.first_panel; panel < block.last_panel; ++panel) {
        t.dy = y + point * y_point_ + (panel - block.first_panel) * columns_ * tiles_.slots() * panels_.width();
        t.dw = sum_panel(block, sums, point, run, panel);
        t.vectors = panels_.vectors(panel);
        kernels().conv_weights_tile(t);
      }
    }
  }

  // The sums of one point, run and panel: [in][width].
  float* sum_panel(const Block& block, float* sums, int64_t point, int64_t run, int64_t panel) const {
    return sums + point * sum_point_ + run * run_floats_ + (panel - block.first_panel) * block_in_ * panels_.width();
  }

  void transform_back(const Block& block, float* sums, float* dw) const {
    for (int64_t run = 0; run < tiles_.runs(); ++run) {
      const WinogradTiles::RunTaps taps = tiles_.run_taps(run);
      WinogradWeightsGradient g;
      g.kind = kind_;
      g.point = sum_point_;
      g.rows = block.in_count;
      g.row = shape_.out_channels;
      g.tap_row = tiles_.tap_row() * shape_.in_channels * shape_.out_channels;
      g.tap_col = tiles_.tap_col() * shape_.in_channels * shape_.out_channels;
      g.tap_rows = taps.rows;
      g.tap_cols = taps.cols;
      for (int64_t panel = block.first_panel; panel < block.last_panel; ++panel) {
        g.from = sum_panel(block, sums, 0, run, panel);
        g.width = panels_.padded(panel);
        g.channels = panels_.channels(panel);
        g.dw = dw + (taps.first * shape_.in_channels + block.in_begin) * shape_.out_channels + panels_.begin(panel);
        kernels().winograd_weights_gradient(g);
      }
    }
  }

  // Adds the chunks up, always in the same order.
  void add_parts(const float* parts, int64_t part, int64_t floats, float* dw) const {
    constexpr int64_t kGrain = 4096;
    parallel_ranges(floats, kGrain, static_cast<double>(chunks_ * floats), [&](int64_t begin, int64_t end) {
      UnpackPanels sum{};
      sum.from = parts + begin;
      sum.part = part;
      sum.parts = static_cast<int>(chunks_);
      sum.rows = 1;
      sum.cols = static_cast<int>(end - begin);
      sum.to = dw + begin;
      kernels().unpack_panels(sum);
    });
  }

  const ConvShape& shape_;
  WinogradKind kind_;
  WinogradTiles tiles_;
  const float *x_, *dy_;
  ImageStrides x_strides_, dy_strides_;
  int64_t lanes_;
  PanelGrid panels_;
  int64_t block_panels_, block_in_, in_blocks_, out_blocks_;
  int64_t columns_, chunks_;
  int64_t slot_floats_, run_floats_, sum_point_, v_point_, y_point_;
  Scratch zeros_;
};

}  // namespace

void winograd_backward_weights(const ConvShape& shape, WinogradKind kind, const float* x, const float* dy, float* dw) {
  TransformedGradient(shape, kind, x, dy).run(dw);
}

}  // namespace cnnfast
