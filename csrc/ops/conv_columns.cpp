#include "ops/conv_columns.h"

#include <algorithm>
#include <cstring>

#include "dispatch.h"
#include "ops/panels.h"
#include "runtime/memory.h"
#include "runtime/parallel.h"

namespace cnnfast {
namespace {

constexpr int64_t kMostChannels = 8;
constexpr int64_t kBandFloats = (128 << 10) / 4;
constexpr int kTasksPerThread = 4;

bool plain(const Axis& a) { return a.window == 1 && a.stride == 1 && a.pad_before == 0 && a.in == a.out; }

class ColumnGradient {
 public:
  ColumnGradient(const ConvShape& shape, const float* dy, const float* w, const float* bias, Activation activation,
                 float alpha, float* dx)
      : shape_(shape),
        h_(shape.axis[1]),
        w_(shape.axis[2]),
        dy_(dy),
        bias_(bias),
        activation_(activation),
        alpha_(alpha),
        dx_(dx),
        planes_(shape.images * shape.axis[0].out),
        columns_(shape.taps() * shape.in_channels),
        weights_(weight_view(shape, w), 1, shape.out_channels, PanelGrid(columns_, kernels().limits.lanes, 2)),
        row_floats_(((w_.out - 1) * w_.stride + w_.reach()) * shape.in_channels) {
    column_row_ = weights_.panels().width() * weights_.panels().count();
  }

  void run() {
    int64_t rows = std::clamp<int64_t>(kBandFloats / row_floats_, std::min(h_.in, h_.reach()), h_.in);
    const int threads = threads_for(INT32_MAX, shape_.flops() / kFlopsPerOperation);
    while (threads > 1 && planes_ * ((h_.in + rows - 1) / rows) < kTasksPerThread * threads && rows > 2 * h_.reach()) {
      rows = (rows + 1) / 2;
    }
    const int64_t bands = (h_.in + rows - 1) / rows;
    // A band holds the rows' full span: windows reach into the padding on both sides.
    const int64_t band_row = std::max(row_floats_, (w_.pad_before + w_.in) * shape_.in_channels);
    const Scratch scratch(threads, static_cast<size_t>(rows * band_row + w_.out * column_row_));
    parallel_tasks(planes_ * bands,
                   std::min<int>(threads, static_cast<int>(std::min<int64_t>(planes_ * bands, 1 << 20))),
                   [&](int64_t task, int thread) {
                     float* band = scratch.part(thread);
                     const int64_t begin = task % bands * rows, end = std::min(h_.in, begin + rows);
                     run_band(task / bands, begin, end, band_row, band, band + rows * band_row);
                   });
  }

 private:
  // The weights as a matrix from output channels to (tap, input channel) columns.
  static WeightView weight_view(const ConvShape& shape, const float* w) {
    WeightView view;
    view.w = w;
    view.group_stride = 0;
    view.tap_stride = 0;
    view.in_stride = 1;
    view.out_stride = shape.out_channels;
    view.taps = {0};
    return view;
  }

  void run_band(int64_t plane, int64_t begin, int64_t end, int64_t band_row, float* band, float* columns) const {
    fill_bias(band, (end - begin) * band_row);
    // Output rows whose windows touch rows [begin, end) of the input.
    const int64_t first = std::max<int64_t>(0, (begin + h_.pad_before - h_.reach() + h_.stride) / h_.stride);
    const int64_t last = std::min(h_.out - 1, (end - 1 + h_.pad_before) / h_.stride);
    for (int64_t o = first; o <= last; ++o) {
      bool computed = false;
      for (int64_t kh = 0; kh < h_.window; ++kh) {
        const int64_t row = o * h_.stride - h_.pad_before + kh * h_.dilation;
        if (row < begin || row >= end) continue;
        if (!computed) compute_columns(plane, o, columns);
        computed = true;
        add_row(columns + kh * w_.window * shape_.in_channels, band + (row - begin) * band_row);
      }
    }
    for (int64_t row = begin; row < end; ++row) {
      const float* from = band + (row - begin) * band_row + w_.pad_before * shape_.in_channels;
      float* to = dx_ + ((plane * h_.in + row) * w_.in) * shape_.in_channels;
      kernels().activation_forward(activation_, alpha_, from, to, w_.in * shape_.in_channels);
    }
  }

  void fill_bias(float* band, int64_t floats) const {
    if (bias_ == nullptr) {
      std::memset(band, 0, sizeof(float) * static_cast<size_t>(floats));
      return;
    }
    for (int64_t i = 0; i < floats; i += shape_.in_channels) {
      for (int64_t c = 0; c < shape_.in_channels; ++c) band[i + c] = bias_[c];
    }
  }

  void compute_columns(int64_t plane, int64_t o, float* columns) const {
    static constexpr int64_t kOneRun[1] = {0};
    ConvTile t{};
    t.x = dy_ + (plane * h_.out + o) * w_.out * shape_.out_channels;
    t.x_pixel = shape_.out_channels;
    t.runs = kOneRun;
    t.run_count = 1;
    t.run_length = static_cast<int>(shape_.out_channels);
    t.y_pixel = column_row_;
    t.pixels = w_.out;
    t.activation = Activation::linear;
    for (int64_t panel = 0; panel < weights_.panels().count(); ++panel) {
      t.w = weights_.panel(0, panel);
      t.y = columns + weights_.panels().begin(panel);
      t.channels = weights_.panels().padded(panel);
      t.vectors = weights_.panels().vectors(panel);
      kernels().conv_tile(t);
    }
  }

  // One tap row of all the windows in an output row.
  void add_row(const float* columns, float* row) const {
    AddRuns add;
    add.from_pixel = column_row_;
    add.to_pixel = w_.stride * shape_.in_channels;
    add.pixels = w_.out;
    const bool whole = w_.dilation == 1;
    add.length = static_cast<int>(whole ? w_.window * shape_.in_channels : shape_.in_channels);
    for (int64_t kw = 0; kw < (whole ? 1 : w_.window); ++kw) {
      add.from = columns + kw * shape_.in_channels;
      add.to = row + kw * w_.dilation * shape_.in_channels;
      kernels().add_runs(add);
    }
  }

  const ConvShape& shape_;
  const Axis &h_, &w_;
  const float *dy_, *bias_;
  Activation activation_;
  float alpha_;
  float* dx_;
  int64_t planes_, columns_;
  PackedWeights weights_;
  int64_t row_floats_, column_row_;
};

}  // namespace

bool columns_pay(const ConvShape& shape) {
  return shape.groups == 1 && shape.in_channels <= kMostChannels && shape.images > 0 && !shape.flip_kernel &&
         plain(shape.axis[0]) && shape.taps() > 1 && shape.algorithm == ConvAlgorithm::automatic;
}

void conv_transposed_columns(const ConvShape& shape, const float* dy, const float* w, const float* bias,
                             Activation activation, float alpha, float* dx) {
  ColumnGradient(shape, dy, w, bias, activation, alpha, dx).run();
}

}  // namespace cnnfast
