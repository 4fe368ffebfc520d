#include "ops/average_pool.h"

#include "ops/pool_rows.h"
#include "ops/pool_spread.h"
#include "runtime/memory.h"

namespace cnnfast {
namespace {

int64_t count(const TapRange& taps) { return taps.end - taps.begin; }

// What the sum over the window of depth `d`, height `h` is divided by.
AveragePoolRow divisor_of(const PoolShape& shape, bool count_include_pad, int64_t d, int64_t h) {
  if (count_include_pad) return {static_cast<float>(shape.taps()), false};
  const int64_t lines = count(taps_inside(shape.depth(), d)) * count(taps_inside(shape.height(), h));
  return {static_cast<float>(lines), true};
}

}  // namespace

void average_pool_forward(const PoolShape& shape, bool count_include_pad, const float* x, float* y) {
  const std::vector<int32_t> offsets = offsets_across(shape);
  const RowPieces pieces(shape.width().out, shape.channels);
  const int64_t lines_per_image = shape.depth().out * shape.height().out;
  // Rows are added up whole first where windows overlap along them, and where few channels make a value of a window
  // dear; then an output row is one piece of work.
  const bool direct = (shape.depth().window == 1 && shape.height().window == 1) ||
                      (offsets.empty() && shape.width().stride >= shape.width().window);
  const auto average = [&](int64_t line, int64_t begin, int64_t end, float* sums) {
    PoolRow row = pool_row(shape, line, begin, end, offsets);
    const int64_t h = line % shape.height().out, d = line / shape.height().out % shape.depth().out;
    const float* image = x + line / lines_per_image * shape.image();
    if (!direct) {
      if (begin == 0) kernels().add_pool_rows(row, image, sums);
      row.depth = row.height = {0, 1, 0, 1};
    }
    kernels().average_pool_row(row, divisor_of(shape, count_include_pad, d, h), direct ? image : sums,
                               y + line * shape.out_row());
  };
  const int64_t lines = shape.images * lines_per_image;
  if (direct) {
    pieces.run(lines, static_cast<double>(shape.channels * shape.taps()),
               [&](int64_t line, int64_t begin, int64_t end) { average(line, begin, end, nullptr); });
    return;
  }
  const double work_per_line =
      static_cast<double>(shape.row()) * static_cast<double>(shape.depth().window * shape.height().window);
  const int threads = threads_for(lines, work_per_line * static_cast<double>(lines));
  const Scratch scratch(threads, static_cast<size_t>(shape.row()));
  const int64_t lines_at_once = std::max<int64_t>(1, std::min(lines / (4 * threads), int64_t{64}));
  parallel_tasks((lines + lines_at_once - 1) / lines_at_once, threads, [&](int64_t task, int thread) {
    const int64_t last = std::min(lines, (task + 1) * lines_at_once);
    for (int64_t line = task * lines_at_once; line < last; ++line) {
      for (int64_t begin = 0; begin < pieces.length; begin += pieces.piece) {
        average(line, begin, std::min(pieces.length, begin + pieces.piece), scratch.part(thread));
      }
    }
  });
}

void average_pool_backward(const PoolShape& shape, bool count_include_pad, const float* dy, float* dx) {
  const Axis &depth = shape.depth(), &height = shape.height(), &width = shape.width();
  const SpreadTable table(shape);
  // Where no table spreads narrow rows, they are cheaper to clear and add to than to write value by value.
  const bool apart = windows_apart(shape) && (shape.channels >= kernels().limits.lanes || table.get() != nullptr);
  if (apart || (depth.window == 1 && height.window == 1)) {
    backward_by_rows(shape, apart, apart ? table.get() : nullptr, dx,
                     [&](const PoolGradientRow& r, PoolOutputRow out, int64_t d, int64_t h, int64_t from, float* row) {
                       kernels().average_pool_gradient_row(r, out, divisor_of(shape, count_include_pad, d, h),
                                                           dy + from, row);
                     });
    return;
  }
  // A row of dx takes the same from every output row above or below it: these are added up first, then spread once.
  const int64_t lines = shape.images * depth.in * height.in;
  const double work_per_line = static_cast<double>(shape.row() + shape.out_row()) * 3;
  const int threads = threads_for(lines, work_per_line * static_cast<double>(lines));
  const Scratch scratch(threads, static_cast<size_t>(shape.out_row()));
  const int64_t lines_at_once = std::max<int64_t>(1, std::min(lines / (4 * threads), int64_t{64}));
  parallel_tasks((lines + lines_at_once - 1) / lines_at_once, threads, [&](int64_t task, int thread) {
    float* sums = scratch.part(thread);
    const int64_t last = std::min(lines, (task + 1) * lines_at_once);
    for (int64_t line = task * lines_at_once; line < last; ++line) {
      const int64_t h = line % height.in, d = line / height.in % depth.in, image = line / (height.in * depth.in);
      float* row = dx + line * shape.row();
      std::fill(row, row + shape.row(), 0.0f);
      bool any = false;
      for_each_output_of(depth, d, [&](int64_t od, int64_t) {
        for_each_output_of(height, h, [&](int64_t oh, int64_t) {
          const float* from = dy + ((image * depth.out + od) * height.out + oh) * shape.out_row();
          const float scale = 1.0f / divisor_of(shape, count_include_pad, od, oh).divisor;
          kernels().add_scaled(scale, from, any, sums, shape.out_row());
          any = true;
        });
      });
      if (!any) continue;
      const PoolGradientRow r = gradient_row(shape, 0, width.in, true, nullptr);
      kernels().average_pool_gradient_row(r, {0, shape.out_row()}, {1.0f, !count_include_pad}, sums, row);
    }
  });
}

}  // namespace cnnfast
