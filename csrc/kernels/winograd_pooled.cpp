// Winograd's ends where a max pooling follows the convolution: tiles are pooled before they are written, and read from
// the gradient behind the pooling. Neither the convolution's output nor its gradient lies in memory.
#include "kernels/bent.h"
#include "kernels/winograd_kinds.h"

namespace cnnfast::CNNFAST_ISA {
namespace {

// A window's size along an axis.
template <typename Axis>
constexpr int kWindow = 2;
template <>
constexpr int kWindow<UnitAxis> = 1;

// The maximum of a window and its tap, with the same rules as in max_pool.cpp. What lies outside the image is -inf.
template <int kTaps>
CNNFAST_INLINE void maximum(const Vec* values, Vec& best, IntVec& winner) {
  best = values[0];
  winner = IntVec{};
  IntVec odd = is_nan(values[0]);
  CNNFAST_UNROLL for (int t = 1; t < kTaps; ++t) {
    winner = select_int(values[t] > best, broadcast_int(t), winner);
    best = max(values[t], best);
    odd |= is_nan(values[t]);
  }
  if (__builtin_expect(!any(odd), 1)) return;
  best = values[0];
  winner = IntVec{};
  CNNFAST_UNROLL for (int t = 1; t < kTaps; ++t) {
    const IntVec better = ~(values[t] <= best) & ~is_nan(best);
    best = select(better, values[t], best);
    winner = select_int(better, broadcast_int(t), winner);
  }
}

template <typename V, typename H>
void gather(const WinogradGather& g, const WinogradPooledOutput& p) {
  constexpr int kTall = kWindow<V>, kTaps = kTall * 2, kWide = (H::kOutputs + 1) / 2;
  const int64_t rows = g.rows - g.row, cols = g.cols - g.col;  // of the tile inside the image
  const int64_t first_row = g.row / kTall, first_col = g.col / 2;
  const int64_t pooled_rows = p.rows - first_row, pooled_cols = p.cols - first_col;
  const int64_t corner = first_row * g.row_stride + first_col * g.pixel_stride;
  for (int64_t k = 0; k < g.channels; k += kLanes) {
    const int lanes = g.channels - k < kLanes ? static_cast<int>(g.channels - k) : kLanes;
    const Vec bias = g.bias != nullptr ? load_lanes(g.bias + k, lanes) : zero();
    Vec half[V::kOutputs][H::kPoints];
    gather_rows<V, H>(g, k, half);
    CNNFAST_UNROLL for (int i = 0; i < (V::kOutputs + kTall - 1) / kTall; ++i) {
      if (i >= pooled_rows) break;
      Vec values[kWide][kTaps];
      CNNFAST_UNROLL for (int j = 0; j < kWide; ++j) {
        CNNFAST_UNROLL for (int t = 0; t < kTaps; ++t) values[j][t] = broadcast(-__builtin_inff());
      }
      CNNFAST_UNROLL for (int r = 0; r < kTall; ++r) {
        if (i * kTall + r >= V::kOutputs || i * kTall + r >= rows) break;
        Vec to[H::kOutputs];
        H::output(half[i * kTall + r], to);
        CNNFAST_UNROLL for (int j = 0; j < H::kOutputs; ++j) {
          if (j < cols) values[j / 2][r * 2 + j % 2] = bend(g.activation, g.alpha, to[j] + bias);
        }
      }
      const int64_t row = corner + i * g.row_stride + k;
      CNNFAST_UNROLL for (int j = 0; j < kWide; ++j) {
        if (j >= pooled_cols) break;
        Vec best;
        IntVec winner;
        maximum<kTaps>(values[j], best, winner);
        store_lanes(g.image + row + j * g.pixel_stride, best, lanes);
        if (p.winners != nullptr) store_bytes(p.winners + row + j * g.pixel_stride, winner, lanes);
      }
    }
  }
}

// The last few channels of a window, and zeros behind them.
__attribute__((noinline)) void copy_last(const float* value, const uint8_t* winner, int lanes, float* to_value,
                                         uint8_t* to_winner) {
  store(to_value, load_partial(value, lanes));
  for (int i = 0; i < kLanes; ++i) to_winner[i] = i < lanes ? winner[i] : 0;
}

// kOdd: the tile's first row and column are the second ones of their windows.
template <typename Data, typename V, typename H, bool kOdd>
void scatter(const WinogradScatter& s, const uint8_t* winners) {
  constexpr int kRows = Data::template kSize<V>, kCols = Data::template kSize<H>;
  constexpr int kTall = kWindow<V>, kOddRow = kTall == 2 && kOdd, kOddCol = kOdd;
  constexpr int kWindowRows = (kRows + kOddRow - 1) / kTall + 1, kWindowCols = (kCols + kOddCol - 1) / 2 + 1;
  const float* value[kWindowRows][kWindowCols];
  const uint8_t* winner[kWindowRows][kWindowCols];
  for (int i = 0; i < kWindowRows; ++i) {
    for (int j = 0; j < kWindowCols; ++j) {
      const int64_t row = (s.row - kOddRow) / kTall + i, col = (s.col - kOddCol) / 2 + j;
      const bool inside = row >= 0 && row < s.rows && col >= 0 && col < s.cols;
      const int64_t place = row * s.row_stride + col * s.pixel_stride;
      value[i][j] = inside ? s.image + place : s.zeros;
      winner[i][j] = inside ? winners + place : reinterpret_cast<const uint8_t*>(s.zeros);
    }
  }
  float last_value[kWindowRows][kWindowCols][kLanes];
  uint8_t last_winner[kWindowRows][kWindowCols][kLanes];
  int column = 0;
  float* panel = s.to;
  for (int64_t c = 0; c < s.channels; c += kLanes) {
    if (column == s.panel) {
      column = 0;
      panel += s.panel_stride;
    }
    int64_t at = c;
    if (s.channels - c < kLanes) {  // copied, so that the code below is there just once
      at = 0;
      for (int i = 0; i < kWindowRows; ++i) {
        for (int j = 0; j < kWindowCols; ++j) {
          copy_last(value[i][j] + c, winner[i][j] + c, static_cast<int>(s.channels - c), last_value[i][j],
                    last_winner[i][j]);
          value[i][j] = last_value[i][j];
          winner[i][j] = last_winner[i][j];
        }
      }
    }
    transform_vector<Data, V, H>(s, panel + column, [&](int j, Vec* from) CNNFAST_INLINE_LAMBDA {
      const int window_col = (j + kOddCol) / 2, tap_col = (j + kOddCol) % 2;
      CNNFAST_UNROLL for (int i = 0; i < kRows; ++i) {
        const int window_row = (i + kOddRow) / kTall, tap = (i + kOddRow) % kTall * 2 + tap_col;
        const IntVec won = load_bytes(winner[window_row][window_col] + at, kLanes) == broadcast_int(tap);
        from[i] = select(won, load(value[window_row][window_col] + at), zero());
      }
    });
    column += kLanes;
  }
}

template <typename Data, typename V, typename H>
void scatter(const WinogradScatter& s, const uint8_t* winners) {
  if (s.col % 2 != 0) {
    scatter<Data, V, H, true>(s, winners);
  } else {
    scatter<Data, V, H, false>(s, winners);
  }
}

}  // namespace

void winograd_pooled_input(const WinogradScatter& s, const uint8_t* winners) {
  with_tile(s, [&](auto v, auto h) { scatter<InputData, decltype(v), decltype(h)>(s, winners); });
}

void winograd_pooled_output_gradient(const WinogradScatter& s, const uint8_t* winners) {
  with_tile(s, [&](auto v, auto h) { scatter<OutputGradient, decltype(v), decltype(h), false>(s, winners); });
}

void winograd_pooled_output(const WinogradGather& g, const WinogradPooledOutput& p) {
  with_tile(g, [&](auto v, auto h) { gather<decltype(v), decltype(h)>(g, p); });
}

}  // namespace cnnfast::CNNFAST_ISA
