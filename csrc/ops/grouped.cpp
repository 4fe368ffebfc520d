#include "ops/grouped.h"

#include <algorithm>
#include <cstring>
#include <memory>

#include "dispatch.h"
#include "ops/activation.h"
#include "ops/group_blocks.h"
#include "ops/moments.h"
#include "runtime/memory.h"
#include "runtime/parallel.h"

namespace cnnfast {
namespace {

constexpr int kTasksPerThread = 4;
constexpr int64_t kFewestCols = 28;  // of a task, where rows are too few for all threads

// The weights as [block][row of taps][c][tap][lane], taps in the correlation's order.
class BlockedWeights {
 public:
  BlockedWeights(const WindowSource& source, const WeightView& view, const BlockedGroups& groups)
      : tap_rows_(source.axis[0].window * source.axis[1].window),
        taps_(source.axis[2].window),
        lanes_(kernels().limits.lanes),
        in_(groups.in),
        scratch_(static_cast<size_t>(groups.blocks.count * block_floats())) {
    const int64_t blocks = groups.blocks.count;
    const int threads = threads_for(blocks, static_cast<double>(blocks * block_floats()));
    parallel_tasks(blocks, threads, [&](int64_t block, int) { pack(view, groups, block); });
  }

  const float* data() const { return scratch_.data(); }
  int64_t channel_floats() const { return taps_ * lanes_; }
  int64_t row_floats() const { return in_ * channel_floats(); }
  int64_t block_floats() const { return tap_rows_ * row_floats(); }

 private:
  void pack(const WeightView& view, const BlockedGroups& groups, int64_t block) {
    const int64_t count = groups.groups_of(block), out = groups.out;
    float* to = scratch_.data() + block * block_floats();
    for (int64_t row = 0; row < tap_rows_; ++row) {
      for (int64_t c = 0; c < in_; ++c) {
        for (int64_t tap = 0; tap < taps_; ++tap, to += lanes_) {
          const float* from = view.w + groups.first_group(block) * view.group_stride +
                              view.taps[static_cast<size_t>(row * taps_ + tap)] * view.tap_stride + c * view.in_stride;
          for (int64_t g = 0; g < count; ++g) {
            for (int64_t k = 0; k < out; ++k) to[g * out + k] = from[g * view.group_stride + k * view.out_stride];
          }
          std::fill(to + count * out, to + lanes_, 0.0f);
        }
      }
    }
  }

  int64_t tap_rows_, taps_, lanes_, in_;
  Scratch scratch_;
};

std::shared_ptr<const BlockedWeights> blocked(const CorrelationPart& part, const BlockedGroups& groups) {
  const Correlation& c = part.correlation;
  ConvRoute route;
  route.loops = ConvRoute::Loops::grouped;
  const int64_t floats = c.groups * c.out_channels * c.source.window_floats();
  return kept_form<BlockedWeights>(c.kept, route, c.flops() / (2.0 * static_cast<double>(floats)), floats,
                                   [&] { return std::make_shared<BlockedWeights>(c.source, part.weights, groups); });
}

// One of the correlations that are run through together.
class Part {
 public:
  Part(const CorrelationPart& part, const BlockedGroups& groups)
      : c_(part.correlation), y_(part.y), kept_(blocked(part, groups)), weights_(*kept_) {
    row_.blocks = groups.blocks;
    row_.x_pixel = c_.source.axis[2].stride * c_.source.pixel_channels;
    row_.x_tap = c_.source.axis[2].dilation * c_.source.pixel_channels;
    row_.w_block = weights_.block_floats();
    row_.w_channel = weights_.channel_floats();
    row_.group_channels = static_cast<int>(groups.in);
    row_.y_pixel = c_.y_pixel;
    row_.activation = piecewise_linear(c_.activation) ? c_.activation : Activation::linear;
    row_.alpha = c_.alpha;
  }

  int64_t outputs(size_t axis) const { return c_.source.axis[axis].out; }

  // Output row `row` of plane `depth`, the columns in `pieces`.
  void run(int64_t image, int64_t depth, int64_t row, const std::vector<AxisPiece>& pieces, const float* x,
           const float* bias, std::vector<TapRow>& tap_rows) const {
    const Axis& w = c_.source.axis[2];
    GroupedRow t = row_;
    find_tap_rows(depth, row, tap_rows);
    t.rows = tap_rows.data();
    t.row_count = static_cast<int>(tap_rows.size());
    t.bias = bias;
    x += image * c_.source.image_floats();
    float* y = y_ + image * c_.y_image + depth * c_.y_plane + row * c_.y_row;
    for (const AxisPiece& piece : pieces) {
      t.x = x + piece.first_input(w) * c_.source.pixel_channels;
      t.w = weights_.data() + piece.tap_begin * kernels().limits.lanes;
      t.taps = static_cast<int>(piece.taps());
      t.y = y + piece.begin * c_.y_pixel;
      t.pixels = piece.end - piece.begin;
      kernels().grouped_row(t);
      if (!piecewise_linear(c_.activation)) {
        activate_pixels(c_.activation, c_.alpha, t.y, t.y_pixel, t.pixels, c_.groups * c_.out_channels);
      }
      if (c_.moments != nullptr) c_.moments->written(t.y, t.pixels, t.y_pixel);
    }
  }

  std::vector<AxisPiece> pieces(int64_t col_begin, int64_t col_end) const {
    return axis_pieces(c_.source.axis[2], col_begin, col_end);
  }

 private:
  // The window's rows of taps that lie inside the input.
  void find_tap_rows(int64_t depth, int64_t row, std::vector<TapRow>& rows) const {
    const Axis &d = c_.source.axis[0], &h = c_.source.axis[1];
    rows.clear();
    for (int64_t kd = 0; kd < d.window; ++kd) {
      const int64_t z = depth * d.stride - d.pad_before + kd * d.dilation;
      if (z < 0 || z >= d.in) continue;
      for (int64_t kh = 0; kh < h.window; ++kh) {
        const int64_t v = row * h.stride - h.pad_before + kh * h.dilation;
        if (v < 0 || v >= h.in) continue;
        rows.push_back({(z * h.in + v) * c_.source.axis[2].in * c_.source.pixel_channels,
                        (kd * h.window + kh) * weights_.row_floats()});
      }
    }
  }

  const Correlation& c_;
  float* y_;
  std::shared_ptr<const BlockedWeights> kept_;
  const BlockedWeights& weights_;
  GroupedRow row_;
};

// Cuts all parts' images into tasks: planes, then rows, then columns, as few as keep every thread busy.
struct TaskGrid {
  int64_t images, depths = 0, rows = 0, cols = 0;
  int64_t row_blocks, col_blocks;

  TaskGrid(int64_t image_count, const std::vector<std::unique_ptr<Part>>& parts, int threads) : images(image_count) {
    for (const auto& part : parts) {
      depths = std::max(depths, part->outputs(0));
      rows = std::max(rows, part->outputs(1));
      cols = std::max(cols, part->outputs(2));
    }
    const int64_t enough = threads == 1 ? 1 : int64_t{kTasksPerThread} * threads;
    const auto missing = [&](int64_t tasks) { return (enough + tasks - 1) / tasks; };
    row_blocks = std::min(rows, missing(images * depths));
    col_blocks =
        std::clamp<int64_t>(missing(images * depths * row_blocks), 1, std::max<int64_t>(1, cols / kFewestCols));
  }

  int64_t size() const { return images * depths * row_blocks * col_blocks; }
};

}  // namespace

bool groups_share_vectors(int64_t groups, int64_t in_channels, int64_t out_channels) {
  return groups > 1 && 2 * std::max(in_channels, out_channels) <= kernels().limits.lanes;
}

bool groups_fit_vectors(int64_t groups, int64_t in_channels, int64_t out_channels) {
  return groups > 1 && std::max(in_channels, out_channels) <= kernels().limits.lanes;
}

void correlate_grouped(const std::vector<CorrelationPart>& correlations, const float* x, const float* bias) {
  const Correlation& any = correlations.front().correlation;
  const BlockedGroups groups(any.groups, any.source.channels, any.out_channels, BlockedGroups::Lanes::outputs);
  std::vector<std::unique_ptr<Part>> parts;
  double flops = 0;
  for (const CorrelationPart& correlation : correlations) {
    parts.push_back(std::make_unique<Part>(correlation, groups));
    flops += correlation.correlation.flops();
  }
  const TaskGrid grid(any.images, parts, threads_for(INT32_MAX, flops));
  parallel_tasks(grid.size(), threads_for(grid.size(), flops), [&](int64_t task, int) {
    const int64_t col_block = task % grid.col_blocks, row_block = task / grid.col_blocks % grid.row_blocks;
    const int64_t plane = task / (grid.col_blocks * grid.row_blocks);
    const int64_t depth = plane % grid.depths, image = plane / grid.depths;
    std::vector<TapRow> tap_rows;
    std::vector<std::vector<AxisPiece>> pieces;
    for (const auto& part : parts) {
      const int64_t cols = part->outputs(2);
      pieces.push_back(part->pieces(cols * col_block / grid.col_blocks, cols * (col_block + 1) / grid.col_blocks));
    }
    for (int64_t row = grid.rows * row_block / grid.row_blocks; row < grid.rows * (row_block + 1) / grid.row_blocks;
         ++row) {
      for (size_t i = 0; i < parts.size(); ++i) {
        if (depth >= parts[i]->outputs(0) || row >= parts[i]->outputs(1)) continue;
        parts[i]->run(image, depth, row, pieces[i], x, bias, tap_rows);
      }
    }
  });
}

}  // namespace cnnfast
