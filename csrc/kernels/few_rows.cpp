// Products of a few rows with a matrix that is read in place.
#include "kernels/few_rows.h"

#include "simd/transpose.h"
#include "simd/vec.h"

namespace cnnfast::CNNFAST_ISA {
namespace {

// So many rows of the matrix are passed over at a time: their pages stay in reach while the columns go by.
constexpr int64_t kBand = 128;

template <int Rows>
constexpr int column_vectors() {
  return kAccumulators / Rows < 8 ? kAccumulators / Rows : 8;
}

// `Vectors` vectors of columns, the last of `lanes` lanes, over the matrix rows [begin, end).
template <int Rows, int Vectors>
CNNFAST_INLINE void add_products(const FewRowsForward& f, int row, int64_t column, int lanes, int64_t begin,
                                 int64_t end) {
  const auto lanes_of = [lanes](int v) CNNFAST_INLINE_LAMBDA { return v + 1 < Vectors ? kLanes : lanes; };
  Vec acc[Rows][Vectors];
  float* y = f.y + row * f.y_row + column;
  CNNFAST_UNROLL for (int v = 0; v < Vectors; ++v) {
    CNNFAST_UNROLL for (int r = 0; r < Rows; ++r) {
      const float* from = begin > 0 ? y + r * f.y_row : f.bias == nullptr ? nullptr : f.bias + column;
      acc[r][v] = from == nullptr ? zero() : load_lanes(from + v * kLanes, lanes_of(v));
    }
  }
  const float* x = f.x + row * f.in;
  for (int64_t e = begin; e < end; ++e) {
    const float* w = f.w + e * f.w_row + column;
    Vec weights[Vectors];
    CNNFAST_UNROLL for (int v = 0; v < Vectors; ++v) weights[v] = load_lanes(w + v * kLanes, lanes_of(v));
    CNNFAST_UNROLL for (int r = 0; r < Rows; ++r) {
      const Vec value = broadcast(x[r * f.in + e]);
      CNNFAST_UNROLL for (int v = 0; v < Vectors; ++v) acc[r][v] = fma(value, weights[v], acc[r][v]);
    }
  }
  CNNFAST_UNROLL for (int v = 0; v < Vectors; ++v) {
    CNNFAST_UNROLL for (int r = 0; r < Rows; ++r) { store_lanes(y + r * f.y_row + v * kLanes, acc[r][v], lanes_of(v)); }
  }
}

// The columns that are left, fewer than a whole block of them.
template <int Rows, int Vectors>
CNNFAST_INLINE void add_last_products(const FewRowsForward& f, int row, int64_t column, int64_t begin, int64_t end) {
  const int64_t before_last = f.columns - column - int64_t{Vectors - 1} * kLanes;
  if (before_last > 0) {
    add_products<Rows, Vectors>(f, row, column, static_cast<int>(before_last), begin, end);
  } else if constexpr (Vectors > 1) {
    add_last_products<Rows, Vectors - 1>(f, row, column, begin, end);
  }
}

template <int Rows>
void add_band(const FewRowsForward& f, int row, int64_t begin, int64_t end) {
  constexpr int kVectors = column_vectors<Rows>();
  int64_t column = 0;
  for (; column + kVectors * kLanes <= f.columns; column += kVectors * kLanes) {
    add_products<Rows, kVectors>(f, row, column, kLanes, begin, end);
  }
  add_last_products<Rows, kVectors>(f, row, column, begin, end);
}

template <int Rows>
void multiply_by_rows(const FewRowsBackwardWeights& b) {
  for (int64_t i = 0; i < b.count; ++i) {
    Vec x[Rows];
    CNNFAST_UNROLL for (int r = 0; r < Rows; ++r) x[r] = broadcast(b.x[r * b.x_row + i]);
    float* dw = b.dw + i * b.out;
    for_each_vector(b.out, [&](int64_t k, int lanes) CNNFAST_INLINE_LAMBDA {
      Vec total = x[0] * load_lanes(b.dy + k, lanes);
      CNNFAST_UNROLL for (int r = 1; r < Rows; ++r) total = fma(x[r], load_lanes(b.dy + r * b.out + k, lanes), total);
      store_lanes(dw + k, total, lanes);
    });
  }
}

}  // namespace

void few_rows_forward(const FewRowsForward& f) {
  int64_t begin = 0;
  do {
    const int64_t end = begin + kBand < f.in ? begin + kBand : f.in;
    int row = 0;
    for (; row + 4 <= f.rows; row += 4) add_band<4>(f, row, begin, end);
    if (row + 2 <= f.rows) {
      add_band<2>(f, row, begin, end);
      row += 2;
    }
    if (row < f.rows) add_band<1>(f, row, begin, end);
    begin = end;
  } while (begin < f.in);
}

// One dot product in each accumulator: rows of the matrix are read along, and the lanes added up at the end.
void few_rows_backward_data(const FewRowsBackwardData& b) {
  for_each_vector(b.count, [&](int64_t i, int lanes) CNNFAST_INLINE_LAMBDA {
    const float* w[kLanes];
    CNNFAST_UNROLL for (int j = 0; j < kLanes; ++j) w[j] = b.w + (i + (j < lanes ? j : 0)) * b.out;
    for (int r = 0; r < b.rows; ++r) {
      const float* dy = b.dy + r * b.out;
      Vec acc[kLanes] = {};
      for_each_vector(b.out, [&](int64_t k, int out_lanes) CNNFAST_INLINE_LAMBDA {
        const Vec d = load_lanes(dy + k, out_lanes);
        CNNFAST_UNROLL for (int j = 0; j < kLanes; ++j) acc[j] = fma(load_lanes(w[j] + k, out_lanes), d, acc[j]);
      });
      Vec total = sum_each(acc);
      if (b.bias != nullptr) total += load_lanes(b.bias + i, lanes);
      store_lanes(b.dx + r * b.dx_row + i, total, lanes);
    }
  });
}

void few_rows_backward_weights(const FewRowsBackwardWeights& b) {
  using Function = void (*)(const FewRowsBackwardWeights&);
  constexpr Function kByRows[kMostFewRows] = {&multiply_by_rows<1>, &multiply_by_rows<2>, &multiply_by_rows<3>,
                                              &multiply_by_rows<4>, &multiply_by_rows<5>, &multiply_by_rows<6>,
                                              &multiply_by_rows<7>, &multiply_by_rows<8>};
  kByRows[b.rows - 1](b);
}

}  // namespace cnnfast::CNNFAST_ISA
