// The gradient to the weights: sums over all pixels, cut into chunks that depend on the shape alone.
#include <algorithm>
#include <cstring>

#include "dispatch.h"
#include "ops/conv.h"
#include "ops/few_rows.h"
#include "ops/grouped.h"
#include "ops/panels.h"
#include "ops/pooled_gradient.h"
#include "ops/reduce.h"
#include "ops/window.h"
#include "ops/winograd.h"
#include "runtime/memory.h"
#include "runtime/parallel.h"

namespace cnnfast {
namespace {

constexpr int64_t kBlockFloats = (128 << 10) / 4;
constexpr int64_t kBlockPixels = 112;    // accumulators are loaded and stored once for so many pixels
constexpr int64_t kBlockChannels = 256;  // so that as many pixels of them are a block
constexpr int64_t kUnits = 32;           // tasks: enough to share out among many threads
constexpr int64_t kMostChunks = 32;
constexpr int64_t kMostPanels = 8;                // that one task sums up side by side,
constexpr int64_t kTaskFloats = (512 << 10) / 4;  // as long as they stay in the second-level cache
constexpr int64_t kChunkFloats = (16 << 20) / 4;  // of all chunks' private sums together

// Runs this short would leave accumulators idle: the elements of all of them are gathered through a table.
constexpr int64_t kShortRun = 12;
// Neighbouring pixels at multiples of so many floats share few sets of the first-level cache.
constexpr int64_t kAliasingFloats = 128;

// Input channels that are worked on together: an even part of a group's.
int64_t block_channels(int64_t channels) {
  int64_t blocks = (channels + kBlockChannels - 1) / kBlockChannels;
  while (channels % blocks != 0) ++blocks;
  return channels / blocks >= kBlockChannels / 4 ? channels / blocks : channels;
}

// Pixels without rows (1x1 windows at stride 1, dense layers): one long row.
WindowSource flattened(const ConvShape& shape, int64_t* images) {
  WindowSource source = shape.window_source();
  for (const Axis& a : source.axis) {
    if (a.window != 1 || a.stride != 1 || a.pad_before != 0 || a.in != a.out) return source;
  }
  const int64_t pixels = *images * source.axis[0].out * source.axis[1].out * source.axis[2].out;
  source.axis[0] = source.axis[1] = Axis{1, 1, 1, 1, 1, 0};
  source.axis[2] = Axis{pixels, pixels, 1, 1, 1, 0};
  *images = 1;
  return source;
}

class WeightsGradient {
 public:
  // The gradient at the output is `dy`, or what `pooled` makes of one behind a pooling.
  WeightsGradient(const ConvShape& shape, bool copy_windows, const float* x, const float* dy,
                  const PooledGradient* pooled)
      : shape_(shape),
        images_(shape.images),
        source_(pooled == nullptr ? flattened(shape, &images_) : shape.window_source()),
        in_blocks_(split_channels(source_)),
        x_(x),
        dy_(dy),
        pooled_(pooled),
        panels_(shape.group_out_channels(), kernels().limits.lanes,
                shape.group_out_channels() > kernels().limits.lanes ? 2 : 1),
        grid_(source_, images_, kBlockFloats, kBlockPixels),
        layout_(source_, grid_, copy_windows ? Runs::windows : runs_for(source_)),
        rows_(source_.window_floats()),
        part_floats_(panels_.floats(rows_)) {
    panels_per_task_ = std::clamp<int64_t>(kTaskFloats / (rows_ * panels_.width()), 1, kMostPanels);
    panel_groups_ = (panels_.count() + panels_per_task_ - 1) / panels_per_task_;
    const int64_t units = parts() * panel_groups_, floats = parts() * part_floats_;
    chunks_ = std::min(
        {grid_.size(), kMostChunks, std::max<int64_t>(1, kUnits / units), std::max<int64_t>(1, kChunkFloats / floats)});
  }

  void run(float* dw) {
    const Scratch sums(static_cast<size_t>(chunks_ * parts() * part_floats_));
    const int64_t tasks = chunks_ * parts() * panel_groups_;
    const int threads = threads_for(tasks, shape_.flops() / kFlopsPerOperation);
    const int64_t pixels = grid_.largest_rows() * grid_.largest_cols();
    panel_floats_ = pixels * panels_.width();
    const int64_t pooled_floats = pooled_ == nullptr ? 0 : pixels * shape_.out_channels;
    const Scratch scratch(threads, static_cast<size_t>(layout_.scratch_floats() + panel_floats_ + pooled_floats));
    elements_ = gathered_elements();
    parallel_tasks(tasks, threads, [&](int64_t task, int thread) {
      const int64_t chunk = task % chunks_, panel_group = task / chunks_ % panel_groups_;
      const int64_t part = task / chunks_ / panel_groups_;
      float* to = sums.data() + (chunk * parts() + part) * part_floats_;
      sum_chunk(chunk, part, panel_group * panels_per_task_, to, scratch.part(thread));
    });
    add_chunks(sums.data(), dw);
  }

 private:
  static Runs runs_for(const WindowSource& source) {
    const int64_t pixel = source.axis[2].stride * source.pixel_channels;
    return source.channels >= kAliasingFloats && pixel % kAliasingFloats == 0 ? Runs::spread : Runs::rows;
  }

  // Cuts the windows to one block of channels; returns how many blocks there are.
  static int64_t split_channels(WindowSource& source) {
    const int64_t channels = source.channels;
    source.channels = block_channels(channels);
    return channels / source.channels;
  }

  // Every group's blocks of input channels have sums of their own.
  int64_t parts() const { return shape_.groups * in_blocks_; }

  // Offsets of all of a window's elements where its runs are short, else nothing.
  std::vector<int64_t> gathered_elements() const {
    std::vector<int64_t> elements;
    if (layout_.run_length() >= kShortRun || layout_.runs().size() == 1) return elements;
    for (const int64_t run : layout_.runs()) {
      for (int64_t e = 0; e < layout_.run_length(); ++e) elements.push_back(run + e);
    }
    return elements;
  }

  // Adds the chunk's blocks up into the task's panels of `sums`: a block's windows serve all of them.
  void sum_chunk(int64_t chunk, int64_t part, int64_t first_panel, float* sums, float* scratch) const {
    const int64_t last_panel = std::min(first_panel + panels_per_task_, panels_.count());
    for (int64_t panel = first_panel; panel < last_panel; ++panel) {
      std::memset(sums + panels_.offset(panel, rows_), 0,
                  sizeof(float) * static_cast<size_t>(rows_ * panels_.padded(panel)));
    }
    for (int64_t i = grid_.size() * chunk / chunks_; i < grid_.size() * (chunk + 1) / chunks_; ++i) {
      const OutputBlock block = grid_[i];
      const WindowView view = layout_.view(block, x_, part * source_.channels, scratch);
      float* dy_panel = scratch + layout_.scratch_floats();
      if (pooled_ != nullptr) pooled_->write(block, dy_panel + panel_floats_);
      for (int64_t panel = first_panel; panel < last_panel; ++panel) {
        const float* packed = dy_panel;
        if (pooled_ != nullptr && panels_.padded(panel) == shape_.out_channels) {
          packed += panel_floats_;
        } else {
          pack_dy(block, part / in_blocks_, panel, dy_panel);
        }
        add_block(block, view, panel, packed, sums + panels_.offset(panel, rows_));
      }
    }
  }

  void add_block(const OutputBlock& block, const WindowView& view, int64_t panel, const float* dy_panel,
                 float* sums) const {
    ConvWeightsTile tile;
    tile.x = view.first;
    tile.x_pixel = view.pixel;
    tile.x_row = view.row;
    tile.dy = dy_panel;
    tile.dy_pixel = panels_.padded(panel);
    tile.rows = static_cast<int>(block.rows());
    tile.cols = static_cast<int>(block.cols());
    tile.dw = sums;
    tile.vectors = panels_.vectors(panel);
    if (!elements_.empty()) {
      tile.run_length = static_cast<int>(rows_);
      tile.elements = elements_.data();
      kernels().conv_weights_tile(tile);
      return;
    }
    tile.run_length = static_cast<int>(layout_.run_length());
    tile.elements = nullptr;
    for (const int64_t run : layout_.runs()) {
      tile.x = view.first + run;
      kernels().conv_weights_tile(tile);
      tile.dw += layout_.run_length() * panels_.padded(panel);
    }
  }

  // The row of the block's gradient at the output that is `r`-th of the whole.
  const float* dy_row(const OutputBlock& block, int64_t r, const float* panel) const {
    const auto& a = source_.axis;
    if (pooled_ != nullptr) {
      return panel + panel_floats_ + (r - block.row_begin) * block.cols() * shape_.out_channels;
    }
    const int64_t pixel = ((block.image * a[0].out + block.depth) * a[1].out + r) * a[2].out + block.col_begin;
    return dy_ + pixel * shape_.out_channels;
  }

  void pack_dy(const OutputBlock& block, int64_t group, int64_t panel, float* to) const {
    const float* const scratch = to;
    PackPanel pack;
    pack.row = shape_.out_channels;
    pack.col = 1;
    pack.rows = block.cols();
    pack.cols = panels_.channels(panel);
    pack.padded = panels_.padded(panel);
    for (int64_t r = block.row_begin; r < block.row_end; ++r) {
      pack.from = dy_row(block, r, scratch) + group * shape_.group_out_channels() + panels_.begin(panel);
      pack.to = to;
      kernels().pack_panel(pack);
      to += pack.rows * pack.padded;
    }
  }

  // Adds the chunks up, always in the same order, into dw[tap, c, group, k].
  void add_chunks(const float* sums, float* dw) const {
    constexpr int64_t kRows = 64;
    const int64_t channels = source_.channels, row_blocks = (channels + kRows - 1) / kRows, taps = source_.taps();
    const int64_t tasks = row_blocks * taps * panels_.count() * parts();
    const double work = static_cast<double>(chunks_ * parts() * part_floats_);
    parallel_tasks(tasks, threads_for(tasks, work), [&](int64_t task, int) {
      const int64_t begin = task % row_blocks * kRows, tap = task / row_blocks % taps;
      const int64_t panel = task / row_blocks / taps % panels_.count(),
                    part = task / row_blocks / taps / panels_.count();
      const int64_t group = part / in_blocks_, channel = part % in_blocks_ * channels + begin;
      UnpackPanels unpack;
      unpack.padded = panels_.padded(panel);
      unpack.from =
          sums + part * part_floats_ + panels_.offset(panel, rows_) + (tap * channels + begin) * unpack.padded;
      unpack.part = parts() * part_floats_;
      unpack.parts = static_cast<int>(chunks_);
      unpack.rows = std::min(kRows, channels - begin);
      unpack.cols = panels_.channels(panel);
      unpack.row = shape_.out_channels;
      unpack.to = dw + (tap * shape_.group_in_channels() + channel) * shape_.out_channels +
                  group * shape_.group_out_channels() + panels_.begin(panel);
      kernels().unpack_panels(unpack);
    });
  }

  const ConvShape& shape_;
  int64_t images_;
  WindowSource source_;  // of one block of channels
  int64_t in_blocks_;
  const float *x_, *dy_;
  const PooledGradient* pooled_;
  PanelGrid panels_;
  BlockGrid grid_;
  WindowLayout layout_;
  int64_t rows_, part_floats_;
  int64_t panels_per_task_, panel_groups_, chunks_;
  int64_t panel_floats_ = 0;  // of scratch memory for a panel of dy
  std::vector<int64_t> elements_;
};

// The kernel was applied flipped: so was its gradient found. Taps change places, each a block of in x out values.
void reverse_taps(const ConvShape& shape, float* dw) {
  const int64_t tap_floats = shape.group_in_channels() * shape.out_channels, taps = shape.taps();
  for (int64_t t = 0; t < taps / 2; ++t) {
    std::swap_ranges(dw + t * tap_floats, dw + (t + 1) * tap_floats, dw + (taps - 1 - t) * tap_floats);
  }
}

}  // namespace

ConvRoute backward_weights_route(const ConvShape& convolution) {
  const ConvShape shape = as_product(convolution);
  if (has_few_rows(shape)) return few_rows_route();
  return route_convolution(shape.window_source(), shape.images, shape.groups, shape.group_out_channels(),
                           shape.algorithm, ConvPass::weights);
}

void conv_backward_weights(const ConvShape& convolution, const float* x, const float* dy, float* dw, float* db) {
  const ConvShape shape = as_product(convolution);
  const auto sum_dy = [&] {
    const int64_t pixels = shape.images * shape.axis[0].out * shape.axis[1].out * shape.axis[2].out;
    if (db != nullptr) channel_sums(dy, pixels, shape.out_channels, db);
  };
  if (shape.images == 0) {
    std::memset(dw, 0,
                sizeof(float) * static_cast<size_t>(shape.taps() * shape.group_in_channels() * shape.out_channels));
    return sum_dy();
  }
  const ConvRoute route = backward_weights_route(shape);
  if (route.loops != ConvRoute::Loops::grouped) sum_dy();
  switch (route.loops) {
    case ConvRoute::Loops::direct:
    case ConvRoute::Loops::im2col:
      WeightsGradient(shape, route.loops == ConvRoute::Loops::im2col, x, dy, nullptr).run(dw);
      break;
    case ConvRoute::Loops::grouped:
      grouped_backward_weights(shape, x, dy, dw, db);
      break;
    case ConvRoute::Loops::winograd:
      winograd_backward_weights(shape, route.kind, x, dy, dw);
      break;
    case ConvRoute::Loops::few_rows:
      few_rows_backward_weights(shape, x, dy, dw);
      break;
    case ConvRoute::Loops::lines:
    case ConvRoute::Loops::images:
      break;  // of correlations only
  }
  if (shape.flip_kernel) reverse_taps(shape, dw);
}

void conv_backward_weights(const ConvShape& shape, const float* x, const PooledInput& dy, float* dw) {
  winograd_backward_weights(shape, backward_weights_route(shape).kind, x, dy, dw);
  if (shape.flip_kernel) reverse_taps(shape, dw);
}

void conv_backward_weights(const ConvShape& shape, const float* x, const PooledGradient& dy, float* dw) {
  WeightsGradient(shape, false, x, nullptr, &dy).run(dw);
  if (shape.flip_kernel) reverse_taps(shape, dw);
}

}  // namespace cnnfast
