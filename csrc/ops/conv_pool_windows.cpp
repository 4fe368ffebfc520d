#include "ops/conv_pool_windows.h"

#include <algorithm>

#include "dispatch.h"
#include "ops/activation.h"
#include "ops/conv_lines.h"
#include "ops/correlation.h"
#include "runtime/memory.h"
#include "runtime/parallel.h"

namespace cnnfast {
namespace {

constexpr int64_t kSlabFloats = (32 << 10) / 4;   // of a task's input, where it is copied
constexpr int64_t kPanelFloats = (32 << 10) / 4;  // of the weights of a vector of outputs: they stay in the first cache
constexpr int kTasksPerThread = 4;

// Windows of two that keep apart and lie inside.
bool halves(const Axis& axis) {
  return axis.window == 2 && axis.stride == 2 && axis.dilation == 1 && axis.pad_before == 0 && 2 * axis.out <= axis.in;
}

bool untouched(const Axis& axis) { return axis.window == 1 && axis.stride == 1 && axis.pad_before == 0; }

class Tiles {
 public:
  Tiles(const ConvShape& shape, const PoolShape& pool, const float* x, const float* w, const float* bias,
        Activation activation, float alpha, float* y, uint8_t* winners)
      : c_(forward_correlation(shape, activation, alpha)),
        pool_(pool),
        x_(x),
        weights_(forward_weights(shape, w), c_.groups, c_.source.channels,
                 PanelGrid(c_.out_channels, kernels().limits.lanes, 1)),
        bias_(bias),
        y_(y),
        winners_(winners),
        rows_(rows_per_task()),
        layout_(c_.source, whole_rows_grid(c_.source, 2 * rows_), Runs::rows) {}

  void run() const {
    const int64_t blocks = (pool_.height().out + rows_ - 1) / rows_, tasks = pool_.images * pool_.depth().out * blocks;
    const int threads = threads_for(tasks, c_.flops() / kFlopsPerOperation);
    const Scratch scratch(threads, static_cast<size_t>(layout_.scratch_floats()));
    parallel_tasks(tasks, threads, [&](int64_t task, int thread) {
      const int64_t begin = task % blocks * rows_;
      run_rows(task / blocks, begin, std::min(pool_.height().out, begin + rows_), scratch.part(thread));
    });
  }

 private:
  // As many as leave every thread enough to do, of not too much input.
  int64_t rows_per_task() const {
    const auto& a = c_.source.axis;
    const int threads = threads_for(INT32_MAX, c_.flops() / kFlopsPerOperation);
    const int64_t planes = pool_.images * pool_.depth().out, wanted = threads == 1 ? 1 : kTasksPerThread * threads;
    const int64_t blocks = (wanted + planes - 1) / planes;
    const int64_t row = a[0].window * a[2].in * c_.source.channels;
    const int64_t near = (kSlabFloats / row - a[1].reach()) / (2 * a[1].stride);
    const int64_t shared = (pool_.height().out + blocks - 1) / blocks;
    return std::clamp<int64_t>(std::min(near, shared), 1, pool_.height().out);
  }

  void run_rows(int64_t plane, int64_t begin, int64_t end, float* scratch) const {
    const int64_t depths = pool_.depth().in, lanes = kernels().limits.lanes;
    const OutputBlock block{plane / depths, plane % depths, 2 * begin, 2 * end, 0, 2 * pool_.width().out};
    ConvPoolTile tile;
    tile.runs = layout_.runs().data();
    tile.run_count = static_cast<int>(layout_.runs().size());
    tile.run_length = static_cast<int>(layout_.run_length());
    tile.y_pixel = pool_.channels;
    tile.pixels = pool_.width().out;
    tile.activation = c_.activation;
    tile.alpha = c_.alpha;
    for (int64_t group = 0; group < c_.groups; ++group) {
      const WindowView view = layout_.view(block, x_, group * c_.source.channels, scratch);
      tile.x_pixel = view.pixel;
      tile.x_row = view.row;
      for (int64_t row = begin; row < end; ++row) {
        tile.x = view.first + 2 * (row - begin) * view.row;
        const int64_t to = (plane * pool_.height().out + row) * pool_.out_row() + group * c_.out_channels;
        for (int64_t p = 0; p < weights_.panels().count(); ++p) {
          const int64_t at = to + p * lanes;
          tile.w = weights_.panel(group, p);
          tile.bias = bias_ == nullptr ? nullptr : bias_ + group * c_.out_channels + p * lanes;
          tile.channels = weights_.panels().channels(p);
          tile.y = y_ + at;
          tile.winners = winners_ == nullptr ? nullptr : winners_ + at;
          kernels().conv_pool_tile(tile);
        }
      }
    }
  }

  Correlation c_;
  const PoolShape& pool_;
  const float* x_;
  PackedWeights weights_;
  const float* bias_;
  float* y_;
  uint8_t* winners_;
  int64_t rows_;
  WindowLayout layout_;
};

bool whole_windows(const PoolShape& pool) {
  return untouched(pool.depth()) && halves(pool.height()) && halves(pool.width());
}

}  // namespace

bool conv_pool_lines_pay(const ConvShape& shape, const PoolShape& pool, Activation activation) {
  // The sums of one input channel are added up in the same order by all loops.
  const ConvRoute::Loops loops = forward_route(shape).loops;
  const bool same = loops == ConvRoute::Loops::lines || (loops == ConvRoute::Loops::images && shape.in_channels == 1);
  return same && whole_windows(pool) && piecewise_linear(activation) &&
         lines_pay(shape.window_source(), shape.out_channels) && lines_can_pool(shape.out_channels, pool.width().out);
}

void conv_pool_lines(const ConvShape& shape, const PoolShape& pool, const float* x, const float* w, const float* bias,
                     Activation activation, float alpha, float* y, uint8_t* winners) {
  correlate_and_pool_lines({forward_correlation(shape, activation, alpha), forward_weights(shape, w), nullptr},
                           {pool.height().out, pool.width().out, y, winners}, x, bias);
}

bool conv_pool_windows_pay(const ConvShape& shape, const PoolShape& pool, Activation activation) {
  return whole_windows(pool) && piecewise_linear(activation) &&
         shape.taps() * shape.group_in_channels() * kernels().limits.lanes <= kPanelFloats;
}

void conv_pool_windows(const ConvShape& shape, const PoolShape& pool, const float* x, const float* w, const float* bias,
                       Activation activation, float alpha, float* y, uint8_t* winners) {
  Tiles(shape, pool, x, w, bias, activation, alpha, y, winners).run();
}

}  // namespace cnnfast
