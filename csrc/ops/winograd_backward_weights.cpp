// The gradient to the weights in the transformed domain: for each point a product of tiles of x and of dy.
//
// A task takes a block of input and output channels small enough that its sums stay in the second-level cache, and goes
// over a chunk of all tiles. That transforms tiles anew for every block, which costs a few percent, and reads and
// writes nothing but x, dy and dw in main memory. Of groups with few channels it takes several: they are transformed
// together, as in the forward pass. Neither blocks nor chunks depend on the number of threads.
#include <algorithm>
#include <cmath>
#include <cstring>

#include "dispatch.h"
#include "ops/panels.h"
#include "ops/winograd.h"
#include "ops/winograd_pooled.h"
#include "ops/winograd_tiles.h"
#include "runtime/memory.h"
#include "runtime/parallel.h"

namespace cnnfast {
namespace {

constexpr int64_t kSumFloats = (1 << 20) / 4;
constexpr int64_t kTransformedFloats = (768 << 10) / 4;
constexpr int64_t kMostSlots = 56;
constexpr int64_t kTasks = 16;  // enough to share out evenly among a few threads
constexpr int64_t kFewestChunks = 4, kMostChunks = 16;
constexpr int64_t kChunkColumns = 128;    // for which clearing, transforming back and adding up its sums is little
constexpr int64_t kBundledChannels = 64;  // of groups that one task takes

int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }

class TransformedGradient {
 public:
  // `dy` is the gradient at the output or, where `pooled` is not null, at that of a pooling behind it.
  TransformedGradient(const ConvShape& shape, WinogradKind kind, const float* x, const float* dy,
                      const PooledInput* pooled)
      : shape_(shape),
        kind_(kind),
        tiles_(shape.window_source(), shape.images, kind, ConvPass::weights),
        x_(x),
        dy_(dy),
        x_strides_(dense_input(shape.window_source())),
        pooled_(pooled),
        dy_strides_(pooled == nullptr ? dense_output(shape.window_source(), shape.out_channels) : pooled->strides),
        lanes_(kernels().limits.lanes),
        in_(shape.group_in_channels()),
        out_(shape.group_out_channels()),
        panels_(out_, kernels().limits.lanes, static_cast<int>(std::min<int64_t>(2, ceil_div(out_, lanes_)))),
        bundles_(shape.groups, kBundledChannels / std::max(in_, out_)),
        zeros_(static_cast<size_t>(std::max(shape.in_channels, shape.out_channels))) {
    std::memset(zeros_.data(), 0, sizeof(float) * static_cast<size_t>(std::max(shape.in_channels, shape.out_channels)));
    cut_group();
    const int64_t points = kind.points(), out_width = block_panels_ * panels_.width();
    v_width_ = ceil_div(bundles_.most() * block_in_, lanes_) * lanes_;
    slot_floats_ = tiles_.subs() * v_width_;
    const int64_t slots =
        std::min(kMostSlots, kTransformedFloats / (points * (slot_floats_ + bundles_.most() * out_width)));
    columns_ = std::clamp<int64_t>(slots / tiles_.slots(), 1, tiles_.columns());
    chunks_ = std::min({ceil_div(tiles_.columns(), columns_),
                        std::clamp(tiles_.columns() / kChunkColumns / 4 * 4, kFewestChunks, kMostChunks),
                        ceil_div(kTasks, in_blocks_ * out_blocks_ * bundles_.count())});
    run_floats_ = bundles_.most() * block_in_ * out_width;
    sum_point_ = spread_points(tiles_.runs() * run_floats_);
    v_point_ = spread_points(columns_ * tiles_.slots() * slot_floats_);
    // Panels of one group lie one after the other, the channels of several side by side as in dy. Products read whole
    // vectors of these: what a group does not have is another's, or lies behind the last.
    y_width_ = together() ? ceil_div(bundles_.most() * out_, lanes_) * lanes_ : panels_.width();
    const int64_t slot_count = columns_ * tiles_.slots();
    y_point_ = spread_points(together() ? slot_count * y_width_ + panels_.width() : slot_count * out_width);
  }

  void run(float* dw) {
    const int64_t dw_floats = shape_.taps() * in_ * shape_.out_channels;
    const int64_t part = spread_points(dw_floats);
    const Scratch parts(chunks_ == 1 ? 0 : static_cast<size_t>(chunks_ * part));
    const int64_t tasks = in_blocks_ * out_blocks_ * bundles_.count() * chunks_;
    const int threads = threads_for(tasks, shape_.flops());
    const Scratch scratch(threads, static_cast<size_t>(kind_.points() * (sum_point_ + v_point_ + y_point_)));
    parallel_tasks(tasks, threads, [&](int64_t task, int thread) {
      const int64_t in_block = task % in_blocks_, out_block = task / in_blocks_ % out_blocks_;
      const int64_t rest = task / in_blocks_ / out_blocks_;
      const int64_t bundle = rest % bundles_.count(), chunk = rest / bundles_.count();
      const Block block = block_at(bundles_[bundle], in_block, out_block);
      float* sums = scratch.part(thread);
      add_chunk(block, chunk, sums);
      transform_back(block, sums, chunks_ == 1 ? dw : parts.data() + chunk * part);
    });
    if (chunks_ > 1) add_parts(parts.data(), part, dw_floats, dw);
  }

 private:
  // Some channels of one group, or all channels of several. Panels are counted through all groups.
  struct Block {
    int64_t groups;
    int64_t in_begin, in_count;       // of the first group's; of each group
    int64_t first_panel, last_panel;  // of the first group
    int64_t x_begin, x_count;         // what is transformed of a pixel
    int64_t dy_begin, dy_count;
  };

  bool together() const { return bundles_.most() > 1; }

  // Tiles are transformed least often where blocks are about as many channels wide in as out, counting the subs.
  void cut_group() {
    in_blocks_ = out_blocks_ = 1;
    block_in_ = in_;
    block_panels_ = panels_.count();
    if (together()) return;
    const int64_t area = std::max<int64_t>(1, kSumFloats / (kind_.points() * tiles_.runs()));
    const auto side = static_cast<int64_t>(std::sqrt(static_cast<double>(area * tiles_.subs())));
    out_blocks_ = ceil_div(panels_.count(), std::max<int64_t>(1, side / panels_.width()));
    block_panels_ = ceil_div(panels_.count(), out_blocks_);
    out_blocks_ = ceil_div(panels_.count(), block_panels_);
    const int64_t out_width = block_panels_ * panels_.width();
    in_blocks_ = ceil_div(in_, std::max(lanes_, area / out_width / lanes_ * lanes_));
    block_in_ = ceil_div(ceil_div(in_, in_blocks_), lanes_) * lanes_;
    in_blocks_ = ceil_div(in_, block_in_);
  }

  Block block_at(const GroupBundle& bundle, int64_t in_block, int64_t out_block) const {
    Block b;
    b.groups = bundle.groups;
    b.in_begin = in_block * block_in_;
    b.in_count = std::min(block_in_, in_ - b.in_begin);
    b.first_panel = out_block * block_panels_;
    b.last_panel = std::min(b.first_panel + block_panels_, panels_.count());
    b.x_begin = bundle.first * in_ + b.in_begin;
    b.x_count = (b.groups - 1) * in_ + b.in_count;
    const int64_t begin = panels_.begin(b.first_panel);
    b.dy_begin = bundle.first * out_ + begin;
    b.dy_count = (b.groups - 1) * out_ + panels_.begin(b.last_panel - 1) + panels_.channels(b.last_panel - 1) - begin;
    return b;
  }

  void add_chunk(const Block& block, int64_t chunk, float* sums) const {
    const int64_t points = kind_.points(), steps = ceil_div(tiles_.columns(), columns_);
    float *v = sums + points * sum_point_, *y = v + points * v_point_;
    std::memset(sums, 0, sizeof(float) * static_cast<size_t>(points * sum_point_));
    for (int64_t step = steps * chunk / chunks_; step < steps * (chunk + 1) / chunks_; ++step) {
      const int64_t begin = step * columns_, count = std::min(columns_, tiles_.columns() - begin);
      const ColumnBlock columns(tiles_, kind_, begin, count);
      for (int64_t i = 0; i < count * tiles_.slots(); ++i) {
        transform_slot(block, columns[i / tiles_.slots()], i % tiles_.slots(), i, v, y);
      }
      for (int64_t point = 0; point < points; ++point) {
        const ColumnBlock::Places places = columns.places(point);
        if (places.count == 0) continue;
        for (int64_t group = 0; group < block.groups; ++group) multiply(block, group, point, places, v, y, sums);
      }
    }
  }

  void transform_slot(const Block& block, int64_t column, int64_t slot, int64_t place, float* v, float* y) const {
    for (int64_t sub = 0; sub < tiles_.subs(); ++sub) {
      WinogradScatter s = tiles_.input(x_ + block.x_begin, x_strides_, column, slot, sub);
      s.channels = static_cast<int>(block.x_count);
      s.zeros = zeros_.data();
      s.to = v + place * slot_floats_ + sub * v_width_;
      s.point = v_point_;
      s.panel = static_cast<int>(v_width_);
      kernels().winograd_input(s);
    }
    WinogradScatter s = tiles_.gradient(dy_ + block.dy_begin, dy_strides_, column, slot);
    s.channels = static_cast<int>(block.dy_count);
    s.zeros = zeros_.data();
    s.to = y + place * y_width_;
    s.point = y_point_;
    s.panel = static_cast<int>(y_width_);
    s.panel_stride = columns_ * tiles_.slots() * y_width_;
    if (pooled_ == nullptr) {
      kernels().winograd_output_gradient(s);
    } else {
      pooled_->scatter_output_gradient(s);
    }
  }

  void multiply(const Block& block, int64_t group, int64_t point, ColumnBlock::Places columns, const float* v,
                const float* y, float* sums) const {
    const int64_t first = columns.begin * tiles_.slots();
    ConvWeightsTile t{};
    t.x_pixel = slot_floats_;
    t.dy_pixel = y_width_;
    t.rows = 1;
    t.cols = static_cast<int>((columns.count - 1) * tiles_.slots() + tiles_.outputs());
    t.run_length = static_cast<int>(block.in_count);
    const int64_t panel_stride = together() ? panels_.width() : columns_ * tiles_.slots() * y_width_;
    for (int64_t run = 0; run < tiles_.runs(); ++run) {
      t.x = v + point * v_point_ + (first + tiles_.run_slot(run)) * slot_floats_ + run % tiles_.subs() * v_width_ +
            group * in_;
      for (int64_t panel = block.first_panel; panel < block.last_panel; ++panel) {
        t.dy = y + point * y_point_ + first * y_width_ + group * out_ + (panel - block.first_panel) * panel_stride;
        t.dw = sum_panel(block, sums, point, run, group, panel);
        t.vectors = panels_.vectors(panel);
        kernels().conv_weights_tile(t);
      }
    }
  }

  // The sums of one point, run, group and panel: [in][width].
  float* sum_panel(const Block& block, float* sums, int64_t point, int64_t run, int64_t group, int64_t panel) const {
    const int64_t place = group * block_panels_ + panel - block.first_panel;
    return sums + point * sum_point_ + run * run_floats_ + place * block_in_ * panels_.width();
  }

  void transform_back(const Block& block, float* sums, float* dw) const {
    for (int64_t run = 0; run < tiles_.runs(); ++run) {
      const WinogradTiles::RunTaps taps = tiles_.run_taps(run);
      WinogradWeightsGradient g;
      g.kind = kind_;
      g.point = sum_point_;
      g.rows = block.in_count;
      g.row = shape_.out_channels;
      g.tap_row = tiles_.tap_row() * in_ * shape_.out_channels;
      g.tap_col = tiles_.tap_col() * in_ * shape_.out_channels;
      g.tap_rows = taps.rows;
      g.tap_cols = taps.cols;
      float* first = dw + (taps.first * in_ + block.in_begin) * shape_.out_channels + block.dy_begin;
      for (int64_t group = 0; group < block.groups; ++group) {
        for (int64_t panel = block.first_panel; panel < block.last_panel; ++panel) {
          g.from = sum_panel(block, sums, 0, run, group, panel);
          g.width = panels_.padded(panel);
          g.channels = panels_.channels(panel);
          g.dw = first + group * out_ + panels_.begin(panel) - panels_.begin(block.first_panel);
          kernels().winograd_weights_gradient(g);
        }
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
  ImageStrides x_strides_;
  const PooledInput* pooled_;
  ImageStrides dy_strides_;
  int64_t lanes_, in_, out_;  // channels of a group
  PanelGrid panels_;
  GroupBundles bundles_;
  int64_t block_panels_, block_in_, in_blocks_, out_blocks_;
  int64_t columns_, chunks_;
  int64_t v_width_, y_width_;  // of a slot's transformed values
  int64_t slot_floats_, run_floats_, sum_point_, v_point_, y_point_;
  Scratch zeros_;
};

}  // namespace

void winograd_backward_weights(const ConvShape& shape, WinogradKind kind, const float* x, const float* dy, float* dw) {
  TransformedGradient(shape, kind, x, dy, nullptr).run(dw);
}

void winograd_backward_weights(const ConvShape& shape, WinogradKind kind, const float* x, const PooledInput& dy,
                               float* dw) {
  TransformedGradient(shape, kind, x, dy.values(), &dy).run(dw);
}

}  // namespace cnnfast
