// Winograd transforms of tiles and of weights, in one and two dimensions.
#include "kernels/bent.h"
#include "kernels/winograd_kinds.h"

namespace cnnfast::CNNFAST_ISA {
namespace {

template <typename Data, typename V, typename H>
void scatter(const WinogradScatter& s) {
  constexpr int kRows = Data::template kSize<V>, kCols = Data::template kSize<H>;
  const float* pixel[kRows][kCols];
  for (int i = 0; i < kRows; ++i) {
    for (int j = 0; j < kCols; ++j) {
      const int64_t row = s.row + i, col = s.col + j;
      const bool inside = row >= 0 && row < s.rows && col >= 0 && col < s.cols;
      pixel[i][j] = inside ? s.image + row * s.row_stride + col * s.pixel_stride : s.zeros;
    }
  }
  int column = 0;
  float* panel = s.to;
  for_each_vector(s.channels, [&](int64_t c, int lanes) {
    if (column == s.panel) {
      column = 0;
      panel += s.panel_stride;
    }
    transform_vector<Data, V, H>(s, panel + column, [&](int j, Vec* from) CNNFAST_INLINE_LAMBDA {
      CNNFAST_UNROLL for (int i = 0; i < kRows; ++i) from[i] = load_lanes(pixel[i][j] + c, lanes);
    });
    column += kLanes;
  });
}

template <typename V, typename H>
void gather(const WinogradGather& g) {
  const int64_t rows = g.rows - g.row, cols = g.cols - g.col;  // of the tile inside the image
  for_each_vector(g.channels, [&](int64_t k, int lanes) {
    const Vec bias = g.bias != nullptr ? load_lanes(g.bias + k, lanes) : zero();
    Vec half[V::kOutputs][H::kPoints];
    gather_rows<V, H>(g, k, half);
    CNNFAST_UNROLL for (int i = 0; i < V::kOutputs; ++i) {
      if (i >= rows) break;
      Vec to[H::kOutputs];
      H::output(half[i], to);
      float* row = g.image + (g.row + i) * g.row_stride + g.col * g.pixel_stride + k;
      CNNFAST_UNROLL for (int j = 0; j < H::kOutputs; ++j) {
        if (j < cols) store_lanes(row + j * g.pixel_stride, bend(g.activation, g.alpha, to[j] + bias), lanes);
      }
    }
  });
}

template <typename V, typename H>
void weights(const WinogradWeights& w) {
  for (int64_t e = 0; e < w.floats; e += kLanes) {
    Vec half[V::kPoints][H::kTaps];
    CNNFAST_UNROLL for (int j = 0; j < H::kTaps; ++j) {
      Vec from[V::kTaps], to[V::kPoints];
      CNNFAST_UNROLL for (int i = 0; i < V::kTaps; ++i) from[i] = load(w.from + (i * H::kTaps + j) * w.tap + e);
      V::weights(from, to);
      CNNFAST_UNROLL for (int i = 0; i < V::kPoints; ++i) half[i][j] = to[i];
    }
    CNNFAST_UNROLL for (int i = 0; i < V::kPoints; ++i) {
      Vec to[H::kPoints];
      H::weights(half[i], to);
      CNNFAST_UNROLL for (int j = 0; j < H::kPoints; ++j) store(w.to + (i * H::kPoints + j) * w.point + e, to[j]);
    }
  }
}

template <typename V, typename H>
void weights_gradient(const WinogradWeightsGradient& w) {
  for (int64_t r = 0; r < w.rows; ++r) {
    for_each_vector(w.channels, [&](int64_t k, int lanes) {
      const float* from = w.from + r * w.width + k;
      Vec half[V::kTaps][H::kPoints];
      CNNFAST_UNROLL for (int j = 0; j < H::kPoints; ++j) {
        Vec point[V::kPoints], to[V::kTaps];
        CNNFAST_UNROLL for (int i = 0; i < V::kPoints; ++i) point[i] = load(from + (i * H::kPoints + j) * w.point);
        V::weights_gradient(point, to);
        CNNFAST_UNROLL for (int i = 0; i < V::kTaps; ++i) half[i][j] = to[i];
      }
      CNNFAST_UNROLL for (int i = 0; i < V::kTaps; ++i) {
        if (i >= w.tap_rows) break;
        Vec to[H::kTaps];
        H::weights_gradient(half[i], to);
        CNNFAST_UNROLL for (int j = 0; j < H::kTaps; ++j) {
          if (j < w.tap_cols) store_lanes(w.dw + i * w.tap_row + j * w.tap_col + r * w.row + k, to[j], lanes);
        }
      }
    });
  }
}

}  // namespace

void winograd_input(const WinogradScatter& s) {
  with_tile(s, [&](auto v, auto h) { scatter<InputData, decltype(v), decltype(h)>(s); });
}

void winograd_output_gradient(const WinogradScatter& s) {
  with_tile(s, [&](auto v, auto h) { scatter<OutputGradient, decltype(v), decltype(h)>(s); });
}

void winograd_output(const WinogradGather& g) {
  with_tile(g, [&](auto v, auto h) { gather<decltype(v), decltype(h)>(g); });
}

void winograd_weights(const WinogradWeights& w) {
  with_kind(w.kind, [&](auto v, auto h) { weights<decltype(v), decltype(h)>(w); });
}

void winograd_weights_gradient(const WinogradWeightsGradient& w) {
  with_kind(w.kind, [&](auto v, auto h) { weights_gradient<decltype(v), decltype(h)>(w); });
}

}  // namespace cnnfast::CNNFAST_ISA
