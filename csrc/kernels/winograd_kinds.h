// What the Winograd kernels share: their transforms by kind, and the walk over a tile's channels.
#pragma once

#include "kernels/winograd.h"
#include "simd/winograd_axes.h"

namespace cnnfast::CNNFAST_ISA {

// Which of the two transforms of data: of the input, or of the outputs' gradient.
struct InputData {
  template <typename Axis>
  static constexpr int kSize = Axis::kPoints;
  template <typename Axis>
  CNNFAST_INLINE void transform(const Vec* d, Vec* v) {
    Axis::data(d, v);
  }
};
struct OutputGradient {
  template <typename Axis>
  static constexpr int kSize = Axis::kOutputs;
  template <typename Axis>
  CNNFAST_INLINE void transform(const Vec* d, Vec* v) {
    Axis::output_gradient(d, v);
  }
};

// Transforms a vector of channels of a tile: load(column, values) gives one of its columns.
template <typename Data, typename V, typename H, typename Load>
CNNFAST_INLINE void transform_vector(const WinogradScatter& s, float* panel, Load load_column) {
  constexpr int kRows = Data::template kSize<V>, kCols = Data::template kSize<H>;
  Vec half[V::kPoints][kCols];
  CNNFAST_UNROLL for (int j = 0; j < kCols; ++j) {
    Vec from[kRows], to[V::kPoints];
    load_column(j, from);
    Data::template transform<V>(from, to);
    CNNFAST_UNROLL for (int i = 0; i < V::kPoints; ++i) half[i][j] = to[i];
  }
  CNNFAST_UNROLL for (int i = 0; i < V::kPoints; ++i) {
    Vec to[H::kPoints];
    Data::template transform<H>(half[i], to);
    CNNFAST_UNROLL for (int j = 0; j < H::kPoints; ++j) store(panel + (i * H::kPitch + j) * s.point, to[j]);
  }
}

// The first half of the way back: every column of points to its rows of outputs.
template <typename V, typename H>
CNNFAST_INLINE void gather_rows(const WinogradGather& g, int64_t k, Vec (&half)[V::kOutputs][H::kPoints]) {
  CNNFAST_UNROLL for (int j = 0; j < H::kPoints; ++j) {
    Vec from[V::kPoints], to[V::kOutputs];
    CNNFAST_UNROLL for (int i = 0; i < V::kPoints; ++i) from[i] = load(g.from + (i * H::kPitch + j) * g.point + k);
    V::output(from, to);
    CNNFAST_UNROLL for (int i = 0; i < V::kOutputs; ++i) half[i][j] = to[i];
  }
}

// Calls body(V, H) with the axes that a kind names.
template <typename Axis, typename Body>
CNNFAST_INLINE void with_axis(WinogradKind kind, Body body) {
  if (kind.vertical == WinogradAxis::unit) {
    body(UnitAxis{}, Axis{});
  } else {
    body(Axis{}, Axis{});
  }
}

template <typename Body>
CNNFAST_INLINE void with_kind(WinogradKind kind, Body body) {
  switch (kind.horizontal) {
    case WinogradAxis::f4x3:
      with_axis<AxisF4x3<4>>(kind, body);
      break;
    case WinogradAxis::f2x3:
      with_axis<AxisF2x3>(kind, body);
      break;
    case WinogradAxis::f4x2:
      with_axis<AxisF4x2<4>>(kind, body);
      break;
    case WinogradAxis::f2x5:
      with_axis<AxisF2x5>(kind, body);
      break;
    case WinogradAxis::unit:
      break;
  }
}

// The same with those of a tile's outputs.
template <template <int> typename Axis, typename Body>
CNNFAST_INLINE void with_outputs(int outputs, Body body) {
  switch (outputs) {
    case 1:
      return body(Axis<1>{});
    case 2:
      return body(Axis<2>{});
    case 3:
      return body(Axis<3>{});
    default:
      return body(Axis<4>{});
  }
}

template <template <int> typename Axis, typename Tile, typename Body>
CNNFAST_INLINE void with_cut_axes(const Tile& tile, Body body) {
  with_outputs<Axis>(tile.tile_cols, [&](auto h) {
    if (tile.kind.vertical == WinogradAxis::unit) {
      body(UnitAxis{}, h);
    } else {
      with_outputs<Axis>(tile.tile_rows, [&](auto v) { body(v, h); });
    }
  });
}

template <typename Tile, typename Body>
CNNFAST_INLINE void with_tile(const Tile& tile, Body body) {
  switch (tile.kind.horizontal) {
    case WinogradAxis::f4x3:
      return with_cut_axes<AxisF4x3>(tile, body);
    case WinogradAxis::f4x2:
      return with_cut_axes<AxisF4x2>(tile, body);
    default:
      return with_kind(tile.kind, body);
  }
}

}  // namespace cnnfast::CNNFAST_ISA
