#include "ops/max_pool.h"

#include <cstring>

#include "ops/pool_rows.h"
#include "ops/pool_spread.h"

namespace cnnfast {
namespace {

std::vector<int64_t> tap_offsets(const PoolShape& shape) {
  std::vector<int64_t> offsets;
  offsets.reserve(static_cast<size_t>(shape.taps()));
  for (int64_t d = 0; d < shape.depth().window; ++d) {
    for (int64_t h = 0; h < shape.height().window; ++h) {
      for (int64_t w = 0; w < shape.width().window; ++w) offsets.push_back(tap_offset(shape, d, h, w));
    }
  }
  return offsets;
}

// A slab of dx: the inputs [begin, end) along the first axis that is longer than one; contiguous in memory.
struct Slab {
  const float* dy;
  const void* winners;
  float* dx;
  size_t axis;
  int64_t begin;
  int64_t end;
};

void scatter_into(const PoolShape& shape, const std::vector<int64_t>& offsets, const Slab& slab) {
  const WinnerType type = winner_type(shape);
  const int64_t unit = slab.axis == 0 ? shape.plane() : slab.axis == 1 ? shape.row() : shape.channels;
  const int64_t lower = slab.begin * unit, upper = slab.end * unit;
  std::memset(slab.dx + lower, 0, static_cast<size_t>(upper - lower) * sizeof(float));
  int64_t first[3] = {0, 0, 0}, last[3];
  for (size_t i = 0; i < 3; ++i) last[i] = shape.axes[i].out;
  const Axis& cut = shape.axes[slab.axis];
  const int64_t before = slab.begin + cut.pad_before - cut.reach() + 1;
  first[slab.axis] = before <= 0 ? 0 : (before + cut.stride - 1) / cut.stride;
  last[slab.axis] = std::min(cut.out, (slab.end - 1 + cut.pad_before) / cut.stride + 1);
  const Axis &depth = shape.depth(), &height = shape.height(), &width = shape.width();
  for (int64_t d = first[0]; d < last[0]; ++d) {
    for (int64_t h = first[1]; h < last[1]; ++h) {
      const int64_t from = (d * height.out + h) * shape.out_row();
      const int64_t corner = (d * depth.stride - depth.pad_before) * shape.plane() +
                             (h * height.stride - height.pad_before) * shape.row() +
                             (first[2] * width.stride - width.pad_before) * shape.channels;
      kernels().max_pool_scatter_row({shape.channels, first[2], last[2], corner, width.stride * shape.channels,
                                      shape.taps(), offsets.data(), lower, upper},
                                     slab.dy + from, type, winners_at(slab.winners, type, from), slab.dx);
    }
  }
}

// dx slab by slab: zeros, then each value of dy straight to its place.
void backward_by_scatter(const PoolShape& shape, const float* dy, const void* winners, float* dx) {
  const WinnerType type = winner_type(shape);
  const std::vector<int64_t> offsets = tap_offsets(shape);
  size_t axis = 0;
  while (axis < 2 && shape.axes[axis].in == 1) ++axis;
  const Axis& cut = shape.axes[axis];
  const double work = static_cast<double>(shape.images) * static_cast<double>(shape.image() + 4 * shape.out_image());
  // Cuts cost twice the outputs whose windows cross them: few, and only where there are few images.
  const int threads = threads_for(shape.images * cut.in, work);
  const int64_t wanted = threads == 1 ? 1 : (4 * threads + shape.images - 1) / std::max<int64_t>(1, shape.images);
  const int64_t slabs = std::max<int64_t>(1, std::min(wanted, cut.in / (2 * cut.reach())));
  const int64_t thickness = (cut.in + slabs - 1) / slabs;
  parallel_tasks(shape.images * slabs, threads, [&](int64_t task, int) {
    const int64_t image = task / slabs, begin = task % slabs * thickness;
    if (begin >= cut.in) return;
    scatter_into(shape, offsets,
                 {dy + image * shape.out_image(), winners_at(winners, type, image * shape.out_image()),
                  dx + image * shape.image(), axis, begin, std::min(cut.in, begin + thickness)});
  });
}

// By rows, every tap of every window is looked at, a vector of channels at a time; that is the quickest where each
// value of dx is written just once, at the speed of memory. A scatter takes one value at a time and looks at no tap.
bool rows_are_quicker(const PoolShape& shape, const SpreadTable& table) {
  return windows_apart(shape) && (shape.channels >= kernels().limits.lanes || table.get() != nullptr);
}

}  // namespace

WinnerType winner_type(const PoolShape& shape) { return shape.taps() <= 256 ? WinnerType::byte : WinnerType::int32; }

bool max_pool_spreads_rows(const PoolShape& shape) { return rows_are_quicker(shape, SpreadTable(shape)); }

void max_pool_forward(const PoolShape& shape, const float* x, float* y, void* winners) {
  const WinnerType type = winners == nullptr ? WinnerType::none : winner_type(shape);
  const std::vector<int32_t> offsets = offsets_across(shape);
  const RowPieces pieces(shape.width().out, shape.channels);
  const int64_t lines_per_image = shape.depth().out * shape.height().out;
  pieces.run(shape.images * lines_per_image, static_cast<double>(shape.channels * shape.taps()),
             [&](int64_t line, int64_t begin, int64_t end) {
               const int64_t to = line * shape.out_row();
               kernels().max_pool_row(pool_row(shape, line, begin, end, offsets),
                                      x + line / lines_per_image * shape.image(), y + to, type,
                                      const_cast<void*>(winners_at(winners, type, to)));
             });
}

void max_pool_backward(const PoolShape& shape, const float* dy, const void* winners, float* dx) {
  const SpreadTable table(shape);
  if (!rows_are_quicker(shape, table)) {
    backward_by_scatter(shape, dy, winners, dx);
    return;
  }
  const WinnerType type = winner_type(shape);
  backward_by_rows(shape, true, table.get(), dx,
                   [&](const PoolGradientRow& r, PoolOutputRow out, int64_t, int64_t, int64_t from, float* row) {
                     kernels().max_pool_gradient_row(r, out, dy + from, type, winners_at(winners, type, from), row);
                   });
}

}  // namespace cnnfast
