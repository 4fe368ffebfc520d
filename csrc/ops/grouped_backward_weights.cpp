// The gradient to the weights of convolutions of few channels a group.
#include <algorithm>
#include <cstring>

#include "dispatch.h"
#include "ops/group_blocks.h"
#include "ops/grouped.h"
#include "ops/window.h"
#include "runtime/memory.h"
#include "runtime/parallel.h"

namespace cnnfast {
namespace {

constexpr int64_t kMostTasks = 64;
constexpr int64_t kRangeBlocks = 8;  // of one task: what it reads of a pixel is nearly contiguous
// Pixels that are added up for every block in turn: their x and dy stay in the first-level cache.
constexpr int64_t kTileRows = 4, kTileCols = 8;
// Where a block's pixels are read several times they are copied first: in the images, neighbours share few cache sets.
constexpr int64_t kCopyFloats = (16 << 10) / 4;
constexpr int64_t kCopyPixels = 192;
constexpr int64_t kPixelsPerTap = 32;  // at least, of a chunk: else adding chunks up costs more than they do

class GroupedWeightsGradient {
 public:
  GroupedWeightsGradient(const ConvShape& shape, const float* x, const float* dy)
      : shape_(shape),
        x_(x),
        dy_(dy),
        groups_(shape.groups, shape.group_in_channels(), shape.group_out_channels(), BlockedGroups::Lanes::inputs),
        lanes_(kernels().limits.lanes),
        taps_(shape.taps()),
        rows_(shape.images * shape.axis[0].out * shape.axis[1].out),
        col_pieces_(axis_pieces(shape.axis[2], 0, shape.axis[2].out)),
        copies_(groups_.out > 1),
        grid_(block_source(groups_.blocks.block_in), shape.images, kCopyFloats, kCopyPixels),
        layout_(block_source(groups_.blocks.block_in), grid_, Runs::lanes),
        last_layout_(block_source(groups_.blocks.last_in), grid_, Runs::lanes) {
    channel_floats_ = taps_ * lanes_;
    block_floats_ = groups_.out * channel_floats_;
    const int64_t pixels = rows_ * shape.axis[2].out;
    ranges_ = (groups_.blocks.count + kRangeBlocks - 1) / kRangeBlocks;
    chunks_ = std::clamp<int64_t>(pixels / (kPixelsPerTap * taps_), 1,
                                  std::min(units(), std::max<int64_t>(1, kMostTasks / ranges_)));
    for (const int64_t run : layout_.runs()) {
      copied_taps_.push_back({run, static_cast<int64_t>(copied_taps_.size()) * lanes_});
    }
  }

  void run(float* dw, float* db) {
    // Of each chunk: every block's gradient to the weights, then every block's sums of dy.
    const int64_t weight_floats = groups_.blocks.count * block_floats_;
    const int64_t chunk_floats = weight_floats + (db == nullptr ? 0 : groups_.blocks.count * lanes_);
    const Scratch sums(static_cast<size_t>(chunks_ * chunk_floats));
    const int64_t tasks = chunks_ * ranges_;
    const int threads = threads_for(tasks, shape_.flops());
    const int64_t dy_floats = grid_.largest_rows() * grid_.largest_cols() * lanes_;
    const Scratch scratch(threads, copies_ ? static_cast<size_t>(layout_.scratch_floats() + dy_floats) : 0);
    parallel_tasks(tasks, threads, [&](int64_t task, int thread) {
      const int64_t chunk = task / ranges_, range = task % ranges_;
      const int64_t first = groups_.blocks.count * range / ranges_, last = groups_.blocks.count * (range + 1) / ranges_;
      GroupedWeights t = blocks_between(first, last);
      t.dw = sums.data() + chunk * chunk_floats + first * block_floats_;
      std::memset(t.dw, 0, sizeof(float) * static_cast<size_t>((last - first) * block_floats_));
      t.db = nullptr;
      if (db != nullptr) {
        t.db = sums.data() + chunk * chunk_floats + weight_floats + first * lanes_;
        std::memset(t.db, 0, sizeof(float) * static_cast<size_t>((last - first) * lanes_));
      }
      const int64_t begin = units() * chunk / chunks_, end = units() * (chunk + 1) / chunks_;
      if (copies_) {
        for (int64_t i = begin; i < end; ++i) sum_copies(grid_[i], first, last, t, scratch.part(thread));
      } else {
        sum_rows(begin, end, t);
      }
    });
    const double work = static_cast<double>(chunks_ * chunk_floats);
    parallel_tasks(groups_.blocks.count, threads_for(groups_.blocks.count, work), [&](int64_t block, int) {
      add_chunks(block, sums.data(), chunk_floats, dw);
      if (db != nullptr) add_bias_chunks(block, sums.data() + weight_floats, chunk_floats, db);
    });
  }

 private:
  // One block's channels.
  WindowSource block_source(int channels) const { return {shape_.axis, shape_.in_channels, channels}; }

  // What chunks are made of.
  int64_t units() const { return copies_ ? grid_.size() : rows_; }

  // What the kernel needs to know of the blocks [first, last), x and dy beginning there.
  GroupedWeights blocks_between(int64_t first, int64_t last) const {
    const Axis &h = shape_.axis[1], &w = shape_.axis[2];
    GroupedWeights t;
    t.blocks = groups_.between(first, last);
    t.x = x_ + first * t.blocks.block_in;
    t.x_pixel = w.stride * shape_.in_channels;
    t.x_row = h.stride * w.in * shape_.in_channels;
    t.dy = dy_ + first * t.blocks.block_out;
    t.dy_pixel = shape_.out_channels;
    t.dy_row = w.out * t.dy_pixel;
    t.dw_block = block_floats_;
    t.dw_channel = channel_floats_;
    t.group_channels = static_cast<int>(groups_.out);
    return t;
  }

  // Adds rows [begin, end) of all images up, a few at a time that have the same taps inside the input.
  void sum_rows(int64_t begin, int64_t end, const GroupedWeights& sums) const {
    const Axis &d = shape_.axis[0], &h = shape_.axis[1];
    std::vector<TapPlace> taps;
    while (begin < end) {
      const int64_t row = begin % h.out, plane = begin / h.out;
      const int64_t last = std::min(h.out, row + end - begin);
      const AxisPiece depth = axis_pieces(d, plane % d.out, plane % d.out + 1).front();
      for (const AxisPiece& piece : axis_pieces(h, row, last)) {
        for (AxisPiece rows = piece; rows.begin < piece.end; rows.begin = rows.end) {
          rows.end = std::min(piece.end, rows.begin + kTileRows);
          for (const AxisPiece& whole : col_pieces_) {
            for (AxisPiece cols = whole; cols.begin < whole.end; cols.begin = cols.end) {
              cols.end = std::min(whole.end, cols.begin + kTileCols);
              add_piece(plane / d.out, depth, rows, cols, taps, sums);
            }
          }
        }
      }
      begin += last - row;
    }
  }

  void add_piece(int64_t image, const AxisPiece& depth, const AxisPiece& rows, const AxisPiece& cols,
                 std::vector<TapPlace>& taps, const GroupedWeights& sums) const {
    const Axis &d = shape_.axis[0], &h = shape_.axis[1], &w = shape_.axis[2];
    const int64_t x_pixel = shape_.in_channels, x_row = w.in * x_pixel, x_plane = h.in * x_row;
    taps.clear();
    for (int64_t kd = 0; kd < depth.taps(); ++kd) {
      for (int64_t kh = 0; kh < rows.taps(); ++kh) {
        const int64_t tap_row = (depth.tap_begin + kd) * h.window + rows.tap_begin + kh;
        for (int64_t kw = 0; kw < cols.taps(); ++kw) {
          taps.push_back({kd * d.dilation * x_plane + kh * h.dilation * x_row + kw * w.dilation * x_pixel,
                          (tap_row * w.window + cols.tap_begin + kw) * lanes_});
        }
      }
    }
    GroupedWeights t = sums;
    t.x +=
        (image * d.in + depth.first_input(d)) * x_plane + rows.first_input(h) * x_row + cols.first_input(w) * x_pixel;
    t.dy += ((image * d.out + depth.begin) * h.out + rows.begin) * t.dy_row + cols.begin * t.dy_pixel;
    t.rows = rows.end - rows.begin;
    t.cols = cols.end - cols.begin;
    t.taps = taps.data();
    t.tap_count = static_cast<int>(taps.size());
    kernels().grouped_weights(t);
  }

  // Adds a block of pixels up for the channels' blocks [first, last), each from copies of x and dy.
  void sum_copies(const OutputBlock& block, int64_t first, int64_t last, const GroupedWeights& sums,
                  float* scratch) const {
    GroupedWeights t = sums;
    const int lanes = static_cast<int>(lanes_);
    t.blocks = {1, 1, lanes, lanes, lanes, lanes, groups_.blocks.places};
    t.dy_pixel = lanes_;
    t.dy_row = block.cols() * lanes_;
    t.rows = block.rows();
    t.cols = block.cols();
    t.taps = copied_taps_.data();
    t.tap_count = static_cast<int>(copied_taps_.size());
    float* dy = scratch + layout_.scratch_floats();
    for (int64_t b = first; b < last; ++b) {
      const bool is_last = b == groups_.blocks.count - 1;
      const WindowView view = (is_last ? last_layout_ : layout_).view(block, x_, b * groups_.blocks.block_in, scratch);
      t.x = view.first;
      t.x_pixel = view.pixel;
      t.x_row = view.row;
      copy_dy(block, b * groups_.blocks.block_out, is_last ? groups_.blocks.last_out : groups_.blocks.block_out, dy);
      t.dy = dy;
      kernels().grouped_weights(t);
      t.dw += block_floats_;
      if (t.db != nullptr) t.db += lanes_;
    }
  }

  void copy_dy(const OutputBlock& block, int64_t channel, int channels, float* to) const {
    const auto& a = shape_.axis;
    PackPanel pack;
    pack.row = shape_.out_channels;
    pack.col = 1;
    pack.rows = block.cols();
    pack.cols = channels;
    pack.padded = static_cast<int>(lanes_);
    for (int64_t r = block.row_begin; r < block.row_end; ++r, to += block.cols() * lanes_) {
      const int64_t pixel = ((block.image * a[0].out + block.depth) * a[1].out + r) * a[2].out + block.col_begin;
      pack.from = dy_ + pixel * shape_.out_channels + channel;
      pack.to = to;
      kernels().pack_panel(pack);
    }
  }

  // Adds a block's chunks up, always in the same order, and takes its groups apart: dw[tap, c, group, k].
  void add_chunks(int64_t block, float* sums, int64_t chunk_floats, float* dw) const {
    float* from = sums + block * block_floats_;
    const bool depthwise = groups_.blocks.places == nullptr;
    UnpackPanels unpack;
    unpack.from = from;
    unpack.part = chunk_floats;
    unpack.parts = static_cast<int>(chunks_);
    unpack.rows = groups_.out * taps_;
    unpack.cols = static_cast<int>(groups_.groups_of(block) * groups_.in);
    unpack.padded = static_cast<int>(lanes_);
    unpack.to = depthwise ? dw + block * lanes_ : from;
    unpack.row = depthwise ? shape_.out_channels : lanes_;
    kernels().unpack_panels(unpack);
    if (depthwise) return;
    for (int64_t k = 0; k < groups_.out; ++k) {
      for (int64_t tap = 0; tap < taps_; ++tap, from += lanes_) {
        for (int64_t c = 0; c < groups_.in; ++c) {
          float* to = dw + (tap * groups_.in + c) * shape_.out_channels + groups_.first_group(block) * groups_.out + k;
          for (int64_t g = 0; g < groups_.groups_of(block); ++g) to[g * groups_.out] = from[g * groups_.in + c];
        }
      }
    }
  }

  void add_bias_chunks(int64_t block, const float* sums, int64_t chunk_floats, float* db) const {
    UnpackPanels unpack;
    unpack.from = sums + block * lanes_;
    unpack.part = chunk_floats;
    unpack.parts = static_cast<int>(chunks_);
    unpack.rows = 1;
    unpack.cols = static_cast<int>(groups_.groups_of(block) * groups_.out);
    unpack.padded = static_cast<int>(lanes_);
    unpack.to = db + groups_.first_group(block) * groups_.out;
    unpack.row = lanes_;
    kernels().unpack_panels(unpack);
  }

  const ConvShape& shape_;
  const float *x_, *dy_;
  BlockedGroups groups_;
  int64_t lanes_, taps_;
  int64_t rows_;  // of all images
  std::vector<AxisPiece> col_pieces_;
  bool copies_;
  BlockGrid grid_;  // of copies
  WindowLayout layout_, last_layout_;
  std::vector<TapPlace> copied_taps_;
  int64_t channel_floats_, block_floats_, ranges_, chunks_;
};

}  // namespace

void grouped_backward_weights(const ConvShape& shape, const float* x, const float* dy, float* dw, float* db) {
  GroupedWeightsGradient(shape, x, dy).run(dw, db);
}

}  // namespace cnnfast
