#include "ops/conv_lines.h"

#include <algorithm>
#include <cstring>

#include "dispatch.h"
#include "runtime/memory.h"
#include "runtime/parallel.h"

namespace cnnfast {
namespace {

constexpr int64_t kBlockFloats = (256 << 10) / 4;  // of a block's lines: they stay in the second-level cache
constexpr int64_t kFewestVectors = 2;              // of a block's rows, unless the image is narrower
constexpr int kTasksPerThread = 4;

int64_t rounded_up(int64_t count, int64_t step) { return (count + step - 1) / step * step; }

// What an axis of x all parts together reach from a block of `count` outputs, counted from the first part's first tap.
struct Reach {
  int64_t before;  // the first output's: so far in front of the output's own place
  int64_t behind;  // the last output's first tap to the end of its window

  int64_t length(int64_t count, int64_t stride) const { return (count - 1) * stride + behind + before; }
};

Reach reach_of(const std::vector<CorrelationPart>& parts, size_t axis) {
  Reach reach{INT64_MIN, INT64_MIN};
  for (const CorrelationPart& part : parts) {
    const Axis& a = part.correlation.source.axis[axis];
    reach.before = std::max(reach.before, a.pad_before);
    reach.behind = std::max(reach.behind, a.reach() - a.pad_before);
  }
  return reach;
}

int64_t largest_out(const std::vector<CorrelationPart>& parts, size_t axis) {
  int64_t out = 0;
  for (const CorrelationPart& part : parts) out = std::max(out, part.correlation.source.axis[axis].out);
  return out;
}

// The rows of x that a block of outputs needs, turned so that each channel's values are neighbours, with zeros where
// windows leave the image: lines_[plane][row][channel][column].
class LineBlocks {
 public:
  LineBlocks(const std::vector<CorrelationPart>& parts, const LinePooling* pooling, const float* x, const float* bias)
      : parts_(parts),
        pooling_(pooling),
        any_(parts.front().correlation),
        x_(x),
        bias_(bias),
        lanes_(kernels().limits.lanes),
        tile_rows_(pooling != nullptr ? 2
                                      : line_rows(static_cast<int>(any_.out_channels), kernels().limits.accumulators)),
        tile_cols_(pooling != nullptr ? 2 * lanes_ : lanes_),
        depth_(reach_of(parts, 0)),
        height_(reach_of(parts, 1)),
        width_(reach_of(parts, 2)) {
    for (size_t i = 0; i < 3; ++i) out_[i] = largest_out(parts, i);
    if (pooling != nullptr) {
      out_[1] = 2 * pooling->height;
      out_[2] = 2 * pooling->width;
    }
    for (int64_t p = 0; p < lanes_ * any_.out_channels; ++p) {
      places_.push_back(static_cast<int32_t>(p % any_.out_channels * lanes_ + p / any_.out_channels));
    }
    choose_blocks();
    pack_weights();
  }

  void run() {
    const int64_t row_blocks = (out_[1] + rows_ - 1) / rows_, col_blocks = (out_[2] + cols_ - 1) / cols_;
    const int64_t tasks = any_.images * out_[0] * row_blocks * col_blocks;
    const int threads = threads_for(tasks, flops() / kFlopsPerOperation);
    const Scratch scratch(threads, static_cast<size_t>(block_floats() + line_));
    parallel_tasks(tasks, threads, [&](int64_t task, int thread) {
      const int64_t col = task % col_blocks * cols_, row = task / col_blocks % row_blocks * rows_;
      const int64_t plane = task / col_blocks / row_blocks;
      run_block(plane / out_[0], plane % out_[0], row, col, scratch.part(thread));
    });
  }

 private:
  double flops() const {
    double flops = 0;
    for (const CorrelationPart& part : parts_) flops += part.correlation.flops();
    return flops;
  }

  int64_t planes() const { return depth_.length(1, 1); }
  int64_t block_rows() const { return height_.length(std::max<int64_t>(rows_, tile_rows_), stride(1)); }
  int64_t block_floats() const { return planes() * block_rows() * row_; }
  int64_t stride(size_t axis) const { return any_.source.axis[axis].stride; }

  // Sets rows_ and cols_, the outputs of a block, and the lengths of its lines.
  void choose_blocks() {
    const auto set_cols = [&](int64_t cols) {
      cols_ = cols;
      line_ = rounded_up(width_.length(rounded_up(cols, tile_cols_), 1), lanes_);
      row_ = any_.source.channels * line_;
    };
    rows_ = std::min<int64_t>(out_[1], tile_rows_);
    set_cols(out_[2]);
    while (block_floats() > kBlockFloats && cols_ > kFewestVectors * lanes_) {
      set_cols(std::max(kFewestVectors * lanes_, rounded_up((cols_ + 1) / 2, tile_cols_)));
    }
    const int threads = threads_for(INT32_MAX, flops() / kFlopsPerOperation);
    const auto tasks = [&] { return any_.images * out_[0] * ((out_[1] + rows_ - 1) / rows_); };
    while (block_floats() < kBlockFloats / 2 && rows_ < out_[1] && tasks() > 2 * kTasksPerThread * threads) rows_ *= 2;
    rows_ = std::min(rows_, out_[1]);
  }

  void pack_weights() {
    const int64_t channels = any_.source.channels, outputs = any_.out_channels;
    for (const CorrelationPart& part : parts_) {
      const WeightView& view = part.weights;
      std::vector<float>& w = weights_.emplace_back();
      w.reserve(static_cast<size_t>(channels * outputs) * view.taps.size());
      for (int64_t k = 0; k < channels; ++k) {
        for (const int64_t tap : view.taps) {
          for (int64_t c = 0; c < outputs; ++c) {
            const int64_t at = tap * view.tap_stride + k * view.in_stride + c * view.out_stride;
            w.push_back(tap == kNoTap ? 0.0f : view.w[at]);
          }
        }
      }
      const auto& a = part.correlation.source.axis;
      std::vector<int64_t>& taps = taps_.emplace_back();
      for (int64_t d = 0; d < a[0].window; ++d) {
        for (int64_t h = 0; h < a[1].window; ++h) {
          for (int64_t col = 0; col < a[2].window; ++col) {
            taps.push_back((d * a[0].dilation * block_rows() + h * a[1].dilation) * row_ + col * a[2].dilation);
          }
        }
      }
    }
  }

  void run_block(int64_t image, int64_t depth, int64_t row, int64_t col, float* lines) const {
    copy_lines(image, depth, row, col, lines);
    for (size_t p = 0; p < parts_.size(); ++p) {
      const auto& a = parts_[p].correlation.source.axis;
      const bool pooled = pooling_ != nullptr;
      const int64_t row_end = std::min(row + rows_, pooled ? out_[1] : a[1].out);
      const int64_t col_end = std::min(col + cols_, pooled ? out_[2] : a[2].out);
      if (depth >= a[0].out || row >= row_end) continue;
      for (int64_t r = row; r < row_end; r += tile_rows_) {
        // The last tile is whole too where the rows before it allow that.
        const int64_t begin = std::max(row, std::min(r, row_end - tile_rows_));
        for (int64_t c = col; c < col_end; c += tile_cols_) {
          run_tile(p, lines,
                   {image, depth, begin, std::min(begin + tile_rows_, row_end), c, std::min(c + tile_cols_, col_end)},
                   row, col);
        }
      }
    }
  }

  void run_tile(size_t p, const float* lines, const OutputBlock& block, int64_t row, int64_t col) const {
    const Correlation& c = parts_[p].correlation;
    const auto& a = c.source.axis;
    LineTile t;
    t.x = lines +
          ((depth_.before - a[0].pad_before) * block_rows() + height_.before - a[1].pad_before +
           (block.row_begin - row) * stride(1)) *
              row_ +
          width_.before - a[2].pad_before + block.col_begin - col;
    t.x_channel = line_;
    t.x_row = stride(1) * row_;
    t.channels = static_cast<int>(c.source.channels);
    t.taps = taps_[p].data();
    t.tap_count = static_cast<int>(taps_[p].size());
    t.w = weights_[p].data();
    t.bias = bias_;
    t.outputs = static_cast<int>(c.out_channels);
    t.y_row = c.y_row;
    t.y_pixel = c.y_pixel;
    t.rows = static_cast<int>(block.rows());
    t.pixels = static_cast<int>(block.cols());
    t.places = places_.data();
    if (pooling_ != nullptr) return pool_tile(t, c, block);
    t.y = parts_[p].y + block.image * c.y_image + block.depth * c.y_plane + block.row_begin * c.y_row +
          block.col_begin * c.y_pixel;
    kernels().line_tile(t);
    if (c.activation == Activation::linear) return;
    for (int64_t r = 0; r < block.rows(); ++r) {
      activate_pixels(c.activation, c.alpha, t.y + r * c.y_row, c.y_pixel, block.cols(), c.out_channels);
    }
  }

  void pool_tile(const LineTile& line, const Correlation& c, const OutputBlock& block) const {
    const int64_t row = (block.image * out_[0] + block.depth) * pooling_->height + block.row_begin / 2;
    const int64_t to = (row * pooling_->width + block.col_begin / 2) * c.out_channels;
    LinePoolTile t;
    t.line = line;
    t.line.y = pooling_->y + to;
    t.line.pixels = line.pixels / 2;
    t.winners = pooling_->winners == nullptr ? nullptr : pooling_->winners + to;
    t.activation = c.activation;
    t.alpha = c.alpha;
    kernels().line_pool_tile(t);
  }

  void copy_lines(int64_t image, int64_t depth, int64_t row, int64_t col, float* lines) const {
    const auto& a = any_.source.axis;
    const int64_t first_plane = depth * stride(0) - depth_.before, first_row = row * stride(1) - height_.before;
    const int64_t first_col = col - width_.before;
    const int64_t begin = std::clamp<int64_t>(first_col, 0, a[2].in),
                  end = std::clamp(first_col + line_, begin, a[2].in);
    for (int64_t i = 0; i < planes() * block_rows(); ++i) {
      float* to = lines + i * row_;
      const int64_t d = first_plane + i / block_rows(), h = first_row + i % block_rows();
      if (d < 0 || d >= a[0].in || h < 0 || h >= a[1].in || begin == end) {
        std::memset(to, 0, sizeof(float) * static_cast<size_t>(row_));
        continue;
      }
      // Each channel's zeros behind the image run on to the next one's in front of it.
      std::memset(to, 0, sizeof(float) * static_cast<size_t>(begin - first_col));
      PackPanel pack;
      pack.from = x_ + (((image * a[0].in + d) * a[1].in + h) * a[2].in + begin) * any_.source.pixel_channels;
      pack.row = 1;
      pack.col = any_.source.pixel_channels;
      pack.rows = any_.source.channels;
      pack.cols = static_cast<int>(end - begin);
      pack.padded = static_cast<int>(line_);
      pack.to = to + begin - first_col;
      kernels().pack_panel(pack);
    }
  }

  const std::vector<CorrelationPart>& parts_;
  const LinePooling* pooling_;  // or null
  const Correlation& any_;      // all have the same input, strides and number of outputs
  const float *x_, *bias_;
  int64_t lanes_, tile_rows_, tile_cols_;
  Reach depth_, height_, width_;
  int64_t out_[3];
  int64_t rows_ = 1, cols_ = 1, line_ = 0, row_ = 0;
  std::vector<int32_t> places_;
  std::vector<std::vector<float>> weights_;
  std::vector<std::vector<int64_t>> taps_;
};

}  // namespace

bool lines_fit(const WindowSource& source, int64_t out_channels) {
  const int64_t most = std::min<int64_t>(kMostLineOutputs, kernels().limits.lanes / 2);
  return out_channels >= 1 && out_channels <= most && source.taps() > 1 && source.axis[2].stride == 1;
}

bool lines_pay(const WindowSource& source, int64_t out_channels) {
  const KernelLimits limits = kernels().limits;
  const int64_t lanes = limits.lanes;
  const auto& a = source.axis;
  if (!lines_fit(source, out_channels)) return false;
  // Lines between windows, and between the taps of a wide one, would be copied for nothing; and tiles should be at
  // least half full.
  return 2 * a[1].out >= line_rows(static_cast<int>(out_channels), limits.accumulators) && a[0].dilation <= 2 &&
         a[1].dilation <= 2 && a[1].stride <= 2 * a[1].reach() && 2 * a[2].out > rounded_up(a[2].out, lanes);
}

void correlate_lines(const std::vector<CorrelationPart>& parts, const float* x, const float* bias) {
  if (parts.empty() || parts.front().correlation.images == 0) return;
  LineBlocks(parts, nullptr, x, bias).run();
}

bool lines_can_pool(int64_t out_channels, int64_t pooled_width) {
  const KernelLimits limits = kernels().limits;
  const int64_t most = std::min(kMostLinePoolOutputs, line_pool_outputs(limits.accumulators));
  return out_channels >= 1 && out_channels <= most && 2 * pooled_width > rounded_up(pooled_width, limits.lanes);
}

void correlate_and_pool_lines(const CorrelationPart& part, const LinePooling& pooling, const float* x,
                              const float* bias) {
  const std::vector<CorrelationPart> parts{part};
  LineBlocks(parts, &pooling, x, bias).run();
}

}  // namespace cnnfast
