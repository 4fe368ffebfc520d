#include "ops/conv_columns.h"

#include <algorithm>
#include <cstring>
#include <numeric>
#include <vector>

#include "dispatch.h"
#include "ops/panels.h"
#include "runtime/memory.h"
#include "runtime/parallel.h"

namespace cnnfast {
namespace {

constexpr int64_t kMostChannels = 8;
constexpr int64_t kBandFloats = (128 << 10) / 4;
constexpr int64_t kGroupOutputs = 64;
constexpr int kPanelVectors = 2;
constexpr int kTasksPerThread = 4;

// For some rows of outputs a matrix product gives what each tap and channel of the window receives, as rows over the
// outputs ("columns"): the weights' rows times dy transposed, so that vectors run along the image and are full
// however few the channels are. The rows are then added up, shifted by their taps, into a band of dx that is kept
// channel by channel, and for a stride phase by phase: at every stride the shifted rows are contiguous.
class ColumnGradient {
 public:
  ColumnGradient(const ConvShape& shape, const float* dy, const float* w, const float* bias, Activation activation,
                 float alpha, float* dx)
      : shape_(shape),
        d_(shape.axis[0]),
        h_(shape.axis[1]),
        w_(shape.axis[2]),
        dy_(dy),
        weights_(w),
        bias_(bias),
        activation_(activation),
        alpha_(alpha),
        dx_(dx),
        lanes_(kernels().limits.lanes),
        group_rows_(std::clamp<int64_t>(kGroupOutputs / w_.out, 1, h_.out)),
        column_row_((group_rows_ * w_.out + lanes_ - 1) / lanes_ * lanes_),
        phase_floats_(1 + std::max(w_.out - 1 + (w_.reach() - 1) / w_.stride, (w_.pad_before + w_.in - 1) / w_.stride)),
        channel_floats_(w_.stride * phase_floats_),
        row_floats_(shape.in_channels * channel_floats_) {
    for (int64_t kw = 0; kw < w_.window; ++kw) {
      const int64_t shift = kw * w_.dilation;
      tap_offsets_.push_back(shift % w_.stride * phase_floats_ + shift / w_.stride);
    }
  }

  void run() {
    const int64_t planes = shape_.images * d_.in;
    int64_t rows = std::clamp<int64_t>(kBandFloats / row_floats_, std::min(h_.in, h_.reach()), h_.in);
    const int threads = threads_for(INT32_MAX, shape_.flops() / kFlopsPerOperation);
    while (threads > 1 && planes * ((h_.in + rows - 1) / rows) < kTasksPerThread * threads && rows > 2 * h_.reach()) {
      rows = (rows + 1) / 2;
    }
    const int64_t bands = (h_.in + rows - 1) / rows, tasks = planes * bands;
    const int64_t columns = h_.window * w_.window * shape_.in_channels * column_row_;
    const int64_t dy_panel = shape_.out_channels * lanes_ * kPanelVectors;
    const int used = threads_for(tasks, shape_.flops() / kFlopsPerOperation);
    const Scratch scratch(used, static_cast<size_t>(rows * row_floats_ + columns + dy_panel));
    parallel_tasks(tasks, used, [&](int64_t task, int thread) {
      float* band = scratch.part(thread);
      const int64_t begin = task % bands * rows;
      run_band(task / bands, begin, std::min(h_.in, begin + rows), band, band + rows * row_floats_);
    });
  }

 private:
  void run_band(int64_t plane, int64_t begin, int64_t end, float* band, float* columns) const {
    std::memset(band, 0, sizeof(float) * static_cast<size_t>((end - begin) * row_floats_));
    const int64_t image = plane / d_.in, depth = plane % d_.in;
    for (int64_t kd = 0; kd < d_.window; ++kd) {
      const int64_t from = depth + d_.pad_before - kd * d_.dilation;
      if (from < 0 || from % d_.stride != 0 || from / d_.stride >= d_.out) continue;
      add_plane(image * d_.out + from / d_.stride, kd, begin, end, band, columns);
    }
    for (int64_t row = begin; row < end; ++row) {
      write_row(band + (row - begin) * row_floats_, dx_ + (plane * h_.in + row) * w_.in * shape_.in_channels);
    }
  }

  // The tap rows [first, last) through which output row `o` reaches rows [begin, end) of the input.
  struct TapRows {
    int64_t first, last;
  };
  TapRows tap_rows(int64_t o, int64_t begin, int64_t end) const {
    const int64_t top = o * h_.stride - h_.pad_before;
    TapRows rows{0, h_.window};
    while (rows.first < rows.last && top + rows.first * h_.dilation < begin) ++rows.first;
    while (rows.last > rows.first && top + (rows.last - 1) * h_.dilation >= end) --rows.last;
    return rows;
  }

  // Adds what the outputs of one plane give to rows [begin, end) through the taps of depth `kd`.
  void add_plane(int64_t plane, int64_t kd, int64_t begin, int64_t end, float* band, float* columns) const {
    const int64_t first = std::max<int64_t>(0, (begin + h_.pad_before - h_.reach() + h_.stride) / h_.stride);
    const int64_t last = std::min(h_.out, (end - 1 + h_.pad_before) / h_.stride + 1);
    const int64_t tap_row = w_.window * shape_.in_channels;
    // Which rows are added up together must not depend on where the band begins: bands depend on the threads.
    for (int64_t group = first / group_rows_; group * group_rows_ < last; ++group) {
      const int64_t o = std::max(first, group * group_rows_);
      const int64_t count = std::min(last, (group + 1) * group_rows_) - o;
      // Later rows of outputs reach the band through earlier taps.
      const int64_t kh = tap_rows(o + count - 1, begin, end).first, kh_end = tap_rows(o, begin, end).last;
      if (kh >= kh_end) continue;
      compute_columns(dy_ + (plane * h_.out + o) * w_.out * shape_.out_channels, count * w_.out,
                      weights_ + (kd * h_.window + kh) * tap_row * shape_.out_channels, (kh_end - kh) * tap_row,
                      columns);
      const int64_t top = o * h_.stride - h_.pad_before;
      const int64_t lowest = std::max(begin, top + kh * h_.dilation);
      const int64_t past = std::min(end, top + (count - 1) * h_.stride + (kh_end - 1) * h_.dilation + 1);
      for (int64_t row = lowest; row < past; ++row) {
        add_row(columns, o, count, kh, kh_end, row, band + (row - begin) * row_floats_);
      }
    }
  }

  // columns[tap and channel][output] for some neighbouring outputs.
  void compute_columns(const float* dy, int64_t outputs, const float* w, int64_t rows, float* columns) const {
    static constexpr int64_t kOneRun[1] = {0};
    float* dy_panel = columns + h_.window * w_.window * shape_.in_channels * column_row_;
    const PanelGrid panels(outputs, lanes_, kPanelVectors);
    for (int64_t panel = 0; panel < panels.count(); ++panel) {
      PackPanel pack;
      pack.from = dy + panels.begin(panel) * shape_.out_channels;
      pack.row = 1;
      pack.col = shape_.out_channels;
      pack.rows = shape_.out_channels;
      pack.cols = panels.channels(panel);
      pack.padded = panels.padded(panel);
      pack.to = dy_panel;
      kernels().pack_panel(pack);
      ConvTile t{};
      t.x = w;
      t.x_pixel = shape_.out_channels;
      t.runs = kOneRun;
      t.run_count = 1;
      t.run_length = static_cast<int>(shape_.out_channels);
      t.w = dy_panel;
      t.y = columns + panels.begin(panel);
      t.y_pixel = column_row_;
      t.pixels = rows;
      t.channels = panels.padded(panel);
      t.vectors = panels.vectors(panel);
      t.activation = Activation::linear;
      kernels().conv_tile(t);
    }
  }

  // What output rows [o, o + count) give to a row of the band through tap rows [kh, kh_end). A further tap row is met
  // by an earlier output row, always at the same distance in the columns.
  void add_row(const float* columns, int64_t o, int64_t count, int64_t kh, int64_t kh_end, int64_t row,
               float* to) const {
    const int64_t tap_row = w_.window * shape_.in_channels, divisor = std::gcd(h_.stride, h_.dilation);
    AddRuns add;
    add.part = h_.stride / divisor * tap_row * column_row_ - h_.dilation / divisor * w_.out;
    add.parts = 0;
    const float* first = nullptr;
    for (int64_t t = kh; t < kh_end; ++t) {
      const int64_t from = row + h_.pad_before - t * h_.dilation, i = from / h_.stride - o;
      if (from % h_.stride != 0 || i < 0 || i >= count) continue;
      if (add.parts++ == 0) first = columns + (t - kh) * tap_row * column_row_ + i * w_.out;
    }
    if (add.parts == 0) return;
    add.from_run = column_row_;
    add.to_run = channel_floats_;
    add.runs = shape_.in_channels;
    add.length = w_.out;
    for (int64_t kw = 0; kw < w_.window; ++kw) {
      add.from = first + kw * shape_.in_channels * column_row_;
      add.to = to + tap_offsets_[static_cast<size_t>(kw)];
      kernels().add_runs(add);
    }
  }

  void write_row(const float* band, float* dx) const {
    for (int64_t c = 0; c < shape_.in_channels; ++c) {
      const float start = bias_ == nullptr ? 0.0f : bias_[c];
      for (int64_t phase = 0; phase < w_.stride; ++phase) {
        // Positions count from the padding's first.
        const float* from = band + c * channel_floats_ + phase * phase_floats_;
        int64_t i = w_.pad_before <= phase ? 0 : (w_.pad_before - phase + w_.stride - 1) / w_.stride;
        for (int64_t p = phase + i * w_.stride - w_.pad_before; p < w_.in; p += w_.stride, ++i) {
          dx[p * shape_.in_channels + c] = start + from[i];
        }
      }
    }
    if (activation_ != Activation::linear) {
      kernels().activation_forward(activation_, alpha_, dx, dx, w_.in * shape_.in_channels);
    }
  }

  const ConvShape& shape_;
  const Axis &d_, &h_, &w_;
  const float *dy_, *weights_, *bias_;
  Activation activation_;
  float alpha_;
  float* dx_;
  int lanes_;
  int64_t group_rows_;  // rows of outputs that are computed together
  int64_t column_row_, phase_floats_, channel_floats_, row_floats_;
  std::vector<int64_t> tap_offsets_;  // where a tap's first output goes in a row of the band
};

}  // namespace

bool columns_pay(const ConvShape& shape) {
  const Axis& width = shape.axis[2];
  const bool chosen = shape.algorithm == ConvAlgorithm::automatic || shape.algorithm == ConvAlgorithm::columns;
  return chosen && shape.groups == 1 && shape.in_channels <= kMostChannels && shape.images > 0 && !shape.flip_kernel &&
         shape.taps() > 1 && width.stride <= std::max(width.in, width.reach());  // each phase takes room
}

void conv_transposed_columns(const ConvShape& shape, const float* dy, const float* w, const float* bias,
                             Activation activation, float alpha, float* dx) {
  ColumnGradient(shape, dy, w, bias, activation, alpha, dx).run();
}

}  // namespace cnnfast
