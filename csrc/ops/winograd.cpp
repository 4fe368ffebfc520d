#include "ops/winograd.h"

#include <algorithm>
#include <cstring>

#include "dispatch.h"
#include "ops/panels.h"
#include "ops/winograd_tiles.h"
#include "runtime/memory.h"
#include "runtime/parallel.h"

namespace cnnfast {
namespace {

constexpr int kPanelVectors = 2;
constexpr int64_t kFusedTiles = 28, kFusedTilesOfFewChannels = 20;
constexpr int64_t kPanelsPerGather = 2;                 // output channels that are transformed back together
constexpr int64_t kFusedWeightFloats = (12 << 20) / 4;  // transformed weights that may be read again for each block
constexpr int64_t kStagedFloats = (16 << 20) / 4;       // transformed input that is kept between the stages

bool plain(const Axis& a) { return a.window == 1 && a.stride == 1 && a.pad_before == 0 && a.in == a.out; }

bool axis_fits(const Axis& a, WinogradAxis kind) {
  if (kind == WinogradAxis::unit) return plain(a);
  return a.window == winograd_taps(kind) && a.stride == 1 && a.dilation == 1;
}

// The weights in the transformed domain: for each panel [point][in][width].
class TransformedWeights {
 public:
  TransformedWeights(const PackedWeights& packed, WinogradKind kind, int64_t in_channels)
      : panels_(packed.panels()),
        in_channels_(in_channels),
        points_(kind.points()),
        scratch_(static_cast<size_t>(panels_.count() * panel_floats())) {
    const double work = 4.0 * static_cast<double>(panels_.count() * panel_floats());
    // A task takes some rows of a panel: a panel may be all there is.
    constexpr int64_t kRows = 16;
    const int64_t row_blocks = (in_channels + kRows - 1) / kRows, tasks = panels_.count() * row_blocks;
    parallel_tasks(tasks, threads_for(tasks, work), [&](int64_t task, int) {
      const int64_t panel = task / row_blocks, row = task % row_blocks * kRows;
      const int64_t width = panels_.padded(panel);
      WinogradWeights w;
      w.kind = kind;
      w.from = packed.panel(0, panel) + row * width;
      w.tap = in_channels * width;
      w.to = scratch_.data() + panel * panel_floats() + row * width;
      w.point = point_floats();
      w.floats = std::min(kRows, in_channels - row) * width;
      kernels().winograd_weights(w);
    });
  }

  const PanelGrid& panels() const { return panels_; }
  const float* at(int64_t panel, int64_t point) const {
    return scratch_.data() + panel * panel_floats() + point * point_floats();
  }

 private:
  int64_t point_floats() const { return spread_points(in_channels_ * panels_.width()); }
  int64_t panel_floats() const { return points_ * point_floats(); }

  PanelGrid panels_;
  int64_t in_channels_, points_;
  Scratch scratch_;
};

class WinogradLoops {
 public:
  WinogradLoops(const Correlation& c, WinogradKind kind, const float* x, const TransformedWeights& weights,
                const float* bias, float* y)
      : c_(c),
        kind_(kind),
        x_(x),
        weights_(weights),
        bias_(bias),
        y_(y),
        tiles_(c.source, c.images, kind),
        padded_channels_((c.source.channels + kernels().limits.lanes - 1) / kernels().limits.lanes *
                         kernels().limits.lanes),
        zeros_(static_cast<size_t>(padded_channels_)) {
    std::memset(zeros_.data(), 0, sizeof(float) * static_cast<size_t>(padded_channels_));
  }

  // Every block of tiles goes through all three steps while it is in the cache of one core.
  void run_fused() {
    int64_t tiles = c_.source.channels <= 64 ? kFusedTilesOfFewChannels : kFusedTiles;
    int64_t blocks = (tiles_.count() + tiles - 1) / tiles;
    const int threads = threads_for(blocks, c_.flops());
    blocks = (blocks + threads - 1) / threads * threads;
    tiles = (tiles_.count() + blocks - 1) / blocks;
    blocks = (tiles_.count() + tiles - 1) / tiles;

    const int64_t group_width = kPanelsPerGather * weights_.panels().width();
    const int64_t v_point = spread_points(tiles * padded_channels_), m_point = spread_points(tiles * group_width);
    const Scratch scratch(threads, static_cast<size_t>(kind_.points() * (v_point + m_point)));
    parallel_tasks(blocks, threads, [&](int64_t block, int thread) {
      float *v = scratch.part(thread), *m = v + kind_.points() * v_point;
      const int64_t begin = block * tiles, end = std::min(tiles_.count(), begin + tiles);
      for (int64_t t = begin; t < end; ++t) transform_tile(t, v + (t - begin) * padded_channels_, v_point);
      for (int64_t first = 0; first < weights_.panels().count(); first += kPanelsPerGather) {
        const int64_t last = std::min(first + kPanelsPerGather, weights_.panels().count());
        for (int64_t point = 0; point < kind_.points(); ++point) {
          for (int64_t panel = first; panel < last; ++panel) {
            multiply(panel, point, end - begin, v + point * v_point,
                     m + point * m_point + (panel - first) * weights_.panels().width(), group_width);
          }
        }
        for (int64_t t = begin; t < end; ++t) gather_tile(t, m + (t - begin) * group_width, m_point, first, last);
      }
    });
  }

  // The three steps one after the other over many tiles, so that large weights are read once.
  void run_staged() {
    const int64_t points = kind_.points(), panels = weights_.panels().count();
    const int64_t m_width = weights_.panels().width() * panels;
    const int64_t at_most = std::max<int64_t>(kFusedTiles, kStagedFloats / (points * (padded_channels_ + m_width)));
    const int64_t blocks = (tiles_.count() + at_most - 1) / at_most;
    const int64_t tiles = (tiles_.count() + blocks - 1) / blocks;
    const int64_t v_point = spread_points(tiles * padded_channels_), m_point = spread_points(tiles * m_width);
    const Scratch v_scratch(static_cast<size_t>(points * v_point)), m_scratch(static_cast<size_t>(points * m_point));
    float *v = v_scratch.data(), *m = m_scratch.data();
    const double flops = c_.flops() / static_cast<double>(blocks);
    for (int64_t begin = 0; begin < tiles_.count(); begin += tiles) {
      const int64_t count = std::min(tiles, tiles_.count() - begin);
      constexpr int64_t kTiles = 4;
      const int64_t groups = (count + kTiles - 1) / kTiles;
      parallel_tasks(groups, threads_for(groups, flops), [&](int64_t group, int) {
        for (int64_t t = group * kTiles; t < std::min(count, (group + 1) * kTiles); ++t) {
          transform_tile(begin + t, v + t * padded_channels_, v_point);
        }
      });
      parallel_tasks(points * panels, threads_for(points * panels, flops), [&](int64_t task, int) {
        const int64_t point = task / panels, panel = task % panels;
        multiply(panel, point, count, v + point * v_point, m + point * m_point + panel * weights_.panels().width(),
                 m_width);
      });
      parallel_tasks(groups, threads_for(groups, flops), [&](int64_t group, int) {
        for (int64_t t = group * kTiles; t < std::min(count, (group + 1) * kTiles); ++t) {
          gather_tile(begin + t, m + t * m_width, m_point, 0, panels);
        }
      });
    }
  }

 private:
  void transform_tile(int64_t tile, float* to, int64_t point) const {
    const Axis &h = c_.source.axis[1], &w = c_.source.axis[2];
    WinogradScatter s = scatter_from(kind_, h.in, w.in, c_.source.channels, zeros_.data());
    s.image = x_ + tiles_.plane(tile) * h.in * w.in * c_.source.channels;
    s.row = tiles_.row(tile) - h.pad_before;
    s.col = tiles_.col(tile) - w.pad_before;
    s.to = to;
    s.point = point;
    s.panel = static_cast<int>(padded_channels_);
    kernels().winograd_input(s);
  }

  void multiply(int64_t panel, int64_t point, int64_t tiles, const float* v, float* m, int64_t m_tile) const {
    static constexpr int64_t kOneRun[1] = {0};
    ConvTile t{};
    t.x = v;
    t.x_pixel = padded_channels_;
    t.runs = kOneRun;
    t.run_count = 1;
    t.run_length = static_cast<int>(c_.source.channels);
    t.w = weights_.at(panel, point);
    t.y = m;
    t.y_pixel = m_tile;
    t.pixels = tiles;
    t.channels = weights_.panels().padded(panel);
    t.vectors = weights_.panels().vectors(panel);
    t.activation = Activation::linear;
    kernels().conv_tile(t);
  }

  void gather_tile(int64_t tile, const float* m, int64_t point, int64_t first_panel, int64_t last_panel) const {
    const PanelGrid& panels = weights_.panels();
    const int64_t plane = tiles_.plane(tile), depths = c_.source.axis[0].out;
    WinogradGather g{};
    g.kind = kind_;
    g.from = m;
    g.point = point;
    g.channels =
        static_cast<int>(panels.begin(last_panel - 1) + panels.channels(last_panel - 1) - panels.begin(first_panel));
    g.bias = bias_ == nullptr ? nullptr : bias_ + panels.begin(first_panel);
    g.activation = fused_in_kernel(c_.activation) ? c_.activation : Activation::linear;
    g.alpha = c_.alpha;
    g.image = y_ + plane / depths * c_.y_image + plane % depths * c_.y_plane + panels.begin(first_panel);
    g.rows = c_.source.axis[1].out;
    g.cols = c_.source.axis[2].out;
    g.row = tiles_.row(tile);
    g.col = tiles_.col(tile);
    g.row_stride = c_.y_row;
    g.pixel_stride = c_.y_pixel;
    kernels().winograd_output(g);
    if (!fused_in_kernel(c_.activation)) activate_tile(g);
  }

  void activate_tile(const WinogradGather& g) const {
    const int64_t rows = std::min<int64_t>(winograd_outputs(kind_.vertical), g.rows - g.row);
    const int64_t cols = std::min<int64_t>(winograd_outputs(kind_.horizontal), g.cols - g.col);
    for (int64_t r = 0; r < rows; ++r) {
      float* row = g.image + (g.row + r) * g.row_stride + g.col * g.pixel_stride;
      activate_pixels(c_.activation, c_.alpha, row, g.pixel_stride, cols, g.channels);
    }
  }

  const Correlation& c_;
  WinogradKind kind_;
  const float* x_;
  const TransformedWeights& weights_;
  const float* bias_;
  float* y_;
  WinogradTiles tiles_;
  int64_t padded_channels_;
  Scratch zeros_;
};

}  // namespace

bool winograd_fits(const WindowSource& source, int64_t groups, WinogradKind kind) {
  return groups == 1 && plain(source.axis[0]) && axis_fits(source.axis[1], kind.vertical) &&
         axis_fits(source.axis[2], kind.horizontal);
}

void correlate_winograd(const Correlation& c, WinogradKind kind, const float* x, const WeightView& w, const float* bias,
                        float* y) {
  const int64_t in = c.source.channels;
  const PackedWeights packed(w, 1, in, PanelGrid(c.out_channels, kernels().limits.lanes, kPanelVectors));
  const TransformedWeights weights(packed, kind, in);
  WinogradLoops loops(c, kind, x, weights, bias, y);
  if (kind.points() * in * c.out_channels <= kFusedWeightFloats) {
    loops.run_fused();
  } else {
    loops.run_staged();
  }
}

}  // namespace cnnfast
