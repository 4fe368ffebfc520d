// The maximum down each column of a matrix and the row it is in.
#include "kernels/reduce.h"
#include "simd/vec.h"

namespace cnnfast::CNNFAST_ISA {
namespace {

constexpr int64_t kTileLimit = 4 * kLanes * kLanes + 16 * kLanes;

CNNFAST_INLINE IntVec load_int_lanes(const int32_t* p, int lanes) {
  return (IntVec)load_lanes(reinterpret_cast<const float*>(p), lanes);
}
CNNFAST_INLINE void store_int_lanes(int32_t* p, IntVec v, int lanes) {
  store_lanes(reinterpret_cast<float*>(p), (Vec)v, lanes);
}

// Takes the candidate where it is larger, or as large and earlier; a NaN beats every number.
CNNFAST_INLINE void take_larger(Vec value, IntVec row, Vec& best, IntVec& best_row) {
  const IntVec as_large = (value == best) | (is_nan(value) & is_nan(best));
  const IntVec larger = ~(value <= best) & ~is_nan(best);
  const IntVec better = larger | (as_large & (row < best_row));
  best = select(better, value, best);
  best_row = select_int(better, row, best_row);
}

// One vector of columns down `rows` wide rows, of which the last may be there in part.
CNNFAST_INLINE void scan(const float* x, int64_t count, int64_t width, int64_t column, int lanes, Vec& best,
                         IntVec& best_row) {
  best = broadcast(-__builtin_inff());
  best_row = broadcast_int(INT32_MAX);
  const auto step = [&](Vec value, int32_t row, IntVec there) {
    // The first value counts whatever it is, so that -inf has a place too.
    const IntVec better = there & ((best_row == broadcast_int(INT32_MAX)) | (~(value <= best) & ~is_nan(best)));
    best = select(better, value, best);
    best_row = select_int(better, broadcast_int(row), best_row);
  };
  int32_t row = 0;
  int64_t i = column;
  for (; i + lanes <= count; i += width, ++row) step(load_lanes(x + i, lanes), row, ~IntVec{});
  if (i < count) {
    const int there = static_cast<int>(count - i);
    step(load_partial(x + i, there), row, lane_index() < broadcast_int(there));
  }
}

}  // namespace

void column_maxima(Columns columns, const float* x, int64_t rows, int64_t first_row, float* best, int32_t* best_row) {
  float tile[kTileLimit];
  int32_t tile_row[kTileLimit];
  const int64_t width = columns.count * columns.repeat;
  const bool tiled = columns.repeat > 1;
  float* values = tiled ? tile : best;
  int32_t* places = tiled ? tile_row : best_row;
  for_each_vector(width, [&](int64_t column, int lanes) {
    Vec value;
    IntVec row;
    scan(x, rows * columns.count, width, column, lanes, value, row);
    store_lanes(values + column, value, lanes);
    store_int_lanes(places + column, row, lanes);
  });
  for (int64_t part = 0; part < columns.repeat; ++part) {
    for_each_vector(columns.count, [&](int64_t c, int lanes) {
      const int64_t at = part * columns.count + c;
      const IntVec wide_row = load_int_lanes(places + at, lanes);
      // Unsigned: INT32_MAX, which says that there is none, may wrap around before it is put back.
      const UintVec row_number = (UintVec)wide_row * (UintVec)broadcast_int(static_cast<int32_t>(columns.repeat)) +
                                 (UintVec)broadcast_int(static_cast<int32_t>(part + first_row));
      const IntVec row = (IntVec)row_number;
      const IntVec there = wide_row != broadcast_int(INT32_MAX);
      const IntVec known_row = select_int(there, row, broadcast_int(INT32_MAX));
      Vec value = load_lanes(values + at, lanes);
      if (part == 0) {
        store_lanes(best + c, value, lanes);
        store_int_lanes(best_row + c, known_row, lanes);
        return;
      }
      Vec leader = load_lanes(best + c, lanes);
      IntVec leader_row = load_int_lanes(best_row + c, lanes);
      take_larger(value, known_row, leader, leader_row);
      store_lanes(best + c, leader, lanes);
      store_int_lanes(best_row + c, leader_row, lanes);
    });
  }
}

}  // namespace cnnfast::CNNFAST_ISA
