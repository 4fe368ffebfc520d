// Convolutions and their gradients against one plain loop over every product that they are made of, in double.
#include <stdexcept>

#include "check.h"
#include "ops/conv.h"

using namespace cnnfast;

namespace {

struct Geometry {
  Dims x, kernel;
  Dims strides, dilation;
  std::vector<std::pair<int64_t, int64_t>> pads;
  int64_t groups;
  ConvAlgorithm algorithm = ConvAlgorithm::direct;
};

// Tails of every vector width in either channel count, one to three axes, groups, depthwise, uneven padding.
const std::vector<Geometry> kGeometries = {
    {{2, 9, 3}, {3, 3, 17}, {1}, {1}, {{1, 1}}, 1},
    {{2, 40, 16}, {5, 16, 33}, {2}, {3}, {{0, 4}}, 1},
    {{1, 6, 7, 1}, {3, 3, 1, 7}, {1, 1}, {1, 1}, {{0, 0}, {0, 0}}, 1},
    {{3, 7, 6, 9}, {3, 2, 9, 31}, {1, 2}, {1, 1}, {{2, 1}, {0, 1}}, 1},
    {{2, 8, 9, 64}, {1, 1, 64, 15}, {1, 1}, {1, 1}, {{0, 0}, {0, 0}}, 1},
    {{2, 8, 9, 12}, {3, 3, 4, 24}, {2, 1}, {1, 2}, {{1, 1}, {2, 2}}, 3},
    {{2, 8, 9, 17}, {3, 3, 1, 17}, {1, 1}, {1, 1}, {{1, 1}, {1, 1}}, 17},
    {{2, 8, 9, 20}, {3, 3, 2, 20}, {2, 1}, {1, 1}, {{1, 1}, {1, 1}}, 10},
    {{2, 7, 13, 12}, {2, 4, 1, 24}, {1, 1}, {1, 2}, {{0, 1}, {3, 3}}, 12},
    {{1, 8, 9, 5}, {3, 3, 1, 10}, {2, 2}, {1, 1}, {{1, 0}, {0, 1}}, 5},
    {{1, 4, 5, 6, 3}, {2, 3, 2, 3, 8}, {1, 2, 1}, {2, 1, 1}, {{1, 1}, {0, 1}, {1, 0}}, 1},
    {{0, 5, 5, 3}, {3, 3, 3, 4}, {1, 1}, {1, 1}, {{0, 0}, {0, 0}}, 1},
    {{2, 7, 9, 3}, {3, 3, 3, 17}, {1, 1}, {1, 1}, {{1, 1}, {1, 1}}, 1, ConvAlgorithm::im2col},
    {{2, 11, 9, 33}, {3, 3, 33, 17}, {1, 1}, {1, 1}, {{1, 1}, {1, 1}}, 1, ConvAlgorithm::winograd_f4x3},
    {{2, 5, 6, 7}, {3, 3, 7, 65}, {1, 1}, {1, 1}, {{0, 2}, {1, 0}}, 1, ConvAlgorithm::winograd_f2x3},
    {{1, 9, 8, 16}, {5, 5, 16, 31}, {1, 1}, {1, 1}, {{2, 2}, {2, 2}}, 1, ConvAlgorithm::winograd_f2x5},
    {{2, 23, 9}, {3, 9, 8}, {1}, {1}, {{1, 1}}, 1, ConvAlgorithm::winograd_f4x3},
    {{1, 13, 11, 9}, {3, 3, 9, 8}, {1, 1}, {2, 3}, {{2, 1}, {3, 3}}, 1, ConvAlgorithm::winograd_f4x3},
    {{2, 10, 9, 5}, {4, 3, 5, 18}, {2, 2}, {1, 1}, {{1, 1}, {0, 1}}, 1, ConvAlgorithm::winograd_f4x2},
    {{1, 5, 8, 7, 6}, {3, 3, 3, 6, 7}, {1, 1, 1}, {1, 1, 1}, {{1, 1}, {1, 1}, {0, 1}}, 1, ConvAlgorithm::winograd_f4x3},
};

ConvShape shape_of(const Geometry& g, bool flip) {
  Padding padding;
  padding.mode = Padding::Mode::explicit_;
  padding.pairs = g.pads;
  ConvShape shape = conv_shape("conv", g.x, g.kernel, g.strides, padding, g.dilation, g.groups, flip);
  shape.algorithm = g.algorithm;
  return shape;
}

// Minimal filtering multiplies by constants of both signs and adds up again: its rounding errors are larger.
double tolerance(const ConvShape& s, int64_t terms) {
  const bool plain = s.algorithm == ConvAlgorithm::direct || s.algorithm == ConvAlgorithm::im2col;
  return check::sum_tolerance(static_cast<double>(terms)) * (plain ? 1 : 16);
}

// The input that a window's tap meets, or -1 in the padding.
int64_t input_at(const Axis& axis, int64_t output, int64_t tap) {
  const int64_t position = output * axis.stride - axis.pad_before + tap * axis.dilation;
  return position >= 0 && position < axis.in ? position : -1;
}

// Calls body(x index, w index, y index) for every product of the convolution.
template <typename Body>
void for_each_product(const ConvShape& s, Body body) {
  const auto& [d, h, w] = s.axis;
  const int64_t taps = s.taps(), inputs = s.group_in_channels(), outputs = s.group_out_channels();
  for (int64_t image = 0; image < s.images; ++image) {
    for (int64_t position = 0; position < d.out * h.out * w.out; ++position) {
      for (int64_t tap = 0; tap < taps; ++tap) {
        const int64_t in_d = input_at(d, position / (h.out * w.out), tap / (h.window * w.window));
        const int64_t in_h = input_at(h, position / w.out % h.out, tap / w.window % h.window);
        const int64_t in_w = input_at(w, position % w.out, tap % w.window);
        if (in_d < 0 || in_h < 0 || in_w < 0) continue;
        const int64_t pixel = ((image * d.in + in_d) * h.in + in_h) * w.in + in_w;
        const int64_t kernel_tap = s.flip_kernel ? taps - 1 - tap : tap;
        for (int64_t k = 0; k < s.out_channels; ++k) {
          for (int64_t c = 0; c < inputs; ++c) {
            body(pixel * s.in_channels + k / outputs * inputs + c, (kernel_tap * inputs + c) * s.out_channels + k,
                 (image * d.out * h.out * w.out + position) * s.out_channels + k);
          }
        }
      }
    }
  }
}

size_t size_of(const Dims& dims) { return static_cast<size_t>(checked_size(dims)); }

void check_forward(const ConvShape& s, const std::vector<float>& x, const std::vector<float>& w) {
  const std::vector<float> bias = check::Random(3).values(s.out_channels);
  std::vector<float> y(size_of(s.y_dims()));
  conv_forward(s, x.data(), w.data(), bias.data(), Activation::relu, 0, y.data());
  std::vector<double> expected(y.size());
  for (size_t i = 0; i < expected.size(); ++i) expected[i] = bias[i % bias.size()];
  for_each_product(s, [&](int64_t xi, int64_t wi, int64_t yi) { expected[yi] += double{x[xi]} * w[wi]; });
  for (double& value : expected) value = value < 0 ? 0 : value;
  CHECK_ALL_CLOSE(y, expected, tolerance(s, s.taps() * s.group_in_channels()));
}

void check_gradients(const ConvShape& s, const std::vector<float>& x, const std::vector<float>& w) {
  const std::vector<float> dy = check::Random(4).values(checked_size(s.y_dims()));
  std::vector<float> dx(x.size()), dw(w.size()), db(static_cast<size_t>(s.out_channels));
  conv_backward_data(s, dy.data(), w.data(), dx.data());
  conv_backward_weights(s, x.data(), dy.data(), dw.data(), db.data());
  std::vector<double> expected_dx(x.size()), expected_dw(w.size()), expected_db(db.size());
  for (size_t i = 0; i < dy.size(); ++i) expected_db[i % db.size()] += dy[i];
  for_each_product(s, [&](int64_t xi, int64_t wi, int64_t yi) {
    expected_dx[xi] += double{dy[yi]} * w[wi];
    expected_dw[wi] += double{dy[yi]} * x[xi];
  });
  CHECK_ALL_CLOSE(dx, expected_dx, tolerance(s, s.taps() * s.group_out_channels()));
  const int64_t positions = s.axis[0].out * s.axis[1].out * s.axis[2].out;
  CHECK_ALL_CLOSE(dw, expected_dw, tolerance(s, s.images * positions));
  CHECK_ALL_CLOSE(db, expected_db, tolerance(s, s.images * positions));
}

}  // namespace

ENGINE_CASE(convolutions_match_their_definition) {
  for (const Geometry& geometry : kGeometries) {
    for (bool flip : {false, true}) {
      const ConvShape s = shape_of(geometry, flip);
      const std::vector<float> x = check::Random(1).values(checked_size(s.x_dims()));
      const std::vector<float> w = check::Random(2).values(checked_size(s.kernel_dims()));
      check_forward(s, x, w);
      check_gradients(s, x, w);
    }
  }
}

ENGINE_CASE(convolutions_pass_nan) {
  const ConvShape s = shape_of(kGeometries[3], false);
  std::vector<float> x = check::Random(1).values(checked_size(s.x_dims()));
  x[5] = std::numeric_limits<float>::quiet_NaN();
  x[700] = std::numeric_limits<float>::infinity();
  check_forward(s, x, check::Random(2).values(checked_size(s.kernel_dims())));
}

CASE(impossible_convolutions_are_refused) {
  const Padding valid;
  CHECK_THROWS(conv_shape("conv2d", {1, 5, 5, 4}, {3, 3, 3, 8}, {1, 1}, valid, {1, 1}, 1, false), std::invalid_argument,
               "kernel expects 3 input channels");
  CHECK_THROWS(conv_shape("conv2d", {1, 2, 2, 3}, {3, 3, 3, 8}, {1, 1}, valid, {1, 1}, 1, false), std::invalid_argument,
               "conv2d: ");
  CHECK_THROWS(conv_shape("conv2d", {1, 5, 5, 3}, {3, 3, 3, 8}, {0, 1}, valid, {1, 1}, 1, false), std::invalid_argument,
               "conv2d: ");
}
