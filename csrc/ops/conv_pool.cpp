#include "ops/conv_pool.h"

#include <algorithm>
#include <vector>

#include "dispatch.h"
#include "ops/activation.h"
#include "ops/conv_pool_windows.h"
#include "ops/correlation.h"
#include "ops/max_pool.h"
#include "ops/pool_rows.h"
#include "ops/pooled_gradient.h"
#include "ops/pooled_weights.h"
#include "ops/winograd_pooled.h"
#include "runtime/memory.h"
#include "runtime/parallel.h"

namespace cnnfast {
namespace {

constexpr int64_t kNearFloats = (20 << 10) / 4;     // of a band's rows: they stay in the first-level cache,
constexpr int64_t kBandFloats = (512 << 10) / 4;    // or at least in the second-level one,
constexpr int64_t kWeightFloats = (128 << 10) / 4;  // beside the weights, which every band reads again

// How many pooled rows are made at a time. Where windows overlap, the rows between bands are computed twice: then bands
// are as large as the second-level cache admits.
int64_t rows_per_band(const PoolShape& pool) {
  const Axis& height = pool.height();
  const int64_t budget = (height.reach() > height.stride ? kBandFloats : kNearFloats) / pool.row();
  return std::clamp<int64_t>((budget - height.reach()) / height.stride + 1, 1, height.out);
}

bool pointwise(const ConvShape& shape) {
  return std::all_of(shape.axis.begin(), shape.axis.end(), [](const Axis& a) {
    return a.window == 1 && a.stride == 1 && a.pad_before == 0 && a.in == a.out;
  });
}

class Bands {
 public:
  Bands(const Correlation& c, const PoolShape& pool, const float* x, const PackedWeights& weights, const float* bias,
        float* y, void* winners)
      : c_(c),
        pool_(pool),
        x_(x),
        weights_(weights),
        bias_(bias),
        y_(y),
        winners_(winners),
        type_(winners == nullptr ? WinnerType::none : winner_type(pool)),
        offsets_(offsets_across(pool)),
        pieces_(pool.width().out, pool.channels),
        pooled_rows_(rows_per_band(pool)),
        layout_(c.source, whole_rows_grid(c.source, rows_under_at_most(pool.height(), pooled_rows_)), Runs::rows) {}

  void run() {
    const int64_t bands = (pool_.height().out + pooled_rows_ - 1) / pooled_rows_;
    const int64_t tasks = pool_.images * pool_.depth().out * bands;
    const int threads = threads_for(tasks, c_.flops() / kFlopsPerOperation);
    const int64_t band_floats = rows_under_at_most(pool_.height(), pooled_rows_) * pool_.row();
    const Scratch scratch(threads, static_cast<size_t>(layout_.scratch_floats() + band_floats));
    parallel_tasks(tasks, threads, [&](int64_t task, int thread) {
      const int64_t begin = task % bands * pooled_rows_;
      run_band(task / bands, {begin, std::min(pool_.height().out, begin + pooled_rows_)}, scratch.part(thread));
    });
  }

 private:
  void run_band(int64_t plane, PoolSpan pooled, float* scratch) const {
    const int64_t depths = pool_.depth().in;
    const PoolSpan rows = rows_under(pool_.height(), pooled.begin, pooled.end);
    const OutputBlock block{plane / depths, plane % depths, rows.begin, rows.end, 0, pool_.width().in};
    float* band = scratch + layout_.scratch_floats();
    for (int64_t group = 0; group < c_.groups; ++group) {
      const WindowView view = layout_.view(block, x_, group * c_.source.channels, scratch);
      direct_block(c_, layout_, view, weights_, bias_,
                   {block.rows(), block.cols(), group, 0, weights_.panels().count()}, false, band);
    }
    for (int64_t row = pooled.begin; row < pooled.end; ++row) {
      const int64_t line = plane * pool_.height().out + row, to = line * pool_.out_row();
      for (int64_t piece = 0; piece < pieces_.pieces; ++piece) {
        const int64_t begin = piece * pieces_.piece;
        PoolRow r = pool_row(pool_, line, begin, std::min(pieces_.length, begin + pieces_.piece), offsets_);
        r.depth.start = 0;  // the band is all that there is
        r.height.start -= rows.begin;
        kernels().max_pool_row(r, band, y_ + to, type_, const_cast<void*>(winners_at(winners_, type_, to)));
      }
    }
  }

  const Correlation& c_;
  const PoolShape& pool_;
  const float* x_;
  const PackedWeights& weights_;
  const float* bias_;
  float* y_;
  void* winners_;
  WinnerType type_;
  std::vector<int32_t> offsets_;
  RowPieces pieces_;
  int64_t pooled_rows_;
  WindowLayout layout_;
};

// Whether a few rows at a time are to be pooled.
bool bands_pay(const ConvShape& shape, const PoolShape& pool) {
  if (forward_route(shape).loops != ConvRoute::Loops::direct) return false;
  const Axis &depth = pool.depth(), &height = pool.height();
  if (depth.window != 1 || depth.stride != 1 || depth.pad_before != 0) return false;
  const int64_t pooled_rows = rows_per_band(pool), rows = rows_under_at_most(height, pooled_rows);
  if (rows * pool.row() > kBandFloats) return false;
  if (shape.taps() * shape.group_in_channels() * shape.out_channels > kWeightFloats) return false;
  // The rows that are computed twice must be few.
  return rows == height.in || 8 * (height.reach() - height.stride) <= pooled_rows * height.stride;
}

// Whether the gradient to the weights is to be summed up from the winners alone.
bool winners_pay(const ConvShape& shape, const PoolShape& pool) {
  return pooled_weights_pay(shape, pool) && backward_weights_route(shape).loops == ConvRoute::Loops::direct;
}

bool joined_backward_weights(const ConvShape& shape, const PoolShape& pool) {
  return shape.images > 0 && shape.groups == 1 && !pointwise(shape) && max_pool_spreads_rows(pool) &&
         backward_weights_route(shape).loops == ConvRoute::Loops::direct;
}

// Whether the gradients were found from tiles that read what is behind the pooling. Where one of the two passes needs
// the gradient before it, the other takes it too.
bool backward_in_tiles(const ConvShape& shape, const PoolShape& pool, const float* x, const float* w, const float* dy,
                       const void* winners, float* dx, float* dw) {
  if (dx != nullptr && !backward_data_reads_pooled(shape, pool)) return false;
  if (dw != nullptr && !backward_weights_reads_pooled(shape, pool)) return false;
  const PooledInput pooled(pool, dy, static_cast<const uint8_t*>(winners));
  if (dx != nullptr) conv_backward_data(shape, pooled, w, dx);
  if (dw != nullptr) conv_backward_weights(shape, x, pooled, dw);
  return true;
}

size_t floats_between(const PoolShape& pool) { return static_cast<size_t>(pool.images * pool.image()); }

}  // namespace

void require_conv_pool(const ConvShape& shape, const PoolShape& pool) {
  if (shape.y_dims() != pool.x_dims) {
    throw std::invalid_argument("conv_pool: the pooling is of shape " + dims_text(pool.x_dims) +
                                ", the convolution's output of " + dims_text(shape.y_dims()));
  }
}

bool conv_pool_joined(const ConvShape& shape, const PoolShape& pool, bool with_gradients) {
  if (shape.images == 0 || pointwise(shape)) return false;
  if (pools_tiles(shape, pool)) return with_gradients;
  if (bands_pay(shape, pool) || conv_pool_lines_pay(shape, pool, Activation::linear)) return true;
  const ConvRoute::Loops loops = forward_route(shape).loops;
  const bool plain =
      loops == ConvRoute::Loops::direct || loops == ConvRoute::Loops::lines || loops == ConvRoute::Loops::images;
  return with_gradients && plain && winners_pay(shape, pool);
}

void conv_pool_forward(const ConvShape& shape, const PoolShape& pool, const float* x, const float* w, const float* bias,
                       Activation activation, float alpha, float* y, void* winners) {
  if (piecewise_linear(activation) && pools_tiles(shape, pool)) {
    winograd_pool_forward(shape, pool, x, w, bias, activation, alpha, y, static_cast<uint8_t*>(winners));
    return;
  }
  if (conv_pool_lines_pay(shape, pool, activation)) {
    conv_pool_lines(shape, pool, x, w, bias, activation, alpha, y, static_cast<uint8_t*>(winners));
    return;
  }
  if (!bands_pay(shape, pool)) {
    const Scratch between(floats_between(pool));
    conv_forward(shape, x, w, bias, activation, alpha, between.data());
    max_pool_forward(pool, between.data(), y, winners);
    return;
  }
  if (conv_pool_windows_pay(shape, pool, activation)) {
    conv_pool_windows(shape, pool, x, w, bias, activation, alpha, y, static_cast<uint8_t*>(winners));
    return;
  }
  const Correlation c = forward_correlation(shape, activation, alpha);
  const PackedWeights weights(forward_weights(shape, w), c.groups, c.source.channels, direct_panels(c));
  Bands(c, pool, x, weights, bias, y, winners).run();
}

void conv_pool_backward(const ConvShape& shape, const PoolShape& pool, const float* x, const float* w, const float* dy,
                        const void* winners, float* dx, float* dw) {
  if (dx == nullptr && dw == nullptr) return;
  if (dx == nullptr && winners_pay(shape, pool) && all_finite(x, shape)) {
    pooled_backward_weights(shape, pool, x, dy, static_cast<const uint8_t*>(winners), dw);
    return;
  }
  if (dx == nullptr && joined_backward_weights(shape, pool)) {
    conv_backward_weights(shape, x, PooledGradient(pool, dy, winners), dw);
    return;
  }
  if (backward_in_tiles(shape, pool, x, w, dy, winners, dx, dw)) return;
  const Scratch between(floats_between(pool));
  max_pool_backward(pool, dy, winners, between.data());
  if (dx != nullptr) conv_backward_data(shape, between.data(), w, dx);
  if (dw != nullptr) conv_backward_weights(shape, x, between.data(), dw, nullptr);
}

}  // namespace cnnfast
