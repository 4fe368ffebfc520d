#include "ops/adaptive_pool.h"

#include <algorithm>
#include <cstring>
#include <numeric>
#include <vector>

#include "dispatch.h"
#include "runtime/memory.h"
#include "runtime/parallel.h"

namespace cnnfast {
namespace {

constexpr double kGrainValues = 16384;

TapRange solid(const PoolSpan& window) { return {window.begin, 1, 0, window.end - window.begin}; }
int64_t length(const PoolSpan& span) { return span.end - span.begin; }

// One output's place: image, depth, height and width.
struct Place {
  int64_t image, d, h, w;
  Place(const AdaptivePoolShape& s, int64_t output) {
    w = output % s.width().out;
    h = output / s.width().out % s.height().out;
    d = output / (s.width().out * s.height().out) % s.depth().out;
    image = output / (s.width().out * s.height().out * s.depth().out);
  }
};

// The window of one output as a pooling kernel sees it: a row with a single window, which begins where the row does.
// Taps are numbered by the longest windows.
PoolRow single_window(const AdaptivePoolShape& s, const PoolSpan& d, const PoolSpan& h, int64_t width, int64_t taps) {
  return {solid(d),
          solid(h),
          s.depth().longest,
          s.height().longest,
          s.plane(),
          s.row(),
          s.channels,
          {width, 1, taps, 1, 1, 0},
          0,
          1,
          nullptr};
}

// Calls body(output) for all outputs in parallel.
template <typename Body>
void for_each_output(const AdaptivePoolShape& s, Body body) {
  const int64_t outputs = s.images * (s.out_image() / s.channels);
  const double work_per_output = static_cast<double>(s.taps()) * static_cast<double>(s.channels);
  const int64_t grain = static_cast<int64_t>(std::max(1.0, kGrainValues / work_per_output));
  parallel_ranges(outputs, grain, work_per_output * static_cast<double>(outputs), [&](int64_t begin, int64_t end) {
    for (int64_t output = begin; output < end; ++output) body(output);
  });
}

char* advance(void* winners, WinnerType type, int64_t count) {
  return winners == nullptr ? nullptr : static_cast<char*>(winners) + count * (type == WinnerType::byte ? 1 : 4);
}

// Where each tap of the longest windows lies from a window's beginning, in floats.
std::vector<int64_t> tap_offsets(const AdaptivePoolShape& s) {
  std::vector<int64_t> offsets;
  offsets.reserve(static_cast<size_t>(s.taps()));
  for (int64_t d = 0; d < s.depth().longest; ++d) {
    for (int64_t h = 0; h < s.height().longest; ++h) {
      for (int64_t w = 0; w < s.width().longest; ++w) {
        offsets.push_back(d * s.plane() + h * s.row() + w * s.channels);
      }
    }
  }
  return offsets;
}

// Few channels: rows are added up over depth and height first, in full vectors.
void average_by_rows(const AdaptivePoolShape& s, const float* x, float* y) {
  const int64_t lines_per_image = s.depth().out * s.height().out, lines = s.images * lines_per_image;
  const double work = static_cast<double>(lines) * static_cast<double>(s.row()) *
                      static_cast<double>(s.depth().longest * s.height().longest + 4);
  const int threads = threads_for(lines, work);
  const Scratch scratch(threads, static_cast<size_t>(s.row()));
  parallel_tasks(lines, threads, [&](int64_t line, int thread) {
    const int64_t image = line / lines_per_image;
    const PoolSpan d = s.depth().window(line / s.height().out % s.depth().out);
    const PoolSpan h = s.height().window(line % s.height().out);
    const PoolRow whole = single_window(s, d, h, s.width().in, 1);
    kernels().add_pool_rows(whole, x + image * s.image(), scratch.part(thread));
    for (int64_t w = 0; w < s.width().out; ++w) {
      const PoolSpan span = s.width().window(w);
      const PoolRow row = single_window(s, {0, 1}, {0, 1}, length(span), length(span));
      const AveragePoolRow divisor = {static_cast<float>(length(d) * length(h) * length(span)), false};
      kernels().average_pool_row(row, divisor, scratch.part(thread) + span.begin * s.channels,
                                 y + line * s.out_row() + w * s.channels);
    }
  });
}

// Part of an image along the first axis that is longer than one: contiguous in memory.
struct Slab {
  size_t axis;
  int64_t begin;
  int64_t end;
};

// Every output whose window reaches into the slab carries its gradient to its winner, if that lies there.
void scatter_into(const AdaptivePoolShape& s, const std::vector<int64_t>& offsets, const Slab& slab, const float* dy,
                  const void* winners, float* dx) {
  const WinnerType type = winner_type(s);
  const int64_t unit = slab.axis == 0 ? s.plane() : slab.axis == 1 ? s.row() : s.channels;
  const int64_t lower = slab.begin * unit, upper = slab.end * unit;
  std::memset(dx + lower, 0, static_cast<size_t>(upper - lower) * sizeof(float));
  PoolSpan outputs[3];
  for (size_t i = 0; i < 3; ++i) outputs[i] = {0, s.axes[i].out};
  outputs[slab.axis] = {s.axes[slab.axis].outputs(slab.begin).begin, s.axes[slab.axis].outputs(slab.end - 1).end};
  for (int64_t d = outputs[0].begin; d < outputs[0].end; ++d) {
    for (int64_t h = outputs[1].begin; h < outputs[1].end; ++h) {
      const int64_t line = s.depth().window(d).begin * s.plane() + s.height().window(h).begin * s.row();
      for (int64_t w = outputs[2].begin; w < outputs[2].end; ++w) {
        const int64_t from = ((d * s.height().out + h) * s.width().out + w) * s.channels;
        const int64_t corner = line + s.width().window(w).begin * s.channels;
        kernels().max_pool_scatter_row(
            {s.channels, 0, 1, corner, 0, static_cast<int64_t>(offsets.size()), offsets.data(), lower, upper},
            dy + from, type, advance(const_cast<void*>(winners), type, from), dx);
      }
    }
  }
}

// One row of dx: the gradients of all windows that hold it, each divided by its size, added up over depth and height
// first, then spread along the width.
void average_gradient_row(const AdaptivePoolShape& s, int64_t d, int64_t h, const float* dy, float* sums, float* dx) {
  const PoolSpan depths = s.depth().outputs(d), heights = s.height().outputs(h);
  for (int64_t od = depths.begin; od < depths.end; ++od) {
    for (int64_t oh = heights.begin; oh < heights.end; ++oh) {
      const int64_t lines = length(s.depth().window(od)) * length(s.height().window(oh));
      kernels().add_scaled(1.0f / static_cast<float>(lines), dy + (od * s.height().out + oh) * s.out_row(),
                           od > depths.begin || oh > heights.begin, sums, s.out_row());
    }
  }
  for (int64_t w = 0; w < s.width().in; ++w) {
    const PoolSpan outputs = s.width().outputs(w);
    for (int64_t ow = outputs.begin; ow < outputs.end; ++ow) {
      const float share = 1.0f / static_cast<float>(length(s.width().window(ow)));
      kernels().add_scaled(share, sums + ow * s.channels, ow > outputs.begin, dx + w * s.channels, s.channels);
    }
  }
}

}  // namespace

AdaptivePoolShape make_adaptive_shape(const std::string& op, const Dims& x_dims, const Dims& sizes) {
  const size_t rank = x_dims.size() < 2 ? 0 : x_dims.size() - 2;
  if (rank < 1 || rank > 3 || sizes.size() != rank) {
    throw std::invalid_argument(op + ": x expects 3 to 5 axes and output_size one value per spatial axis, got " +
                                dims_text(x_dims) + " and " + dims_text(sizes));
  }
  AdaptivePoolShape shape;
  shape.images = x_dims.front();
  shape.channels = x_dims.back();
  shape.x_dims = shape.y_dims = x_dims;
  if (shape.channels < 1) throw std::invalid_argument(op + ": x has no channels, its shape is " + dims_text(x_dims));
  for (size_t i = 0; i < rank; ++i) {
    AdaptiveAxis& axis = shape.axes[3 - rank + i];
    axis.in = x_dims[i + 1];
    axis.out = shape.y_dims[i + 1] = sizes[i];
    if (std::min(axis.in, axis.out) < 1 || std::max(axis.in, axis.out) > INT32_MAX) {
      throw std::invalid_argument(op +
                                  ": x and output_size expect 1 to 2147483647 values along each spatial axis, got " +
                                  dims_text(x_dims) + " and " + dims_text(sizes));
    }
  }
  checked_size(shape.x_dims);
  checked_size(shape.y_dims);
  for (AdaptiveAxis& axis : shape.axes) {
    // A window begins at any multiple of the common divisor behind one of out equal parts; the last is the longest.
    axis.longest = (axis.in + 2 * axis.out - 1 - std::gcd(axis.in, axis.out)) / axis.out;
  }
  if (checked_size({shape.depth().longest, shape.height().longest, shape.width().longest}) > INT32_MAX) {
    throw std::invalid_argument(op + ": windows of " + std::to_string(shape.taps()) +
                                " values, at most 2147483647 can be pooled");
  }
  return shape;
}

WinnerType winner_type(const AdaptivePoolShape& shape) {
  return shape.taps() <= 256 ? WinnerType::byte : WinnerType::int32;
}

void adaptive_max_forward(const AdaptivePoolShape& s, const float* x, float* y, void* winners) {
  const WinnerType type = winners == nullptr ? WinnerType::none : winner_type(s);
  for_each_output(s, [&](int64_t output) {
    const Place at(s, output);
    const PoolSpan w = s.width().window(at.w);
    const int64_t to = output * s.channels;
    kernels().max_pool_row(
        single_window(s, s.depth().window(at.d), s.height().window(at.h), length(w), s.width().longest),
        x + at.image * s.image() + w.begin * s.channels, y + to, type, advance(winners, type, to));
  });
}

void adaptive_max_backward(const AdaptivePoolShape& s, const float* dy, const void* winners, float* dx) {
  const WinnerType type = winner_type(s);
  const std::vector<int64_t> offsets = tap_offsets(s);
  Slab whole{0, 0, 0};
  while (whole.axis < 2 && s.axes[whole.axis].in == 1) ++whole.axis;
  const AdaptiveAxis& cut = s.axes[whole.axis];
  const double work = static_cast<double>(s.images) * static_cast<double>(s.image() + 4 * s.out_image());
  // Outputs whose windows cross a cut are looked at twice: few cuts, and only where there are few images.
  const int threads = threads_for(s.images * cut.in, work);
  const int64_t wanted = threads == 1 ? 1 : (4 * threads + s.images - 1) / std::max<int64_t>(1, s.images);
  const int64_t slabs = std::max<int64_t>(1, std::min(wanted, cut.in / (2 * cut.longest)));
  const int64_t thickness = (cut.in + slabs - 1) / slabs;
  parallel_tasks(s.images * slabs, threads, [&](int64_t task, int) {
    const int64_t image = task / slabs, begin = task % slabs * thickness;
    if (begin >= cut.in) return;
    const int64_t from = image * s.out_image();
    scatter_into(s, offsets, {whole.axis, begin, std::min(cut.in, begin + thickness)}, dy + from,
                 advance(const_cast<void*>(winners), type, from), dx + image * s.image());
  });
}

void adaptive_average_forward(const AdaptivePoolShape& s, const float* x, float* y) {
  if (s.channels < kernels().limits.lanes) return average_by_rows(s, x, y);
  for_each_output(s, [&](int64_t output) {
    const Place at(s, output);
    const PoolSpan d = s.depth().window(at.d), h = s.height().window(at.h), w = s.width().window(at.w);
    kernels().average_pool_row(single_window(s, d, h, length(w), length(w)),
                               {static_cast<float>(length(d) * length(h) * length(w)), false},
                               x + at.image * s.image() + w.begin * s.channels, y + output * s.channels);
  });
}

void adaptive_average_backward(const AdaptivePoolShape& s, const float* dy, float* dx) {
  const int64_t lines_per_image = s.depth().in * s.height().in, lines = s.images * lines_per_image;
  const double work = static_cast<double>(lines) * static_cast<double>(2 * s.row() + 2 * s.out_row());
  const int threads = threads_for(lines, work);
  const Scratch scratch(threads, static_cast<size_t>(s.out_row()));
  parallel_tasks(lines, threads, [&](int64_t line, int thread) {
    const int64_t image = line / lines_per_image;
    average_gradient_row(s, line / s.height().in % s.depth().in, line % s.height().in, dy + image * s.out_image(),
                         scratch.part(thread), dx + line * s.row());
  });
}

}  // namespace cnnfast
