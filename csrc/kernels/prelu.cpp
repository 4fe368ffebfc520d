// The rectifier with a slope for every column.
#include "kernels/column_walks.h"

namespace cnnfast::CNNFAST_ISA {

// `alpha` is a tile.
void prelu_forward(Columns columns, const float* alpha, const float* x, float* y, int64_t count) {
  for_each_tile(tile_width(columns), count, [=](int64_t place, int64_t column, int lanes) CNNFAST_INLINE_LAMBDA {
    const Vec v = load_lanes(x + place, lanes);
    store_lanes(y + place, select(v > 0, v, v * load_lanes(alpha + column, lanes)), lanes);
  });
}

// dalpha = what the slopes get, summed down each column.
void prelu_backward(Columns columns, int64_t stride, const float* alpha, const float* x, const float* dy, int64_t rows,
                    float* dx, float* dalpha) {
  float* const into[1] = {dalpha};
  sum_columns<1>(columns, rows, stride, into,
                 [=](int64_t place, int64_t column, int lanes, Vec(&total)[1]) CNNFAST_INLINE_LAMBDA {
                   const Vec v = load_lanes(x + place, lanes), d = load_lanes(dy + place, lanes);
                   const IntVec positive = v > 0;
                   store_lanes(dx + place, select(positive, d, d * load_lanes(alpha + column, lanes)), lanes);
                   total[0] += select(positive, zero(), d * v);
                 });
}

}  // namespace cnnfast::CNNFAST_ISA
