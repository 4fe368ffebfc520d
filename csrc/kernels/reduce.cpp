// Column sums and batch normalisation: one walk over contiguous memory each, whatever the number of channels.
#include "kernels/reduce.h"

#include "kernels/bent.h"
#include "simd/vec.h"

namespace cnnfast::CNNFAST_ISA {
namespace {

constexpr int kVectorsAtOnce = 4;
// The tile's largest width: what columns_of in ops/reduce.cpp makes of narrow rows.
constexpr int64_t kTileLimit = 4 * kLanes * kLanes + 16 * kLanes;

CNNFAST_INLINE int64_t tile_width(const Columns& columns) { return columns.count * columns.repeat; }

// Calls term(place in the matrix, place in the row, lanes, sums) down `kVectors` vectors of columns from `column` on.
template <int kVectors, int kSums, typename Term>
CNNFAST_INLINE void sum_block(int64_t whole_rows, int64_t rest, int64_t width, int64_t column, int lanes,
                              float* const (&sums)[kSums], Term term) {
  Vec total[kVectors][kSums] = {};
  int64_t row = column;
  for (int64_t r = 0; r < whole_rows; ++r, row += width) {
    CNNFAST_UNROLL for (int v = 0; v < kVectors; ++v) {
      term(row + v * kLanes, column + v * kLanes, kVectors > 1 ? kLanes : lanes, total[v]);
    }
  }
  CNNFAST_UNROLL for (int v = 0; v < kVectors; ++v) {
    const int64_t left = rest - column - v * kLanes;
    if (left > 0) term(row + v * kLanes, column + v * kLanes, left < lanes ? static_cast<int>(left) : lanes, total[v]);
    CNNFAST_UNROLL for (int s = 0; s < kSums; ++s) store_lanes(sums[s] + column + v * kLanes, total[v][s], lanes);
  }
}

// Adds the `repeat` parts of a tile up into one: halves while they are even, as a tree.
CNNFAST_INLINE void fold_tile(const Columns& columns, float* tile, float* sums) {
  int64_t repeat = columns.repeat;
  for (; repeat % 2 == 0; repeat /= 2) {
    const int64_t half = repeat / 2 * columns.count;
    for_each_vector(half, [&](int64_t i, int lanes) {
      store_lanes(tile + i, load_lanes(tile + i, lanes) + load_lanes(tile + half + i, lanes), lanes);
    });
  }
  for_each_vector(columns.count, [&](int64_t i, int lanes) {
    Vec total = load_lanes(tile + i, lanes);
    for (int64_t part = 1; part < repeat; ++part) total += load_lanes(tile + part * columns.count + i, lanes);
    store_lanes(sums + i, total, lanes);
  });
}

// The sums of `term` down every column of `rows` rows.
template <int kSums, typename Term>
CNNFAST_INLINE void sum_columns(const Columns& columns, int64_t rows, float* const (&sums)[kSums], Term term) {
  float tile[kSums][kTileLimit];
  const bool tiled = columns.repeat > 1;
  float* into[kSums];
  for (int s = 0; s < kSums; ++s) into[s] = tiled ? tile[s] : sums[s];
  const int64_t width = tile_width(columns), whole_rows = rows / columns.repeat,
                rest = rows % columns.repeat * columns.count;
  int64_t column = 0;
  for (; column + kVectorsAtOnce * kLanes <= width; column += kVectorsAtOnce * kLanes) {
    sum_block<kVectorsAtOnce>(whole_rows, rest, width, column, kLanes, into, term);
  }
  for (; column + kLanes <= width; column += kLanes) sum_block<1>(whole_rows, rest, width, column, kLanes, into, term);
  if (column < width) sum_block<1>(whole_rows, rest, width, column, static_cast<int>(width - column), into, term);
  if (!tiled) return;
  for (int s = 0; s < kSums; ++s) fold_tile(columns, tile[s], sums[s]);
}

CNNFAST_INLINE Vec normalized(const Normalizer& n, int64_t place, int lanes, Vec centered) {
  return fma(centered, load_lanes(n.scale + place, lanes), load_lanes(n.shift + place, lanes));
}

// Calls body(place in the array, place in the tile, lanes) over `count` values that begin at a tile's beginning.
template <typename Body>
CNNFAST_INLINE void for_each_tile(int64_t width, int64_t count, Body body) {
  for (int64_t begin = 0; begin < count; begin += width) {
    const int64_t length = count - begin < width ? count - begin : width;
    for_each_vector(length, [&](int64_t i, int lanes) { body(begin + i, i, lanes); });
  }
}

}  // namespace

void column_sums(Columns columns, const float* x, int64_t rows, float* sums) {
  float* const into[1] = {sums};
  sum_columns<1>(columns, rows, into,
                 [&](int64_t place, int64_t, int lanes, Vec(&total)[1]) { total[0] += load_lanes(x + place, lanes); });
}

void column_moments(Columns columns, const float* x, int64_t rows, float* mean, float* m2) {
  column_sums(columns, x, rows, mean);
  const Vec share = broadcast(1.0f / static_cast<float>(rows));
  for_each_vector(columns.count,
                  [&](int64_t i, int lanes) { store_lanes(mean + i, load_lanes(mean + i, lanes) * share, lanes); });
  float tile[kTileLimit];
  const float* center = mean;
  if (columns.repeat > 1) {
    for (int64_t i = 0; i < tile_width(columns); ++i) tile[i] = i < columns.count ? mean[i] : tile[i - columns.count];
    center = tile;
  }
  float* const into[1] = {m2};
  sum_columns<1>(columns, rows, into, [&](int64_t place, int64_t column, int lanes, Vec(&total)[1]) {
    const Vec d = load_lanes(x + place, lanes) - load_lanes(center + column, lanes);
    total[0] = fma(d, d, total[0]);
  });
}

void activation_gradient_sums(Columns columns, Activation kind, float alpha, const float* y, const float* dy,
                              int64_t rows, float* dz, float* sums) {
  float* const into[1] = {sums};
  for_bend(kind, [=](auto bend) CNNFAST_INLINE_LAMBDA {
    sum_columns<1>(columns, rows, into, [=](int64_t place, int64_t, int lanes, Vec(&total)[1]) CNNFAST_INLINE_LAMBDA {
      const Vec d = gradient_before_bend(bend.kind, alpha, load_lanes(y + place, lanes), load_lanes(dy + place, lanes));
      store_lanes(dz + place, d, lanes);
      total[0] += d;
    });
  });
}

// `residual` may be null, else it is added before the activation.
void normalize(const Normalizer& normalizer, const float* x, const float* residual, float* y, int64_t count) {
  const Normalizer n = normalizer;  // a local copy: stores to y cannot change it
  for_bend(n.activation, [=](auto b) CNNFAST_INLINE_LAMBDA {
    const auto run = [=](auto add) CNNFAST_INLINE_LAMBDA {
      for_each_tile(tile_width(n.columns), count, [=](int64_t place, int64_t column, int lanes) CNNFAST_INLINE_LAMBDA {
        const Vec centered = load_lanes(x + place, lanes) - load_lanes(n.center + column, lanes);
        store_lanes(y + place, bend(b.kind, 0, add(normalized(n, column, lanes, centered), place, lanes)), lanes);
      });
    };
    if (residual == nullptr) {
      run([](Vec v, int64_t, int) CNNFAST_INLINE_LAMBDA { return v; });
    } else {
      run([=](Vec v, int64_t place, int lanes)
              CNNFAST_INLINE_LAMBDA { return v + load_lanes(residual + place, lanes); });
    }
  });
}

// sum_dz = the sum of dz, the gradient before the activation, sum_dz_x = that of dz * (x - center), down each column.
// Where the forward pass added a residual, its result y tells where the activation was flat, and dz is stored. Else
// both are null and the value is computed again as the forward pass did.
void normalize_gradient_sums(const Normalizer& normalizer, const float* x, const float* y, const float* dy, float* dz,
                             int64_t rows, float* sum_dz, float* sum_dz_x) {
  const Normalizer n = normalizer;
  float* const into[2] = {sum_dz, sum_dz_x};
  for_bend(n.activation, [=](auto b) CNNFAST_INLINE_LAMBDA {
    const auto run = [=](auto gradient) CNNFAST_INLINE_LAMBDA {
      sum_columns<2>(n.columns, rows, into,
                     [=](int64_t place, int64_t column, int lanes, Vec(&total)[2]) CNNFAST_INLINE_LAMBDA {
                       const Vec centered = load_lanes(x + place, lanes) - load_lanes(n.center + column, lanes);
                       const Vec d = gradient(centered, place, column, lanes);
                       total[0] += d;
                       total[1] = fma(d, centered, total[1]);
                     });
    };
    if (y == nullptr) {
      run([=](Vec centered, int64_t place, int64_t column, int lanes) CNNFAST_INLINE_LAMBDA {
        return gradient_before_bend(b.kind, 0, normalized(n, column, lanes, centered), load_lanes(dy + place, lanes));
      });
    } else {
      run([=](Vec, int64_t place, int64_t, int lanes) CNNFAST_INLINE_LAMBDA {
        const Vec d = gradient_before_bend(b.kind, 0, load_lanes(y + place, lanes), load_lanes(dy + place, lanes));
        store_lanes(dz + place, d, lanes);
        return d;
      });
    }
  });
}

void normalize_gradient(const Normalizer& normalizer, const float* x, const float* dy, float* dx, int64_t count) {
  const Normalizer n = normalizer;
  for_bend(n.activation, [=](auto b) CNNFAST_INLINE_LAMBDA {
    for_each_tile(tile_width(n.columns), count, [=](int64_t place, int64_t column, int lanes) CNNFAST_INLINE_LAMBDA {
      const Vec centered = load_lanes(x + place, lanes) - load_lanes(n.center + column, lanes);
      const Vec d =
          gradient_before_bend(b.kind, 0, normalized(n, column, lanes, centered), load_lanes(dy + place, lanes));
      const Vec rest = fma(centered, load_lanes(n.slope + column, lanes), load_lanes(n.constant + column, lanes));
      store_lanes(dx + place, fma(d, load_lanes(n.scale + column, lanes), rest), lanes);
    });
  });
}

}  // namespace cnnfast::CNNFAST_ISA
