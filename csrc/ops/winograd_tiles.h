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
#include "ops/conv_route.h"
#include "ops/panels.h"
#include "ops/window.h"

namespace cnnfast {

// How one axis of an image is cut into tiles.
class TileAxis {
 public:
  TileAxis(const Axis& axis, WinogradAxis kind, ConvPass pass);

  // Of the positions offset, offset + step, ... (`size` of them), a tile begins at number `first`, which may lie
  // outside.
  struct View {
    int64_t offset, step, size, first;
  };
  int64_t tiles() const { return static_cast<int64_t>(outputs_.size()); }
  int64_t subs() const { return subs_; }
  View input(int64_t tile, int64_t sub) const { return inputs_[static_cast<size_t>(tile * subs_ + sub)]; }
  View output(int64_t tile) const { return outputs_[static_cast<size_t>(tile)]; }

  // Where the transform has tiles of fewer outputs, the last one is cut off at the end of the axis.
  bool has_cut() const { return cut_ > 0; }
  bool is_cut(int64_t tile) const { return has_cut() && tile + 1 == tiles(); }
  int tile_outputs(int64_t tile) const { return is_cut(tile) ? cut_ : winograd_outputs(kind_); }
  // Points of a tile that is cut off; of all tiles together.
  int cut_points() const { return cut_ + winograd_taps(kind_) - 1; }
  int64_t points() const {
    return tiles() * winograd_points(kind_) - (has_cut() ? winograd_points(kind_) - cut_points() : 0);
  }

 private:
  WinogradAxis kind_;
  int cut_ = 0;  // outputs of a last tile that is cut off; 0: it is not
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
  WinogradTiles(const WindowSource& source, int64_t images, WinogradKind kind, ConvPass pass);

  int64_t columns() const { return images_ * depth_tiles_ * rows_.tiles() * cols_.tiles(); }
  int64_t outputs() const { return depth_outputs_; }  // of a column
  int64_t slots() const { return depth_outputs_ + depth_.reach() - 1; }
  int64_t subs() const { return rows_.subs() * cols_.subs(); }
  const TileAxis& rows() const { return rows_; }
  const TileAxis& cols() const { return cols_; }
  bool row_is_cut(int64_t column) const { return rows_.is_cut(tile_of(column).row); }
  bool col_is_cut(int64_t column) const { return cols_.is_cut(tile_of(column).col); }
  // The points of all columns.
  int64_t points() const { return images_ * depth_tiles_ * rows_.points() * cols_.points(); }
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
  PlaneTile tile_of(int64_t column) const {
    return plane_[static_cast<size_t>(column % static_cast<int64_t>(plane_.size()))];
  }
  std::vector<PlaneTile> plane_;  // the tiles of one plane, in order: looked up without divisions
};

// Neighbouring columns, in an order in which the tiles that have a point are neighbours, whichever point: those cut off
// on the right, whole ones, those cut off below, and those on both sides.
class ColumnBlock {
 public:
  ColumnBlock(const WinogradTiles& tiles, WinogradKind kind, int64_t begin, int64_t count);
  int64_t count() const { return count_; }
  int64_t operator[](int64_t place) const {
    return order_.empty() ? begin_ + place : order_[static_cast<size_t>(place)];
  }

  // Points of some neighbouring rows and columns, and the places of the tiles that have them (at least one).
  struct Points {
    int row, rows, col, cols;
    int64_t begin, count;
  };
  const std::vector<Points>& points() const { return points_; }
  // The same of one point.
  struct Places {
    int64_t begin, count;
  };
  Places places(int64_t point) const;

 private:
  int64_t begin_, count_, pitch_;
  std::vector<int64_t> order_;  // empty: as they are
  std::vector<Points> points_;
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
