#include "ops/pooled_weights.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <vector>

#include "dispatch.h"
#include "ops/max_pool.h"
#include "ops/pool_rows.h"
#include "ops/reduce.h"
#include "ops/window.h"
#include "runtime/memory.h"
#include "runtime/parallel.h"

namespace cnnfast {
namespace {

constexpr int64_t kBandFloats = (128 << 10) / 4;  // of a band's input
constexpr int64_t kMostChunks = 32;
constexpr int64_t kMostSums = (64 << 10) / 4;  // of one chunk

// A window's runs cut into pieces of the same length that fill vectors as far as possible: the last of a run begins
// where it ends with the run, so that neighbours may share elements.
struct Pieces {
  int64_t per_run, lanes;

  Pieces(int64_t run_length, int64_t vector)
      : per_run((run_length + vector - 1) / vector), lanes((run_length + per_run - 1) / per_run) {}
  int64_t begin(int64_t piece, int64_t run_length) const { return std::min(piece * lanes, run_length - lanes); }
};

class PooledWeights {
 public:
  PooledWeights(const ConvShape& shape, const PoolShape& pool, const float* x, const float* dy, const uint8_t* winners)
      : shape_(shape),
        pool_(pool),
        source_(shape.window_source()),
        x_(x),
        dy_(dy),
        winners_(winners),
        vector_(kernels().limits.lanes),
        pooled_rows_(rows_per_band()),
        layout_(source_, whole_rows_grid(source_, rows_under_at_most(pool.height(), pooled_rows_)), Runs::rows),
        pieces_(layout_.run_length(), vector_) {
    for (const int64_t run : layout_.runs()) {
      for (int64_t p = 0; p < pieces_.per_run; ++p) offsets_.push_back(run + pieces_.begin(p, layout_.run_length()));
    }
    bands_ = (pool.height().out + pooled_rows_ - 1) / pooled_rows_;
    units_ = pool.images * pool.depth().out * bands_;
    chunks_ = std::min(units_, kMostChunks);
    sums_ = shape.out_channels * static_cast<int64_t>(offsets_.size()) * vector_;
  }

  void run(float* dw) const {
    const Scratch sums(static_cast<size_t>(chunks_ * sums_));
    const double products = static_cast<double>(pool_.images) * static_cast<double>(pool_.out_image()) *
                            static_cast<double>(source_.window_floats());
    const int threads = threads_for(chunks_, 2 * products / kFlopsPerOperation);
    const Scratch scratch(threads, static_cast<size_t>(layout_.scratch_floats()));
    parallel_tasks(chunks_, threads, [&](int64_t chunk, int thread) {
      float* to = sums.data() + chunk * sums_;
      std::memset(to, 0, sizeof(float) * static_cast<size_t>(sums_));
      for (int64_t unit = units_ * chunk / chunks_; unit < units_ * (chunk + 1) / chunks_; ++unit) {
        const int64_t begin = unit % bands_ * pooled_rows_;
        add_band(unit / bands_, {begin, std::min(pool_.height().out, begin + pooled_rows_)}, scratch.part(thread), to);
      }
    });
    for (int64_t chunk = 1; chunk < chunks_; ++chunk) {
      kernels().add(sums.data(), sums.data() + chunk * sums_, sums.data(), sums_);
    }
    unpack(sums.data(), dw);
  }

 private:
  int64_t rows_per_band() const {
    const int64_t row = source_.axis[2].in * source_.pixel_channels * source_.axis[0].window;
    const Axis &conv = source_.axis[1], &height = pool_.height();
    const int64_t rows = (kBandFloats / row - conv.reach()) / conv.stride + 1;
    return std::clamp<int64_t>((rows - height.reach()) / height.stride + 1, 1, height.out);
  }

  void add_band(int64_t plane, PoolSpan pooled, float* scratch, float* sums) const {
    const Axis &height = pool_.height(), &width = pool_.width();
    const PoolSpan rows = rows_under(height, pooled.begin, pooled.end);
    const int64_t depths = pool_.depth().in;
    const WindowView view =
        layout_.view({plane / depths, plane % depths, rows.begin, rows.end, 0, width.in}, x_, 0, scratch);
    std::vector<int64_t> taps;
    for (int64_t h = 0; h < height.window; ++h) {
      for (int64_t w = 0; w < width.window; ++w) {
        taps.push_back(h * height.dilation * view.row + w * width.dilation * view.pixel);
      }
    }
    PooledWeightsRow row;
    row.x_pixel = width.stride * view.pixel;
    row.taps = taps.data();
    row.pixels = width.out;
    row.channels = pool_.channels;
    row.pieces = offsets_.data();
    row.piece_count = static_cast<int>(offsets_.size());
    row.lanes = static_cast<int>(pieces_.lanes);
    row.sums = sums;
    for (int64_t r = pooled.begin; r < pooled.end; ++r) {
      const int64_t from = (plane * height.out + r) * pool_.out_row();
      row.x =
          view.first + (r * height.stride - height.pad_before - rows.begin) * view.row - width.pad_before * view.pixel;
      row.dy = dy_ + from;
      row.winners = winners_ + from;
      kernels().pooled_weights_row(row);
    }
  }

  void unpack(const float* sums, float* dw) const {
    const int64_t pieces = static_cast<int64_t>(offsets_.size()), run_length = layout_.run_length();
    for (int64_t k = 0; k < shape_.out_channels; ++k) {
      for (int64_t p = 0; p < pieces; ++p, sums += vector_) {
        const int64_t element = p / pieces_.per_run * run_length + pieces_.begin(p % pieces_.per_run, run_length);
        for (int64_t e = 0; e < pieces_.lanes; ++e) dw[(element + e) * shape_.out_channels + k] = sums[e];
      }
    }
  }

  const ConvShape& shape_;
  const PoolShape& pool_;
  WindowSource source_;
  const float *x_, *dy_;
  const uint8_t* winners_;
  int64_t vector_, pooled_rows_;
  WindowLayout layout_;
  Pieces pieces_;
  std::vector<int64_t> offsets_;
  int64_t bands_, units_, chunks_, sums_;
};

}  // namespace

bool pooled_weights_pay(const ConvShape& shape, const PoolShape& pool) {
  const Axis& depth = pool.depth();
  if (shape.images == 0 || shape.groups > 1 || shape.flip_kernel || winner_type(pool) != WinnerType::byte) return false;
  if (depth.window != 1 || depth.stride != 1 || depth.pad_before != 0) return false;
  const int64_t lanes = kernels().limits.lanes, channels = shape.out_channels;
  const int64_t run = (shape.axis[2].dilation == 1 ? shape.axis[2].window : 1) * shape.in_channels;
  const int64_t elements = shape.taps() * shape.in_channels, pieces = elements / run * Pieces(run, lanes).per_run;
  if (channels * pieces * lanes > kMostSums) return false;
  // In about processor cycles for a pooled pixel. Spreading the gradient costs as much as five elements.
  const double pixels = static_cast<double>(pool.height().stride) * static_cast<double>(pool.width().stride);
  const int64_t vectors = (channels + lanes - 1) / lanes;
  return static_cast<double>(2 * channels * pieces) < pixels * static_cast<double>(vectors * (elements + 5));
}

bool all_finite(const float* x, const ConvShape& shape) {
  std::vector<float> sums(static_cast<size_t>(shape.in_channels));
  const int64_t pixels = shape.images * shape.axis[0].in * shape.axis[1].in * shape.axis[2].in;
  channel_sums(x, pixels, shape.in_channels, sums.data());
  return std::all_of(sums.begin(), sums.end(), [](float sum) { return std::isfinite(sum); });
}

void pooled_backward_weights(const ConvShape& shape, const PoolShape& pool, const float* x, const float* dy,
                             const uint8_t* winners, float* dw) {
  PooledWeights(shape, pool, x, dy, winners).run(dw);
}

}  // namespace cnnfast
