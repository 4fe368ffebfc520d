#include "ops/winograd_tiles.h"

#include <algorithm>

namespace cnnfast {
namespace {

constexpr int64_t kColumnDepths = 16;  // neighbouring depths that share their slots

int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }
int64_t floor_div(int64_t a, int64_t b) { return a >= 0 ? a / b : -ceil_div(-a, b); }

// Where a tile lies in a plane: what reading and writing it have in common.
template <class Transfer, class Float>
void set_tile(Transfer& t, Float* plane, const ImageStrides& strides, const TileAxis::View& h,
              const TileAxis::View& w) {
  t.image = plane + h.offset * strides.row + w.offset * strides.pixel;
  t.rows = h.size;
  t.cols = w.size;
  t.row = h.first;
  t.col = w.first;
  t.row_stride = h.step * strides.row;
  t.pixel_stride = w.step * strides.pixel;
}

// A plane of null reads as zeros.
WinogradScatter scatter_from(WinogradKind kind, const float* plane, const ImageStrides& strides,
                             const TileAxis::View& h, const TileAxis::View& w) {
  WinogradScatter s{};
  s.kind = kind;
  if (plane != nullptr) set_tile(s, plane, strides, h, w);
  return s;
}

template <class Transfer>
void set_outputs(Transfer& t, const TileAxis& rows, int64_t row, const TileAxis& cols, int64_t col) {
  t.tile_rows = rows.tile_outputs(row);
  t.tile_cols = cols.tile_outputs(col);
}

}  // namespace

GroupBundles::GroupBundles(int64_t groups, int64_t wanted) : groups_(groups) {
  most_ = ceil_div(groups, ceil_div(groups, std::max<int64_t>(1, wanted)));
}

TileAxis::TileAxis(const Axis& axis, WinogradAxis kind, ConvPass pass) : kind_(kind), subs_(axis.stride) {
  const int64_t dilation = axis.window == 1 ? 1 : axis.dilation, step = subs_ * dilation;
  const int outputs = winograd_outputs(kind);
  // Phases of a dilation would end differently. For the gradient to the weights of a strided layer, whose windows are
  // of two taps, so few tiles are transformed at a time that parting them costs more than it saves (measured).
  if (winograd_cuts(kind) && dilation == 1 && (pass == ConvPass::correlation || winograd_taps(kind) > 2)) {
    cut_ = static_cast<int>(axis.out % outputs);
  }
  for (int64_t phase = 0; phase < std::min(dilation, axis.out); ++phase) {
    for (int64_t first = 0; first * dilation + phase < axis.out; first += outputs) {
      outputs_.push_back({phase, dilation, ceil_div(axis.out - phase, dilation), first});
      for (int64_t sub = 0; sub < subs_; ++sub) {
        const int64_t begin = phase * subs_ + sub - axis.pad_before;
        const int64_t whole = floor_div(begin, step), offset = begin - whole * step;
        inputs_.push_back({offset, step, offset < axis.in ? ceil_div(axis.in - offset, step) : 0, first + whole});
      }
    }
  }
}

ImageStrides dense_input(const WindowSource& source) {
  const auto& a = source.axis;
  const int64_t pixel = source.pixel_channels, row = a[2].in * pixel, plane = a[1].in * row;
  return {a[0].in * plane, plane, row, pixel};
}

ImageStrides dense_output(const WindowSource& source, int64_t channels) {
  const auto& a = source.axis;
  const int64_t row = a[2].out * channels, plane = a[1].out * row;
  return {a[0].out * plane, plane, row, channels};
}

WinogradTiles::WinogradTiles(const WindowSource& source, int64_t images, WinogradKind kind, ConvPass pass)
    : kind_(kind),
      images_(images),
      depth_(source.axis[0]),
      rows_(source.axis[1], kind.vertical, pass),
      cols_(source.axis[2], kind.horizontal, pass),
      rows_window_(source.axis[1].window),
      cols_window_(source.axis[2].window) {
  depth_tiles_ = ceil_div(depth_.out, depth_.window == 1 ? 1 : kColumnDepths);
  depth_outputs_ = ceil_div(depth_.out, depth_tiles_);
  depth_tiles_ = ceil_div(depth_.out, depth_outputs_);
  for (int64_t row = 0; row < rows_.tiles(); ++row) {
    for (int64_t col = 0; col < cols_.tiles(); ++col) plane_.push_back({row, col});
  }
}

std::vector<int64_t> WinogradTiles::taps() const {
  std::vector<int64_t> taps;
  for (int64_t run = 0; run < runs(); ++run) {
    const RunTaps present = run_taps(run);
    for (int i = 0; i < winograd_taps(kind_.vertical); ++i) {
      for (int j = 0; j < winograd_taps(kind_.horizontal); ++j) {
        const bool there = i < present.rows && j < present.cols;
        taps.push_back(there ? present.first + i * tap_row() + j * tap_col() : kNoTap);
      }
    }
  }
  return taps;
}

WinogradTiles::RunTaps WinogradTiles::run_taps(int64_t run) const {
  const int64_t depth = run / subs(), row = run % subs() / cols_.subs(), col = run % cols_.subs();
  return {(depth * rows_window_ + row) * cols_window_ + col,
          static_cast<int>(ceil_div(rows_window_ - row, rows_.subs())),
          static_cast<int>(ceil_div(cols_window_ - col, cols_.subs()))};
}

WinogradTiles::Place WinogradTiles::place_of(int64_t column) const {
  const int64_t rest = column / static_cast<int64_t>(plane_.size());
  const PlaneTile tile = tile_of(column);
  if (depth_tiles_ == 1) return {rest, 0, tile.row, tile.col};
  return {rest / depth_tiles_, rest % depth_tiles_ * depth_outputs_, tile.row, tile.col};
}

WinogradScatter WinogradTiles::input(const float* x, const ImageStrides& strides, int64_t column, int64_t slot,
                                     int64_t sub) const {
  const Place place = place_of(column);
  const int64_t depth = place.depth + slot - depth_.pad_before;
  const float* plane = x + place.image * strides.image + depth * strides.plane;
  WinogradScatter s =
      scatter_from(kind_, depth >= 0 && depth < depth_.in ? plane : nullptr, strides,
                   rows_.input(place.row, sub / cols_.subs()), cols_.input(place.col, sub % cols_.subs()));
  set_outputs(s, rows_, place.row, cols_, place.col);
  return s;
}

WinogradScatter WinogradTiles::gradient(const float* dy, const ImageStrides& strides, int64_t column,
                                        int64_t slot) const {
  const Place place = place_of(column);
  const float* plane = dy + place.image * strides.image + (place.depth + slot) * strides.plane;
  WinogradScatter s = scatter_from(kind_, is_output(place, slot) ? plane : nullptr, strides, rows_.output(place.row),
                                   cols_.output(place.col));
  set_outputs(s, rows_, place.row, cols_, place.col);
  return s;
}

bool WinogradTiles::place(WinogradGather& gather, float* y, const ImageStrides& strides, int64_t column,
                          int64_t slot) const {
  const Place place = place_of(column);
  if (!is_output(place, slot)) return false;
  float* plane = y + place.image * strides.image + (place.depth + slot) * strides.plane;
  gather.kind = kind_;
  set_outputs(gather, rows_, place.row, cols_, place.col);
  set_tile(gather, plane, strides, rows_.output(place.row), cols_.output(place.col));
  return true;
}

ColumnBlock::ColumnBlock(const WinogradTiles& tiles, WinogradKind kind, int64_t begin, int64_t count)
    : begin_(begin), count_(count), pitch_(winograd_points(kind.horizontal)) {
  const int row_points = winograd_points(kind.vertical), col_points = winograd_points(kind.horizontal);
  const bool cut_rows = tiles.rows().has_cut(), cut_cols = tiles.cols().has_cut();
  const int rows = cut_rows ? tiles.rows().cut_points() : row_points;
  const int cols = cut_cols ? tiles.cols().cut_points() : col_points;
  int64_t whole = 0, below = count, corner = count;  // where whole tiles begin, those cut off below, and on both sides
  if (cut_rows || cut_cols) {
    order_.reserve(static_cast<size_t>(count));
    const auto take = [&](bool row_cut, bool col_cut) {
      for (int64_t column = begin; column < begin + count; ++column) {
        if (tiles.row_is_cut(column) == row_cut && tiles.col_is_cut(column) == col_cut) order_.push_back(column);
      }
      return static_cast<int64_t>(order_.size());
    };
    whole = take(false, true);
    below = take(false, false);
    corner = take(true, false);
    take(true, true);
  }
  const auto add = [&](int row, int row_end, int col, int col_end, int64_t first, int64_t last) {
    if (row < row_end && col < col_end && first < last) {
      points_.push_back({row, row_end - row, col, col_end - col, first, last - first});
    }
  };
  add(0, rows, 0, cols, 0, count);
  add(0, rows, cols, col_points, whole, corner);
  add(rows, row_points, 0, cols, 0, below);
  add(rows, row_points, cols, col_points, whole, below);
}

ColumnBlock::Places ColumnBlock::places(int64_t point) const {
  const int64_t row = point / pitch_, col = point % pitch_;
  for (const Points& p : points_) {
    if (row >= p.row && row < p.row + p.rows && col >= p.col && col < p.col + p.cols) return {p.begin, p.count};
  }
  return {0, 0};
}

}  // namespace cnnfast
