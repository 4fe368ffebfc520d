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

  // Calls body(first, last) for ranges of the pieces of all lines, in parallel; a position costs `work_per_position`.
  template <typename Body>
  void run_ranges(int64_t lines, double work_per_position, Body body) const {
    const double work = static_cast<double>(lines) * static_cast<double>(length) * work_per_position;
    const double per_piece = static_cast<double>(piece) * work_per_position;
    const int64_t grain = static_cast<int64_t>(std::max(1.0, 16384.0 / per_piece));
    parallel_ranges(lines * pieces, grain, work, body);
  }

  // Calls body(line, begin, end) for every piece.
  template <typename Body>
  void run(int64_t lines, double work_per_position, Body body) const {
    run_ranges(lines, work_per_position, [&](int64_t first, int64_t last) {
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

// The winners from the `count`-th on; null where none are kept.
inline const void* winners_at(const void* winners, WinnerType type, int64_t count) {
  if (winners == nullptr) return nullptr;
  return static_cast<const char*>(winners) + count * (type == WinnerType::byte ? 1 : 4);
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

// The rows of x that pooled rows [begin, end) are made of, and at most how many `pooled_rows` of them are.
inline PoolSpan rows_under(const Axis& height, int64_t begin, int64_t end) {
  const int64_t first = begin * height.stride - height.pad_before;
  const int64_t last = (end - 1) * height.stride - height.pad_before + height.reach();
  return {std::max<int64_t>(0, first), std::min(height.in, last)};
}

inline int64_t rows_under_at_most(const Axis& height, int64_t pooled_rows) {
  return std::min(height.in, (pooled_rows - 1) * height.stride + height.reach());
}

// Whether windows are solid and no two of them share an input along the axis.
inline bool windows_apart(const Axis& axis) {
  return axis.window == 1 || (axis.dilation == 1 && axis.window <= axis.stride);
}

inline bool windows_apart(const PoolShape& shape) {
  return windows_apart(shape.depth()) && windows_apart(shape.height()) && windows_apart(shape.width());
}

// The outputs whose windows hold each input of an axis, with its tap there: looked up, because a row of few channels
// takes no longer than a handful of divisions.
class OutputsOf {
 public:
  explicit OutputsOf(const Axis& axis) {
    ends_.reserve(static_cast<size_t>(axis.in));
    for (int64_t i = 0; i < axis.in; ++i) {
      for_each_output_of(axis, i, [&](int64_t output, int64_t tap) { entries_.push_back({output, tap}); });
      ends_.push_back(static_cast<int64_t>(entries_.size()));
    }
  }

  // Calls visit(output, tap) in ascending order of outputs.
  template <typename Visit>
  void for_each(int64_t input, Visit visit) const {
    const auto at = static_cast<size_t>(input);
    const auto begin = static_cast<size_t>(at == 0 ? 0 : ends_[at - 1]), end = static_cast<size_t>(ends_[at]);
    for (size_t i = begin; i < end; ++i) visit(entries_[i].output, entries_[i].tap);
  }

 private:
  struct Entry {
    int64_t output, tap;
  };
  std::vector<int64_t> ends_;
  std::vector<Entry> entries_;
};

// The inputs [begin, end) of a row of dx.
inline PoolGradientRow gradient_row(const PoolShape& shape, int64_t begin, int64_t end, bool accumulate,
                                    const PoolSpread* across) {
  const Axis& w = shape.width();
  const auto quotient_up = [&](int64_t a) { return a <= 0 ? 0 : (a + w.stride - 1) / w.stride; };
  const int64_t first = quotient_up(begin + w.pad_before - w.reach() + 1);
  const PoolSpan reaching{first, std::max(first, std::min(w.out, (end - 1 + w.pad_before) / w.stride + 1))};
  const int64_t first_whole = std::clamp(quotient_up(begin + w.pad_before), reaching.begin, reaching.end);
  const int64_t room = end - w.reach() + w.pad_before;
  const int64_t end_whole = std::min(reaching.end, room < 0 ? 0 : room / w.stride + 1);
  const PoolSpan whole{first_whole, std::max(first_whole, end_whole)};
  return {shape.channels, shape.pool_width(), begin, end, reaching, whole, accumulate, across};
}

// dx row by row: every output row whose windows reach a row of dx adds to it while it is in cache. Where windows keep
// `apart`, each value is written once and never read. Calls spread(gradient row, output row, its depth and height,
// where it begins in dy, the row of dx). `across` may be null.
template <typename Spread>
void backward_by_rows(const PoolShape& shape, bool apart, const PoolSpread* across, float* dx, Spread spread) {
  const Axis &depth = shape.depth(), &height = shape.height(), &width = shape.width();
  const OutputsOf depths(depth), heights(height);
  const double strides =
      static_cast<double>(depth.stride) * static_cast<double>(height.stride) * static_cast<double>(width.stride);
  const double work_per_position =
      static_cast<double>(shape.channels) * (1 + 2 * static_cast<double>(shape.taps()) / strides);
  const RowPieces pieces(width.in, shape.channels);
  const int64_t lines = shape.images * depth.in * height.in, values = shape.images * shape.out_image();
  pieces.run_ranges(lines, work_per_position, [&](int64_t first, int64_t last) {
    int64_t line = first / pieces.pieces, piece = first % pieces.pieces;
    int64_t h = line % height.in, d = line / height.in % depth.in, image = line / (height.in * depth.in);
    PoolGradientRow r{};
    for (int64_t i = first; i < last; ++i) {
      if (i == first || pieces.pieces > 1) {
        const int64_t begin = piece * pieces.piece;
        r = gradient_row(shape, begin, std::min(width.in, begin + pieces.piece), !apart, across);
      }
      float* row = dx + line * shape.row();
      const auto clear = [&] { std::fill(row + r.begin * shape.channels, row + r.end * shape.channels, 0.0f); };
      bool touched = false;
      if (!apart) clear();
      depths.for_each(d, [&](int64_t out_depth, int64_t depth_tap) {
        heights.for_each(h, [&](int64_t out_height, int64_t height_tap) {
          const int64_t from = ((image * depth.out + out_depth) * height.out + out_height) * shape.out_row();
          const int64_t first_tap = (depth_tap * height.window + height_tap) * width.window;
          spread(r, PoolOutputRow{first_tap, values - from}, out_depth, out_height, from, row);
          touched = true;
        });
      });
      if (apart && !touched) clear();
      if (++piece < pieces.pieces) continue;
      piece = 0;
      ++line;
      if (++h < height.in) continue;
      h = 0;
      if (++d < depth.in) continue;
      d = 0;
      ++image;
    }
  });
}

}  // namespace cnnfast
