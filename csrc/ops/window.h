// How the micro-kernels see a block of output pixels' input: as windows made of runs, in the input itself where no
// window leaves it, else in a padded copy of the rows it needs (the "slab").
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "ops/axis.h"

namespace cnnfast {

// A dense NHWC input and the windows over it. Axes are depth, height, width.
struct WindowSource {
  std::array<Axis, 3> axis;
  int64_t pixel_channels;  // of the array: what one pixel occupies
  int64_t channels;        // of one group: what a window takes of a pixel

  int64_t image_floats() const { return axis[0].in * axis[1].in * axis[2].in * pixel_channels; }
  int64_t taps() const { return axis[0].window * axis[1].window * axis[2].window; }
  int64_t window_floats() const { return taps() * channels; }
};

// A block of output pixels: one depth plane, some rows, some columns.
struct OutputBlock {
  int64_t image, depth;
  int64_t row_begin, row_end;
  int64_t col_begin, col_end;
  int64_t rows() const { return row_end - row_begin; }
  int64_t cols() const { return col_end - col_begin; }
};

// Cuts the output into blocks whose input is of about `block_floats`.
class BlockGrid {
 public:
  BlockGrid(const WindowSource& source, int64_t images, int64_t block_floats, int64_t pixels_at_most);
  int64_t size() const { return images_ * depths_ * row_blocks_ * col_blocks_; }
  OutputBlock operator[](int64_t index) const;
  int64_t largest_rows() const { return rows_per_block_; }
  int64_t largest_cols() const { return cols_per_block_; }
  // Halves the blocks, rows first, until there are at least `blocks` of them or they are single rows.
  void split(int64_t blocks);

 private:
  int64_t images_, depths_, rows_, cols_;
  int64_t rows_per_block_, cols_per_block_;
  int64_t row_blocks_, col_blocks_;
  void balance();
};

// Blocks of so many whole rows.
BlockGrid whole_rows_grid(const WindowSource& source, int64_t rows);

// Where the kernels find the windows of one block.
struct WindowView {
  const float* first;  // the first pixel's window
  int64_t pixel;       // from one pixel of a row to the next
  int64_t row;         // from one row to the next
};

// What a run is to be.
enum class Runs {
  rows,     // a row of taps where they are neighbours in memory, else a tap
  taps,     // always a tap
  windows,  // a whole window, copied pixel by pixel (im2col)
  spread,   // a tap, copied so that neighbouring pixels do not fall into one set of the first-level cache
  lanes,    // a tap, copied so that every pixel takes whole vectors, zero past its channels
};

class WindowLayout {
 public:
  // Fixes the layout for blocks of the grid.
  WindowLayout(const WindowSource& source, const BlockGrid& grid, Runs runs);

  const std::vector<int64_t>& runs() const { return runs_; }
  int64_t run_length() const { return run_length_; }
  // Floats of scratch that view() needs; 0 where the kernels read the input itself.
  int64_t scratch_floats() const { return slab_floats_ + patch_floats_; }

  // The windows of `block` in image data `x`, for the group whose channels start at `channel`.
  WindowView view(const OutputBlock& block, const float* x, int64_t channel, float* scratch) const;

 private:
  void copy_slab(const OutputBlock& block, const float* x, int64_t channel, float* slab) const;
  void copy_patches(const OutputBlock& block, const WindowView& view, float* patches) const;

  WindowSource source_;
  bool in_place_;  // the kernels read x itself
  bool copies_windows_;
  bool copies_vectors_;  // the slab's pixels are whole vectors
  int64_t slab_channels_;
  int64_t slab_rows_, slab_cols_;  // per depth tap
  int64_t pitch_, plane_;          // floats from row to row, and from depth tap to depth tap
  int64_t slab_floats_ = 0, patch_floats_ = 0;
  std::vector<int64_t> slab_runs_;
  int64_t slab_run_length_;
  std::vector<int64_t> runs_;
  int64_t run_length_;
};

}  // namespace cnnfast
