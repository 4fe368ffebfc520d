#include "ops/average_pool.h"

#include "ops/pool_rows.h"
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
  // Rows are added up whole: where there is more than one to a window, an output row is one piece of work.
  const bool one_line = shape.depth().window == 1 && shape.height().window == 1;
  const auto average = [&](int64_t line, int64_t begin, int64_t end, float* sums) {
    const PoolRow row = pool_row(shape, line, begin, end, offsets);
    const int64_t h = line % shape.height().out, d = line / shape.height().out % shape.depth().out;
    const float* image = x + line / lines_per_image * shape.image();
    const float* lines = sums;
    if (one_line) {
      lines = image + (d * shape.depth().stride - shape.depth().pad_before) * shape.plane() +
              (h * shape.height().stride - shape.height().pad_before) * shape.row();
    } else if (begin == 0) {
      kernels().add_pool_rows(row, image, sums);
    }
    kernels().average_pool_row(row, divisor_of(shape, count_include_pad, d, h), lines, y + line * shape.out_row());
  };
  const int64_t lines = shape.images * lines_per_image;
  if (one_line) {
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
  backward_by_rows(shape, windows_apart(shape), dx,
                   [&](const PoolGradientRow& r, int64_t d, int64_t h, int64_t from, float* row) {
                     kernels().average_pool_gradient_row(r, divisor_of(shape, count_include_pad, d, h), dy + from, row);
                   });
}

}  // namespace cnnfast
