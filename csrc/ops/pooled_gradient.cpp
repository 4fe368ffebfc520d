#include "ops/pooled_gradient.h"

#include <algorithm>

#include "ops/max_pool.h"

namespace cnnfast {

PooledGradient::PooledGradient(const PoolShape& shape, const float* dy, const void* winners)
    : shape_(shape),
      dy_(dy),
      winners_(winners),
      type_(winner_type(shape)),
      table_(shape),
      depths_(shape.depth()),
      heights_(shape.height()) {}

void PooledGradient::write(const OutputBlock& block, float* to) const {
  const Axis &depth = shape_.depth(), &height = shape_.height();
  const PoolGradientRow r = gradient_row(shape_, block.col_begin, block.col_end, false, table_.get());
  const int64_t row_floats = block.cols() * shape_.channels;
  for (int64_t h = block.row_begin; h < block.row_end; ++h, to += row_floats) {
    bool touched = false;
    depths_.for_each(block.depth, [&](int64_t out_depth, int64_t depth_tap) {
      heights_.for_each(h, [&](int64_t out_height, int64_t height_tap) {
        const int64_t from = ((block.image * depth.out + out_depth) * height.out + out_height) * shape_.out_row();
        const PoolOutputRow out{(depth_tap * height.window + height_tap) * shape_.width().window,
                                shape_.images * shape_.out_image() - from};
        kernels().max_pool_gradient_row(r, out, dy_ + from, type_, winners_at(winners_, type_, from),
                                        to - block.col_begin * shape_.channels);
        touched = true;
      });
    });
    if (!touched) std::fill(to, to + row_floats, 0.0f);
  }
}

}  // namespace cnnfast
