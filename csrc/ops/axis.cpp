#include "ops/axis.h"

#include <algorithm>

namespace cnnfast {
namespace {

// Sizes stay below this, so that sums and products of two of them fit.
constexpr int64_t kLargestSize = int64_t{1} << 46;
constexpr int64_t kLargestArgument = (int64_t{1} << 31) - 1;

struct Names {
  const std::string& op;
  const std::string& axis;
};

void require_between(const Names& names, const std::string& argument, int64_t value, int64_t least, int64_t most) {
  if (value < least) {
    throw std::invalid_argument(names.op + ": " + argument + " must be at least " + std::to_string(least) + " along " +
                                names.axis + ", got " + std::to_string(value));
  }
  if (value > most) {
    throw std::invalid_argument(names.op + ": " + argument + " must be at most " + std::to_string(most) + " along " +
                                names.axis + ", got " + std::to_string(value));
  }
}

std::pair<int64_t, int64_t> resolve_padding(const Names& names, const Axis& axis, const Padding& padding,
                                            size_t index) {
  switch (padding.mode) {
    case Padding::Mode::valid:
      return {0, 0};
    case Padding::Mode::same: {
      const int64_t out = (axis.in - 1) / axis.stride + 1;
      const int64_t total = std::max<int64_t>((out - 1) * axis.stride + axis.reach() - axis.in, 0);
      return {total / 2, total - total / 2};
    }
    case Padding::Mode::explicit_:
      break;
  }
  const auto [before, after] = padding.pairs.at(index);
  require_between(names, "padding", before, 0, kLargestArgument);
  require_between(names, "padding", after, 0, kLargestArgument);
  return {before, after};
}

}  // namespace

Axis make_axis(const std::string& op, const std::string& window_name, const std::string& axis_name, int64_t in,
               int64_t window, int64_t stride, int64_t dilation, const Padding& padding, size_t index) {
  const Names names{op, axis_name};
  require_between(names, "x", in, 1, kLargestSize);
  require_between(names, window_name, window, 1, kLargestArgument);
  require_between(names, "strides", stride, 1, kLargestArgument);
  require_between(names, "dilation_rate", dilation, 1, kLargestArgument);
  Axis axis{in, 1, window, stride, dilation, 0};
  const auto [before, after] = resolve_padding(names, axis, padding, index);
  const int64_t padded = in + before + after;
  if (axis.reach() > padded) {
    throw std::invalid_argument(op + ": " + window_name + " spans " + std::to_string(axis.reach()) + " values along " +
                                axis_name + ", x has " + std::to_string(padded) + " there (" + window_name + " " +
                                std::to_string(window) + ", dilation_rate " + std::to_string(dilation) + ", x " +
                                std::to_string(in) + ", padding " + dims_text({before, after}) + ")");
  }
  axis.pad_before = before;
  axis.out = (padded - axis.reach()) / stride + 1;
  return axis;
}

std::array<Axis, 3> make_axes(const std::string& op, const std::string& window_name, const Dims& in, const Dims& window,
                              const Dims& strides, const Dims& dilation, const Padding& padding) {
  static const char* const kAxisNames[] = {"depth", "height", "width"};
  const size_t count = in.size();
  const auto require_count = [&](const std::string& argument, size_t got) {
    if (got != count) {
      throw std::invalid_argument(op + ": " + argument + " expects " + std::to_string(count) +
                                  " values, one per spatial axis, got " + std::to_string(got));
    }
  };
  if (count < 1 || count > 3) {
    throw std::invalid_argument(op + ": x must have 1, 2 or 3 spatial axes, got " + std::to_string(count));
  }
  require_count(window_name, window.size());
  require_count("strides", strides.size());
  require_count("dilation_rate", dilation.size());
  if (padding.mode == Padding::Mode::explicit_) require_count("padding", padding.pairs.size());
  std::array<Axis, 3> axes;
  for (size_t i = 0; i < count; ++i) {
    const size_t place = 3 - count + i;
    axes[place] = make_axis(op, window_name, kAxisNames[place], in[i], window[i], strides[i], dilation[i], padding, i);
  }
  return axes;
}

}  // namespace cnnfast
