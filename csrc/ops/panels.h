// Convolution weights packed into the panels that the kernels read: blocks of output channels as wide as a few vectors.
#pragma once

#include <cstdint>
#include <vector>

#include "runtime/memory.h"

namespace cnnfast {

// Stands for a tap that the window does not have: its weights are zero.
constexpr int64_t kNoTap = -1;

// The weights as (group, tap, in, out), wherever they lie: value = w[group * group_stride + tap * tap_stride + in *
// in_stride + out * out_stride], with the window's taps in the order given.
struct WeightView {
  const float* w;
  int64_t group_stride, tap_stride, in_stride, out_stride;
  std::vector<int64_t> taps;
};

// How a group's output channels are cut into panels of `vectors` vectors; the last may have fewer.
class PanelGrid {
 public:
  PanelGrid(int64_t channels, int lanes, int vectors) : channels_(channels), lanes_(lanes), vectors_(vectors) {}
  int64_t count() const { return (channels_ + width() - 1) / width(); }
  int64_t width() const { return int64_t{lanes_} * vectors_; }
  int64_t begin(int64_t panel) const { return panel * width(); }
  int channels(int64_t panel) const {
    const int64_t left = channels_ - begin(panel);
    return static_cast<int>(left < width() ? left : width());
  }
  int vectors(int64_t panel) const { return (channels(panel) + lanes_ - 1) / lanes_; }
  int padded(int64_t panel) const { return vectors(panel) * lanes_; }
  // Floats before `panel` in a buffer that holds `rows` rows of each panel.
  int64_t offset(int64_t panel, int64_t rows) const { return begin(panel) * rows; }
  // Floats of all panels.
  int64_t floats(int64_t rows) const {
    return count() == 0 ? 0 : offset(count() - 1, rows) + rows * padded(count() - 1);
  }

 private:
  int64_t channels_;
  int lanes_, vectors_;
};

class PackedWeights {
 public:
  PackedWeights(const WeightView& view, int64_t groups, int64_t in_channels, const PanelGrid& panels);
  const float* panel(int64_t group, int64_t panel) const {
    return data_ + group * group_floats_ + panels_.offset(panel, rows_);
  }
  const PanelGrid& panels() const { return panels_; }

 private:
  PanelGrid panels_;
  int64_t rows_, group_floats_;
  bool in_place_;  // the weights lie as the panels do
  Scratch scratch_;
  const float* data_;
};

}  // namespace cnnfast
