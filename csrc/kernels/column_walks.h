// Walks over rows of columns, narrow ones as tiles. For kernels alone.
#pragma once

#include "kernels/reduce.h"
#include "simd/vec.h"

namespace cnnfast::CNNFAST_ISA {

constexpr int kVectorsAtOnce = 4;
constexpr int64_t kBlockFloats = 2048;
// The tile's largest width: what columns_of in ops/reduce.cpp makes of narrow rows.
constexpr int64_t kTileLimit = 4 * kLanes * kLanes + 16 * kLanes;

CNNFAST_INLINE int64_t tile_width(const Columns& columns) { return columns.count * columns.repeat; }

// Rows that are walked together, in a block that the nearest cache holds.
struct WalkedRows {
  int64_t first;
  int64_t whole;  // rows, from there on
  int64_t rest;   // values of one more, in part
  int64_t stride;
};

// Calls term(place in the matrix, place in the row, lanes, sums) down `kVectors` vectors of columns from `column` on;
// the sums go on from those of earlier rows.
template <int kVectors, int kSums, typename Term>
CNNFAST_INLINE void sum_block(const WalkedRows& rows, int64_t column, int lanes, float* const (&sums)[kSums],
                              Term term) {
  Vec total[kVectors][kSums] = {};
  if (rows.first > 0) {
    CNNFAST_UNROLL for (int v = 0; v < kVectors; ++v) {
      CNNFAST_UNROLL for (int s = 0; s < kSums; ++s) total[v][s] = load_lanes(sums[s] + column + v * kLanes, lanes);
    }
  }
  int64_t row = rows.first * rows.stride + column;
  for (int64_t r = 0; r < rows.whole; ++r, row += rows.stride) {
    CNNFAST_UNROLL for (int v = 0; v < kVectors; ++v) {
      term(row + v * kLanes, column + v * kLanes, kVectors > 1 ? kLanes : lanes, total[v]);
    }
  }
  CNNFAST_UNROLL for (int v = 0; v < kVectors; ++v) {
    const int64_t left = rows.rest - column - v * kLanes;
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

// Calls body(rows) for all rows, block by block: memory is read in its order then, not a few columns of many rows after
// the other.
template <typename Body>
CNNFAST_INLINE void for_each_block(const Columns& columns, int64_t rows, int64_t stride, Body body) {
  const int64_t block = kBlockFloats / tile_width(columns) + 4, whole_rows = rows / columns.repeat;
  int64_t first = 0;
  do {
    const bool last = whole_rows - first <= block;
    const int64_t rest = last ? rows % columns.repeat * columns.count : 0;
    body(WalkedRows{first, last ? whole_rows - first : block, rest, stride});
    first += block;
  } while (first < whole_rows);
}

// Calls many(column) for several vectors of columns at once, and one(column, lanes) for those that are left.
template <typename Many, typename One>
CNNFAST_INLINE void for_each_column(int64_t width, Many many, One one) {
  int64_t column = 0;
  for (; column + kVectorsAtOnce * kLanes <= width; column += kVectorsAtOnce * kLanes) many(column);
  for (; column + kLanes <= width; column += kLanes) one(column, kLanes);
  if (column < width) one(column, static_cast<int>(width - column));
}

// The sums of `term` down every column of `rows` rows. `stride` is what lies between the beginnings of rows, as the
// tile sees them: its width, or more where it is a piece of longer rows.
template <int kSums, typename Term>
CNNFAST_INLINE void sum_columns(const Columns& columns, int64_t rows, int64_t stride, float* const (&sums)[kSums],
                                Term term) {
  float tile[kSums][kTileLimit];
  const bool tiled = columns.repeat > 1;
  float* into[kSums];
  for (int s = 0; s < kSums; ++s) into[s] = tiled ? tile[s] : sums[s];
  for_each_block(columns, rows, stride, [&](const WalkedRows& part) CNNFAST_INLINE_LAMBDA {
    for_each_column(
        tile_width(columns),
        [&](int64_t column) CNNFAST_INLINE_LAMBDA { sum_block<kVectorsAtOnce>(part, column, kLanes, into, term); },
        [&](int64_t column, int lanes) CNNFAST_INLINE_LAMBDA { sum_block<1>(part, column, lanes, into, term); });
  });
  if (!tiled) return;
  for (int s = 0; s < kSums; ++s) fold_tile(columns, tile[s], sums[s]);
}

// Calls body(place in the array, place in the tile, lanes) over `count` values that begin at a tile's beginning.
template <typename Body>
CNNFAST_INLINE void for_each_tile(int64_t width, int64_t count, Body body) {
  for (int64_t begin = 0; begin < count; begin += width) {
    const int64_t length = count - begin < width ? count - begin : width;
    for_each_vector(length, [&](int64_t i, int lanes) { body(begin + i, i, lanes); });
  }
}

}  // namespace cnnfast::CNNFAST_ISA
