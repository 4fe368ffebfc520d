// How the rows of a pooling are handed out: what the max and the average share.
#pragma once

#include <cstdint>
#include <vector>

#include "dispatch.h"
#include "ops/pool_shape.h"
#include "runtime/parallel.h"

namespace cnnfast {

// Long rows are cut into pieces of at most this many floats, so that one long signal keeps every thread busy too.
constexpr int64_t kPieceFloats = 16384;

// `lines` rows of `length` positions each, cut into pieces.
struct RowPieces {
  int64_t length;
  int64_t piece;
  int64_t pieces;

  RowPieces(int64_t positions, int64_t channels)
      : length(positions),
        piece(std::min(positions, std::max<int64_t>(1, kPieceFloats / channels))),
        pieces((positions + piece - 1) / piece) {}

  // Calls body(line, begin, end) for all, in parallel; `floats_per_position` is what one costs.
  template <typename Body>
  void run(int64_t lines, double work_per_position, Body body) const {
    const double work = static_cast<double>(lines) * static_cast<double>(length) * work_per_position;
    const double per_piece = static_cast<double>(piece) * work_per_position;
    const int64_t grain = static_cast<int64_t>(std::max(1.0, 16384.0 / per_piece));
    parallel_ranges(lines * pieces, grain, work, [&](int64_t first, int64_t last) {
      for (int64_t i = first; i < last; ++i) {
        const int64_t begin = i % pieces * piece;
        body(i / pieces, begin, std::min(length, begin + piece));
      }
    });
  }
};

// Places of a row's outputs in x for the kernels that run across pixels; empty where the channels fill vectors.
inline std::vector<int32_t> offsets_across(const PoolShape& shape) {
  std::vector<int32_t> offsets;
  const Axis& width = shape.width();
  const bool narrow = shape.channels < kernels().limits.lanes;
  if (!narrow || width.stride > (int64_t{1} << 31) / 4 / kPieceFloats) return offsets;
  const int64_t positions = RowPieces(width.out, shape.channels).piece;
  offsets.reserve(static_cast<size_t>(positions * shape.channels));
  for (int64_t o = 0; o < positions; ++o) {
    for (int64_t c = 0; c < shape.channels; ++c) {
      offsets.push_back(static_cast<int32_t>(o * width.stride * shape.channels + c));
    }
  }
  return offsets;
}

// The windows of the outputs [begin, end) in output row `line` (an image's depths and heights, images first).
inline PoolRow pool_row(const PoolShape& shape, int64_t line, int64_t begin, int64_t end,
                        const std::vector<int32_t>& offsets) {
  const int64_t h = line % shape.height().out, d = line / shape.height().out % shape.depth().out;
  return {taps_inside(shape.depth(), d),
          taps_inside(shape.height(), h),
          shape.depth().window,
          shape.height().window,
          shape.plane(),
          shape.row(),
          shape.channels,
          shape.pool_width(),
          begin,
          end,
          offsets.empty() ? nullptr : offsets.data()};
}

// Whether windows are solid and no two of them share an input along the axis.
inline bool windows_apart(const Axis& axis) {
  return axis.window == 1 || (axis.dilation == 1 && axis.window <= axis.stride);
}

inline bool windows_apart(const PoolShape& shape) {
  return windows_apart(shape.depth()) && windows_apart(shape.height()) && windows_apart(shape.width());
}

// dx row by row: every output row whose windows reach a row of dx adds to it while it is in cache. Where windows keep
// `apart`, each value is written once and never read. Calls spread(gradient row, its output depth and height, where the
// output row begins in dy, the row of dx).
template <typename Spread>
void backward_by_rows(const PoolShape& shape, bool apart, float* dx, Spread spread) {
  const Axis &depth = shape.depth(), &height = shape.height(), &width = shape.width();
  const double strides =
      static_cast<double>(depth.stride) * static_cast<double>(height.stride) * static_cast<double>(width.stride);
  const double work_per_position =
      static_cast<double>(shape.channels) * (1 + 2 * static_cast<double>(shape.taps()) / strides);
  const RowPieces pieces(width.in, shape.channels);
  pieces.run(shape.images * depth.in * height.in, work_per_position, [&](int64_t line, int64_t begin, int64_t end) {
    const int64_t h = line % height.in, d = line / height.in % depth.in, image = line / (height.in * depth.in);
    float* row = dx + line * shape.row();
    const auto clear = [&] { std::fill(row + begin * shape.channels, row + end * shape.channels, 0.0f); };
    bool touched = false;
    if (!apart) clear();
    for_each_output_of(depth, d, [&](int64_t out_depth, int64_t depth_tap) {
      for_each_output_of(height, h, [&](int64_t out_height, int64_t height_tap) {
        const int64_t from = ((image * depth.out + out_depth) * height.out + out_height) * shape.out_row();
        const int64_t first_tap = (depth_tap * height.window + height_tap) * width.window;
        spread(PoolGradientRow{shape.channels, shape.pool_width(), begin, end, first_tap, !apart}, out_depth,
               out_height, from, row);
        touched = true;
      });
    });
    if (apart && !touched) clear();
  });
}

}  // namespace cnnfast
