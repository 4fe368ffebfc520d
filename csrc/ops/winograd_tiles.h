// The tiles of a Winograd convolution, and what each of them reads and writes.
//
// The transforms know windows of a few neighbouring taps at stride 1. Along the rows and columns of an image, others
// are sums or interleavings of such ones:
// - A dilated window sees every `dilation`-th value only: outputs fall into phases, each an ordinary convolution of one
//   phase of the input.
// - At a stride, taps fall into phases ("subs" here), each of which sees its own phase of the input as if the stride
//   were 1. Their products are added up before the transform back.
// Depth is not transformed: its taps are added up in the same way. A column is a tile with some neighbouring depths,
// its slots are the depths of the input that they see; neighbouring depths share their transformed slots.
#pragma once

#include <cstdint>
#include <vector>

#include "kernels/winograd.h"
#include "ops/panels.h"
#include "ops/window.h"

namespace cnnfast {

// How one axis of an image is cut into tiles.
class TileAxis {
 public:
  TileAxis(const Axis& axis, int64_t outputs);

  // Of the positions offset, offset + step, ... (`size` of them), a tile begins at number `first`, which may lie
  // outside.
  struct View {
    int64_t offset, step, size, first;
  };
  int64_t tiles() const { return static_cast<int64_t>(outputs_.size()); }
  int64_t subs() const { return subs_; }
  View input(int64_t tile, int64_t sub) const { return inputs_[static_cast<size_t>(tile * subs_ + sub)]; }
  View output(int64_t tile) const { return outputs_[static_cast<size_t>(tile)]; }

 private:
  int64_t subs_;
  std::vector<View> inputs_, outputs_;
};

// An array's strides; its rows' and columns' sizes are those of the axes.
struct ImageStrides {
  int64_t image, plane, row, pixel;
};

ImageStrides dense_input(const WindowSource& source);
ImageStrides dense_output(const WindowSource& source, int64_t channels);

class WinogradTiles {
 public:
  WinogradTiles(const WindowSource& source, int64_t images, WinogradKind kind);

  int64_t columns() const { return images_ * depth_tiles_ * rows_.tiles() * cols_.tiles(); }
  int64_t outputs() const { return depth_outputs_; }  // of a column
  int64_t slots() const { return depth_outputs_ + depth_.reach() - 1; }
  int64_t subs() const { return rows_.subs() * cols_.subs(); }
  // Windows that are added up: for every tap of the depth all subs.
  int64_t runs() const { return depth_.window * subs(); }
  // From an output's own slot to that of a run.
  int64_t run_slot(int64_t run) const { return run / subs() * depth_.dilation; }

  // For every run the numbers of the transform's taps in the window, row by row; kNoTap where it has none.
  std::vector<int64_t> taps() const;
  // How many rows and columns of taps a run has, and its first tap.
  struct RunTaps {
    int64_t first;
    int rows, cols;
  };
  RunTaps run_taps(int64_t run) const;
  int64_t tap_row() const { return rows_.subs() * cols_window_; }
  int64_t tap_col() const { return cols_.subs(); }

  // What one slot of a column reads of the input (`sub` tells which phase), or of the outputs' gradient: everything but
  // the channels and the target. A slot without a depth reads zeros.
  WinogradScatter input(const float* x, const ImageStrides& strides, int64_t column, int64_t slot, int64_t sub) const;
  WinogradScatter gradient(const float* dy, const ImageStrides& strides, int64_t column, int64_t slot) const;
  // Where it writes. Returns false for a slot that is nobody's output.
  bool place(WinogradGather& gather, float* y, const ImageStrides& strides, int64_t column, int64_t slot) const;

 private:
  struct Place {
    int64_t image, depth, row, col;  // depth: of the first output; row and col: tiles
  };
  Place place_of(int64_t column) const;
  bool is_output(const Place& place, int64_t slot) const {
    return slot < depth_outputs_ && place.depth + slot < depth_.out;
  }

  WinogradKind kind_;
  int64_t images_;
  Axis depth_;
  TileAxis rows_, cols_;
  int64_t rows_window_, cols_window_;
  int64_t depth_tiles_, depth_outputs_;
  struct PlaneTile {
    int64_t row, col;
  };
  std::vector<PlaneTile> plane_;  // the tiles of one plane, in order: looked up without divisions
};

// Groups are convolutions of their own, but their channels are neighbours: transforms take those of some groups in one
// go, so that they fill vectors whatever a group has, and read whole lines.
struct GroupBundle {
  int64_t first, groups;
};

class GroupBundles {
 public:
  // Of about `wanted` groups each.
  GroupBundles(int64_t groups, int64_t wanted);
  int64_t count() const { return (groups_ + most_ - 1) / most_; }
  int64_t most() const { return most_; }  // groups of a bundle; the last may have fewer
  GroupBundle operator[](int64_t bundle) const {
    const int64_t first = bundle * most_;
    return {first, groups_ - first < most_ ? groups_ - first : most_};
  }

 private:
  int64_t groups_, most_;
};

// A few floats more between transform points than their values need, so that the points of one tile do not fall into
// one set of the first-level cache.
inline int64_t spread_points(int64_t floats) { return (floats + 15) / 16 * 16 + 16; }

}  // namespace cnnfast
