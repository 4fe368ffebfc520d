#include "ops/columns.h"

#include "ops/pool_rows.h"

namespace cnnfast {

void im2col(const PoolShape& shape, const float* x, float* columns) {
  const int64_t column = shape.y_dims.back(), lines_per_image = shape.depth().out * shape.height().out;
  const RowPieces pieces(shape.width().out, column);
  pieces.run(shape.images * lines_per_image, static_cast<double>(column),
             [&](int64_t line, int64_t begin, int64_t end) {
               kernels().im2col_row(pool_row(shape, line, begin, end, {}), x + line / lines_per_image * shape.image(),
                                    columns + line * shape.width().out * column);
             });
}

void col2im(const PoolShape& shape, const float* columns, float* x) {
  backward_by_rows(shape, false, nullptr, x,
                   [&](const PoolGradientRow& r, PoolOutputRow out, int64_t, int64_t, int64_t from, float* row) {
                     kernels().col2im_row(r, out.first_tap, shape.taps(), columns + from * shape.taps(), row);
                   });
}

}  // namespace cnnfast
