#include "ops/window.h"

#include <algorithm>
#include <cstring>

#include "dispatch.h"

namespace cnnfast {
namespace {

int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }

// Input positions that `count` neighbouring outputs span along an axis.
int64_t span(const Axis& axis, int64_t count) {
  return (count - 1) * axis.stride + (axis.window - 1) * axis.dilation + 1;
}

// Slab positions from one window to the next, and input positions from one slab position to the next: what lies between
// the windows of a strided single tap is not copied.
int64_t slab_stride(const Axis& axis) { return axis.window == 1 ? 1 : axis.stride; }
int64_t slab_step(const Axis& axis) { return axis.window == 1 ? axis.stride : 1; }

// Slab positions for `count` neighbouring outputs.
int64_t slab_span(const Axis& axis, int64_t count) { return (count - 1) * slab_stride(axis) + axis.reach(); }

constexpr int64_t kSpreadFloats = 16;

void clear(float* to, int64_t floats) { std::memset(to, 0, sizeof(float) * static_cast<size_t>(floats)); }
void copy(float* to, const float* from, int64_t floats) {
  std::memcpy(to, from, sizeof(float) * static_cast<size_t>(floats));
}

bool stays_inside(const Axis& axis) {
  return axis.pad_before <= 0 && span(axis, axis.out) - axis.pad_before <= axis.in;
}

}  // namespace

BlockGrid::BlockGrid(const WindowSource& source, int64_t images, int64_t block_floats, int64_t pixels_at_most)
    : images_(images), depths_(source.axis[0].out), rows_(source.axis[1].out), cols_(source.axis[2].out) {
  const Axis &h = source.axis[1], &w = source.axis[2];
  const int64_t plane_budget = block_floats / (source.axis[0].window * source.channels);
  // Whole rows where one fits, else pieces of single rows.
  const int64_t row_height = span(h, 1);
  const int64_t col_budget = plane_budget / row_height - (w.window - 1) * w.dilation;
  cols_per_block_ = std::clamp<int64_t>(col_budget / w.stride, std::min<int64_t>(cols_, 32), cols_);
  cols_per_block_ = std::min(cols_per_block_, std::max<int64_t>(1, pixels_at_most));
  rows_per_block_ = 1;
  if (cols_per_block_ == cols_) {
    const int64_t row_budget = plane_budget / span(w, cols_) - (h.window - 1) * h.dilation;
    rows_per_block_ = std::clamp<int64_t>(row_budget / h.stride, 1, rows_);
    rows_per_block_ = std::min(rows_per_block_, std::max<int64_t>(1, pixels_at_most / cols_));
  }
  balance();
}

void BlockGrid::balance() {
  row_blocks_ = ceil_div(rows_, rows_per_block_);
  rows_per_block_ = ceil_div(rows_, row_blocks_);
  row_blocks_ = ceil_div(rows_, rows_per_block_);
  col_blocks_ = ceil_div(cols_, cols_per_block_);
  cols_per_block_ = ceil_div(cols_, col_blocks_);
  col_blocks_ = ceil_div(cols_, cols_per_block_);
}

void BlockGrid::split(int64_t blocks) {
  while (size() < blocks && rows_per_block_ > 1) {
    rows_per_block_ = ceil_div(rows_per_block_, 2);
    balance();
  }
  constexpr int64_t kFewestCols = 28;
  while (size() < blocks && cols_per_block_ >= 2 * kFewestCols) {
    cols_per_block_ = ceil_div(cols_per_block_, 2);
    balance();
  }
}

OutputBlock BlockGrid::operator[](int64_t index) const {
  OutputBlock block;
  const int64_t col_block = index % col_blocks_;
  index /= col_blocks_;
  const int64_t row_block = index % row_blocks_;
  index /= row_blocks_;
  block.depth = index % depths_;
  block.image = index / depths_;
  block.row_begin = row_block * rows_per_block_;
  block.row_end = std::min(rows_, block.row_begin + rows_per_block_);
  block.col_begin = col_block * cols_per_block_;
  block.col_end = std::min(cols_, block.col_begin + cols_per_block_);
  return block;
}

BlockGrid whole_rows_grid(const WindowSource& source, int64_t rows) {
  WindowSource part = source;
  part.axis[1].out = rows;
  return BlockGrid(part, 1, INT64_MAX, INT64_MAX);
}

WindowLayout::WindowLayout(const WindowSource& source, const BlockGrid& grid, Runs runs)
    : source_(source), copies_windows_(runs == Runs::windows && source.taps() > 1) {
  const Axis &d = source.axis[0], &h = source.axis[1], &w = source.axis[2];
  const bool always_copied = runs == Runs::spread || runs == Runs::lanes;
  in_place_ = !always_copied && stays_inside(d) && stays_inside(h) && stays_inside(w);
  const int64_t lanes = kernels().limits.lanes;
  slab_channels_ = in_place_              ? source.pixel_channels
                   : runs == Runs::spread ? source.channels + kSpreadFloats
                   : runs == Runs::lanes  ? ceil_div(source.channels, lanes) * lanes
                                          : source.channels;
  copies_vectors_ = runs != Runs::spread && slab_channels_ % lanes == 0;
  slab_rows_ = slab_span(h, grid.largest_rows());
  slab_cols_ = slab_span(w, grid.largest_cols());
  pitch_ = (in_place_ ? w.in : slab_cols_) * slab_channels_;
  plane_ = (in_place_ ? h.in * d.dilation : slab_rows_) * pitch_;
  if (!in_place_) slab_floats_ = d.window * plane_;

  // A tap row is one run where its taps are neighbours and hold nothing but this group's channels.
  const bool whole_rows =
      runs != Runs::taps && !always_copied && (w.dilation == 1 || w.window == 1) && slab_channels_ == source.channels;
  slab_run_length_ = whole_rows ? w.window * source.channels : source.channels;
  for (int64_t kd = 0; kd < d.window; ++kd) {
    for (int64_t kh = 0; kh < h.window; ++kh) {
      for (int64_t kw = 0; kw < (whole_rows ? 1 : w.window); ++kw) {
        slab_runs_.push_back(kd * plane_ + kh * h.dilation * pitch_ + kw * w.dilation * slab_channels_);
      }
    }
  }
  if (copies_windows_) {
    runs_ = {0};
    run_length_ = source.window_floats();
    patch_floats_ = grid.largest_rows() * grid.largest_cols() * run_length_;
  } else {
    runs_ = slab_runs_;
    run_length_ = slab_run_length_;
  }
}

WindowView WindowLayout::view(const OutputBlock& block, const float* x, int64_t channel, float* scratch) const {
  const Axis &d = source_.axis[0], &h = source_.axis[1], &w = source_.axis[2];
  x += block.image * source_.image_floats();
  WindowView view{scratch, slab_stride(w) * slab_channels_, slab_stride(h) * pitch_};
  if (in_place_) {
    const int64_t depth = block.depth * d.stride - d.pad_before;
    const int64_t row = block.row_begin * h.stride - h.pad_before;
    const int64_t col = block.col_begin * w.stride - w.pad_before;
    view = {x + ((depth * h.in + row) * w.in + col) * source_.pixel_channels + channel, w.stride * slab_channels_,
            h.stride * pitch_};
  } else {
    copy_slab(block, x, channel, scratch);
  }
  if (copies_windows_) {
    float* patches = scratch + slab_floats_;
    copy_patches(block, view, patches);
    view = WindowView{patches, run_length_, block.cols() * run_length_};
  }
  return view;
}

void WindowLayout::copy_slab(const OutputBlock& block, const float* x, int64_t channel, float* slab) const {
  const Axis &d = source_.axis[0], &h = source_.axis[1], &w = source_.axis[2];
  const int64_t channels = source_.channels, step = slab_step(w);
  const int64_t rows = slab_span(h, block.rows()), cols = slab_span(w, block.cols());
  const int64_t first_col = block.col_begin * w.stride - w.pad_before;
  // Slab columns [left, right) lie inside the input; what is outside is zero.
  const auto columns_before = [&](int64_t col) {
    return std::clamp<int64_t>((col - first_col + step - 1) / step, 0, cols);
  };
  const int64_t left = first_col >= 0 ? 0 : columns_before(0);
  const int64_t right = w.in <= first_col ? left : std::max(left, columns_before(w.in));
  const bool dense = step == 1 && channels == source_.pixel_channels && channels == slab_channels_;
  for (int64_t kd = 0; kd < d.window; ++kd) {
    const int64_t depth = block.depth * d.stride - d.pad_before + kd * d.dilation;
    for (int64_t r = 0; r < rows; ++r) {
      const int64_t row = block.row_begin * h.stride - h.pad_before + r * slab_step(h);
      float* to = slab + kd * plane_ + r * pitch_;
      if (depth < 0 || depth >= d.in || row < 0 || row >= h.in || left == right) {
        clear(to, cols * slab_channels_);
        continue;
      }
      clear(to, left * slab_channels_);
      const int64_t pixel = step * source_.pixel_channels;
      const float* from =
          x + ((depth * h.in + row) * w.in + first_col + left * step) * source_.pixel_channels + channel;
      to += left * slab_channels_;
      if (dense) {
        copy(to, from, (right - left) * channels);
      } else if (copies_vectors_) {
        PackPanel pack;
        pack.from = from;
        pack.row = pixel;
        pack.col = 1;
        pack.rows = right - left;
        pack.cols = static_cast<int>(channels);
        pack.padded = static_cast<int>(slab_channels_);
        pack.to = to;
        kernels().pack_panel(pack);
      } else {
        for (int64_t c = 0; c < right - left; ++c) copy(to + c * slab_channels_, from + c * pixel, channels);
      }
      clear(to + (right - left) * slab_channels_, (cols - right) * slab_channels_);
    }
  }
}

void WindowLayout::copy_patches(const OutputBlock& block, const WindowView& view, float* patches) const {
  for (int64_t r = 0; r < block.rows(); ++r) {
    for (int64_t c = 0; c < block.cols(); ++c) {
      const float* from = view.first + r * view.row + c * view.pixel;
      for (const int64_t run : slab_runs_) {
        for (int64_t e = 0; e < slab_run_length_; ++e) patches[e] = from[run + e];
        patches += slab_run_length_;
      }
    }
  }
}

}  // namespace cnnfast
