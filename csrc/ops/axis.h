// One spatial axis of a convolution or pooling: how far the window reaches and how many positions it takes.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "ops/dims.h"

namespace cnnfast {

// Output position `o` looks at the inputs o * stride - pad_before + t * dilation for 0 <= t < window; those outside
// [0, in) are padding.
struct Axis {
  int64_t in = 1;
  int64_t out = 1;
  int64_t window = 1;
  int64_t stride = 1;
  int64_t dilation = 1;
  int64_t pad_before = 0;

  // Inputs from the window's first to its last, gaps included.
  int64_t reach() const { return (window - 1) * dilation + 1; }
};

struct Padding {
  enum class Mode {
    valid,     // none
    same,      // as much as makes out = ceil(in / stride), the odd one at the end (Keras's rule)
    explicit_  // `pairs`
  };
  Mode mode = Mode::valid;
  std::vector<std::pair<int64_t, int64_t>> pairs;  // (before, after) for each axis
};

// The axis of `in` values (at least 1) with its output size floor((in + before + after - reach) / stride) + 1.
// `index` picks the axis's pair of an explicit padding; `window_name` is what messages call the window: "kernel" or
// "pool_size"; `axis_name` is such as "height". Throws std::invalid_argument for what no output could come from.
Axis make_axis(const std::string& op, const std::string& window_name, const std::string& axis_name, int64_t in,
               int64_t window, int64_t stride, int64_t dilation, const Padding& padding, size_t index);

// Depth, height and width from one, two or three spatial sizes: axes that an array does not have are unit axes. Every
// list holds one value per spatial axis.
std::array<Axis, 3> make_axes(const std::string& op, const std::string& window_name, const Dims& in, const Dims& window,
                              const Dims& strides, const Dims& dilation, const Padding& padding);

}  // namespace cnnfast
