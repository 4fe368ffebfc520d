// The gradient to the input: one stride-1 correlation for every phase of the stride.
//
// Input i receives dy[o] * w[t] wherever i = o * stride - pad + t * dilation. All i of one residue modulo the stride
// use the same taps, an arithmetic progression, and their o moves by one from i to i + stride: over these i the
// gradient is a correlation of dy with those taps in reverse.
#include <algorithm>
#include <cstring>
#include <numeric>

#include "dispatch.h"
#include "ops/conv.h"
#include "ops/conv_columns.h"
#include "ops/conv_images.h"
#include "ops/conv_lines.h"
#include "ops/correlation.h"
#include "ops/few_rows.h"
#include "ops/winograd_pooled.h"

namespace cnnfast {
namespace {

struct Phase {
  int64_t start;              // the first input position; the others follow at the stride
  Axis axis;                  // of the correlation over dy
  std::vector<int64_t> taps;  // of the kernel, in the correlation's order; empty: nothing arrives here
};

Phase make_phase(const Axis& forward, int64_t start) {
  Phase phase;
  phase.start = start;
  const int64_t count = (forward.in - start + forward.stride - 1) / forward.stride;
  const int64_t step = forward.stride / std::gcd(forward.stride, forward.dilation);
  // t reaches this phase where start + pad - t * dilation is a multiple of the stride.
  int64_t first = 0;
  const int64_t end = std::min(step, forward.window);
  while (first < end && (start + forward.pad_before - first * forward.dilation) % forward.stride != 0) ++first;
  for (int64_t t = first; first < end && t < forward.window; t += step) phase.taps.insert(phase.taps.begin(), t);
  const auto taps = static_cast<int64_t>(phase.taps.size());
  const int64_t dilation = step * forward.dilation / forward.stride;
  // Tap `first` of the phase's first input comes from this output; further taps from outputs before it.
  const int64_t first_output = taps == 0 ? 0 : (start + forward.pad_before - first * forward.dilation) / forward.stride;
  phase.axis = Axis{forward.out, count, taps, 1, dilation, (taps - 1) * dilation - first_output};
  return phase;
}

std::vector<Phase> phases_of(const Axis& forward) {
  std::vector<Phase> phases;
  for (int64_t start = 0; start < forward.stride && start < forward.in; ++start) {
    phases.push_back(make_phase(forward, start));
  }
  return phases;
}

ConvPass pass_of(const ConvShape& shape) {
  const bool strided = std::any_of(shape.axis.begin(), shape.axis.end(), [](const Axis& a) { return a.stride > 1; });
  return strided ? ConvPass::phase : ConvPass::gradient;
}

// One phase on each axis.
class PhaseGradient {
 public:
  PhaseGradient(const ConvShape& shape, const Phase& d, const Phase& h, const Phase& w) : shape_(shape) {
    c_.source = WindowSource{{d.axis, h.axis, w.axis}, shape.out_channels, shape.group_out_channels()};
    c_.images = shape.images;
    c_.groups = shape.groups;
    c_.out_channels = shape.group_in_channels();
    const int64_t row = shape.axis[2].in * shape.in_channels, plane = shape.axis[1].in * row;
    c_.y_pixel = shape.axis[2].stride * shape.in_channels;
    c_.y_row = shape.axis[1].stride * row;
    c_.y_plane = shape.axis[0].stride * plane;
    c_.y_image = shape.axis[0].in * plane;
    offset_ = d.start * plane + h.start * row + w.start * shape.in_channels;
    for (const int64_t kd : d.taps) {
      for (const int64_t kh : h.taps) {
        for (const int64_t kw : w.taps) {
          taps_.push_back((kd * shape.axis[1].window + kh) * shape.axis[2].window + kw);
        }
      }
    }
  }

  // Adds the phase's correlation of dy to `parts`, or fills it where there is none.
  void add_to(std::vector<CorrelationPart>& parts, const float* w, const float* bias, Activation activation,
              float alpha, float* dx, const PooledInput* pooled = nullptr) {
    c_.pass = pass_of(shape_);
    c_.activation = activation;
    c_.alpha = alpha;
    c_.pooled_input = pooled;
    // A phase may have too few taps for the transform that was asked for.
    c_.algorithm = can_run(shape_.algorithm, c_.source) ? shape_.algorithm : ConvAlgorithm::direct;
    WeightView view;
    view.w = w;
    view.group_stride = shape_.group_out_channels();
    view.tap_stride = shape_.group_in_channels() * shape_.out_channels;
    view.in_stride = 1;
    view.out_stride = shape_.out_channels;
    view.taps = taps_;
    if (shape_.flip_kernel) {
      for (int64_t& tap : view.taps) tap = shape_.taps() - 1 - tap;
    }
    if (taps_.empty()) {
      // No tap ends here: a window of one tap whose weights are zero.
      fill(bias, activation, alpha, dx);
    } else {
      parts.push_back({c_, view, dx + offset_});
    }
  }

 private:
  void fill(const float* bias, Activation activation, float alpha, float* dx) const {
    std::vector<float> pixel(static_cast<size_t>(shape_.in_channels), 0.0f);
    if (bias != nullptr) pixel.assign(bias, bias + shape_.in_channels);
    kernels().activation_forward(activation, alpha, pixel.data(), pixel.data(), shape_.in_channels);
    const auto& a = c_.source.axis;
    for (int64_t n = 0; n < c_.images; ++n) {
      for (int64_t d = 0; d < a[0].out; ++d) {
        for (int64_t h = 0; h < a[1].out; ++h) {
          float* row = dx + offset_ + n * c_.y_image + d * c_.y_plane + h * c_.y_row;
          for (int64_t w = 0; w < a[2].out; ++w) {
            std::memcpy(row + w * c_.y_pixel, pixel.data(), pixel.size() * sizeof(float));
          }
        }
      }
    }
  }

  const ConvShape& shape_;
  Correlation c_;
  int64_t offset_;
  std::vector<int64_t> taps_;
};

// Of the phases the one with the most taps: it has the most work.
WindowSource largest_phase(const ConvShape& shape) {
  const auto fewer_taps = [](const Phase& a, const Phase& b) { return a.taps.size() < b.taps.size(); };
  WindowSource source{{}, shape.out_channels, shape.group_out_channels()};
  for (size_t i = 0; i < 3; ++i) {
    const std::vector<Phase> phases = phases_of(shape.axis[i]);
    source.axis[i] = std::max_element(phases.begin(), phases.end(), fewer_taps)->axis;
  }
  return source;
}

// Columns need fewer products where windows leave dy, but are written and added up: that pays for many channels of dy.
bool takes_columns(const ConvShape& shape) {
  constexpr int64_t kChannelsForEach = 8;
  if (!columns_pay(shape)) return false;
  if (shape.algorithm == ConvAlgorithm::columns) return true;
  if (pass_of(shape) == ConvPass::gradient && images_pay(largest_phase(shape), shape.images, shape.in_channels)) {
    return false;
  }
  const bool few = shape.out_channels <= kChannelsForEach * shape.in_channels;
  return !(few && lines_pay(largest_phase(shape), shape.in_channels));
}

}  // namespace

std::string backward_data_route(const ConvShape& convolution) {
  const ConvShape shape = as_product(convolution);
  if (has_few_rows(shape)) return few_rows_route().name();
  if (takes_columns(shape)) return "columns";
  const WindowSource source = largest_phase(shape);
  size_t count = 1;
  for (const Axis& axis : shape.axis) count *= phases_of(axis).size();
  const ConvAlgorithm algorithm = can_run(shape.algorithm, source) ? shape.algorithm : ConvAlgorithm::direct;
  const std::string name =
      route_convolution(source, shape.images, shape.groups, shape.group_in_channels(), algorithm, pass_of(shape))
          .name();
  return count == 1 ? name : name + " in " + std::to_string(count) + " phases";
}

void conv_transposed(const ConvShape& convolution, const float* dy, const float* w, const float* bias,
                     Activation activation, float alpha, float* dx) {
  const ConvShape shape = as_product(convolution);
  std::vector<float> row;  // the bias for all values of an image, where that is one row of a matrix
  if (bias != nullptr && shape.in_channels != convolution.in_channels) {
    for (int64_t tap = 0; tap < convolution.taps(); ++tap) {
      row.insert(row.end(), bias, bias + convolution.in_channels);
    }
    bias = row.data();
  }
  if (has_few_rows(shape)) {
    few_rows_backward_data(shape, dy, w, bias, activation, alpha, dx);
    return;
  }
  if (takes_columns(shape)) {
    conv_transposed_columns(shape, dy, w, bias, activation, alpha, dx);
    return;
  }
  std::vector<CorrelationPart> parts;
  for (const Phase& d : phases_of(shape.axis[0])) {
    for (const Phase& h : phases_of(shape.axis[1])) {
      for (const Phase& col : phases_of(shape.axis[2])) {
        PhaseGradient(shape, d, h, col).add_to(parts, w, bias, activation, alpha, dx);
      }
    }
  }
  correlate_parts(parts, dy, bias);
}

bool backward_data_reads_pooled(const ConvShape& shape, const PoolShape& pool) {
  if (pass_of(shape) == ConvPass::phase || has_few_rows(shape) || takes_columns(shape)) return false;
  const WindowSource source = largest_phase(shape);
  if (!can_run(shape.algorithm, source)) return false;
  const ConvRoute route = route_convolution(source, shape.images, shape.groups, shape.group_in_channels(),
                                            shape.algorithm, ConvPass::gradient);
  if (route.loops != ConvRoute::Loops::winograd || !pooled_in_tiles(shape, pool, route.kind)) return false;
  // The kernels know tiles that begin with windows, or amid them, along both axes.
  return route.kind.vertical == WinogradAxis::unit || (source.axis[1].pad_before - source.axis[2].pad_before) % 2 == 0;
}

void conv_backward_data(const ConvShape& shape, const PooledInput& dy, const float* w, float* dx) {
  std::vector<CorrelationPart> parts;
  PhaseGradient(shape, make_phase(shape.axis[0], 0), make_phase(shape.axis[1], 0), make_phase(shape.axis[2], 0))
      .add_to(parts, w, nullptr, Activation::linear, 0, dx, &dy);
  correlate_parts(parts, dy.values(), nullptr);
}

void conv_backward_data(const ConvShape& shape, const float* dy, const float* w, float* dx) {
  conv_transposed(shape, dy, w, nullptr, Activation::linear, 0, dx);
}

}  // namespace cnnfast
