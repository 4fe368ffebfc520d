#include "ops/winograd.h"

#include <algorithm>
#include <cstring>

#include "dispatch.h"
#include "ops/activation.h"
#include "ops/panels.h"
#include "ops/winograd_tiles.h"
#include "runtime/memory.h"
#include "runtime/parallel.h"

namespace cnnfast {
namespace {

constexpr int kPanelVectors = 2;
constexpr int64_t kFusedSlots = 28, kFusedSlotsOfFewChannels = 20;
constexpr int64_t kPanelsPerGather = 2;                 // output channels that are transformed back together
constexpr int64_t kFusedWeightFloats = (12 << 20) / 4;  // transformed weights that may be read again for each block
constexpr int64_t kNearWeightFloats = (4 << 20) / 4;    // more than that are read from far for each block
constexpr int64_t kStagedFloats = (16 << 20) / 4;       // transformed input that is kept between the stages

bool plain(const Axis& a) { return a.window == 1 && a.stride == 1 && a.pad_before == 0 && a.in == a.out; }

// A stride leaves each phase of the input a part of the taps.
bool axis_fits(const Axis& a, WinogradAxis kind) {
  if (kind == WinogradAxis::unit) return plain(a);
  if (a.stride > 1 && a.dilation > 1) return false;
  return (a.window + a.stride - 1) / a.stride == winograd_taps(kind);
}

// The weights in the transformed domain: for each panel [point][run][in][width].
class TransformedWeights {
 public:
  TransformedWeights(const PackedWeights& packed, WinogradKind kind, int64_t runs, int64_t in_channels)
      : panels_(packed.panels()),
        rows_(runs * in_channels),
        points_(kind.points()),
        scratch_(static_cast<size_t>(panels_.count() * panel_floats())) {
    const double work = 4.0 * static_cast<double>(panels_.count() * panel_floats());
    // A task takes some rows of a panel's run: a panel may be all there is.
    constexpr int64_t kRows = 16;
    const int64_t run_taps = winograd_taps(kind.vertical) * winograd_taps(kind.horizontal);
    const int64_t row_blocks = (in_channels + kRows - 1) / kRows, tasks = panels_.count() * runs * row_blocks;
    parallel_tasks(tasks, threads_for(tasks, work), [&](int64_t task, int) {
      const int64_t row = task % row_blocks * kRows, run = task / row_blocks % runs;
      const int64_t panel = task / row_blocks / runs, width = panels_.padded(panel);
      WinogradWeights w;
      w.kind = kind;
      w.from = packed.panel(0, panel) + (run * run_taps * in_channels + row) * width;
      w.tap = in_channels * width;
      w.to = scratch_.data() + panel * panel_floats() + (run * in_channels + row) * width;
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
  int64_t point_floats() const { return spread_points(rows_ * panels_.width()); }
  int64_t panel_floats() const { return points_ * point_floats(); }

  PanelGrid panels_;
  int64_t rows_, points_;
  Scratch scratch_;
};

class WinogradLoops {
 public:
  WinogradLoops(const Correlation& c, WinogradKind kind, const WinogradTiles& tiles, const float* x,
                const TransformedWeights& weights, const float* bias, float* y)
      : c_(c),
        kind_(kind),
        tiles_(tiles),
        x_(x),
        weights_(weights),
        bias_(bias),
        y_(y),
        x_strides_(dense_input(c.source)),
        y_strides_{c.y_image, c.y_plane, c.y_row, c.y_pixel},
        lanes_(kernels().limits.lanes),
        padded_channels_((c.source.channels + lanes_ - 1) / lanes_ * lanes_),
        slot_floats_(tiles.subs() * padded_channels_),
        zeros_(static_cast<size_t>(padded_channels_)) {
    std::memset(zeros_.data(), 0, sizeof(float) * static_cast<size_t>(padded_channels_));
    for (int64_t run = 0; run < tiles.runs(); ++run) {
      run_offsets_.push_back(tiles.run_slot(run) * slot_floats_ + run % tiles.subs() * padded_channels_);
    }
  }

  // Every block of columns goes through all three steps while it is in the cache of one core.
  void run_fused() {
    const int64_t wanted = c_.source.channels <= 64 ? kFusedSlotsOfFewChannels : kFusedSlots;
    int64_t columns = std::max<int64_t>(1, wanted / tiles_.slots());
    int64_t blocks = (tiles_.columns() + columns - 1) / columns;
    const int threads = threads_for(blocks, c_.flops());
    blocks = (blocks + threads - 1) / threads * threads;
    columns = (tiles_.columns() + blocks - 1) / blocks;
    blocks = (tiles_.columns() + columns - 1) / columns;

    const int64_t group_width = kPanelsPerGather * weights_.panels().width(), slots = columns * tiles_.slots();
    const int64_t v_point = spread_points(slots * slot_floats_), m_point = spread_points(slots * group_width);
    const Scratch scratch(threads, static_cast<size_t>(kind_.points() * (v_point + m_point)));
    parallel_tasks(blocks, threads, [&](int64_t block, int thread) {
      float *v = scratch.part(thread), *m = v + kind_.points() * v_point;
      const int64_t begin = block * columns, count = std::min(columns, tiles_.columns() - begin);
      for (int64_t i = 0; i < count; ++i) transform_column(begin + i, v + i * column_floats(), v_point);
      for (int64_t first = 0; first < weights_.panels().count(); first += kPanelsPerGather) {
        const int64_t last = std::min(first + kPanelsPerGather, weights_.panels().count());
        for (int64_t point = 0; point < kind_.points(); ++point) {
          for (int64_t panel = first; panel < last; ++panel) {
            multiply(panel, point, count, v + point * v_point,
                     m + point * m_point + (panel - first) * weights_.panels().width(), group_width);
          }
        }
        for (int64_t i = 0; i < count; ++i) {
          gather_column(begin + i, m + i * tiles_.slots() * group_width, m_point, group_width, first, last);
        }
      }
    });
  }

  // The three steps one after the other over many columns, so that large weights are read once.
  void run_staged() {
    const int64_t points = kind_.points(), panels = weights_.panels().count();
    const int64_t m_width = weights_.panels().width() * panels;
    const int64_t column = points * tiles_.slots() * (slot_floats_ + m_width);
    const int64_t at_most = std::max(kFusedSlots / tiles_.slots() + 1, kStagedFloats / column);
    const int64_t blocks = (tiles_.columns() + at_most - 1) / at_most;
    const int64_t columns = (tiles_.columns() + blocks - 1) / blocks, slots = columns * tiles_.slots();
    const int64_t v_point = spread_points(slots * slot_floats_), m_point = spread_points(slots * m_width);
    const Scratch v_scratch(static_cast<size_t>(points * v_point)), m_scratch(static_cast<size_t>(points * m_point));
    float *v = v_scratch.data(), *m = m_scratch.data();
    const double flops = c_.flops() / static_cast<double>(blocks);
    for (int64_t begin = 0; begin < tiles_.columns(); begin += columns) {
      const int64_t count = std::min(columns, tiles_.columns() - begin);
      parallel_ranges(count, 4, flops, [&](int64_t first, int64_t last) {
        for (int64_t i = first; i < last; ++i) transform_column(begin + i, v + i * column_floats(), v_point);
      });
      parallel_tasks(points * panels, threads_for(points * panels, flops), [&](int64_t task, int) {
        const int64_t point = task / panels, panel = task % panels;
        multiply(panel, point, count, v + point * v_point, m + point * m_point + panel * weights_.panels().width(),
                 m_width);
      });
      parallel_ranges(count, 4, flops, [&](int64_t first, int64_t last) {
        for (int64_t i = first; i < last; ++i) {
          gather_column(begin + i, m + i * tiles_.slots() * m_width, m_point, m_width, 0, panels);
        }
      });
    }
  }

 private:
  int64_t column_floats() const { return tiles_.slots() * slot_floats_; }

  void transform_column(int64_t column, float* to, int64_t point) const {
    for (int64_t slot = 0; slot < tiles_.slots(); ++slot) {
      for (int64_t sub = 0; sub < tiles_.subs(); ++sub, to += padded_channels_) {
        WinogradScatter s = tiles_.input(x_, x_strides_, column, slot, sub);
        s.channels = static_cast<int>(c_.source.channels);
        s.zeros = zeros_.data();
        s.to = to;
        s.point = point;
        s.panel = static_cast<int>(padded_channels_);
        kernels().winograd_input(s);
      }
    }
  }

  // All slots in one go: the products of those that are nobody's output are never read.
  void multiply(int64_t panel, int64_t point, int64_t columns, const float* v, float* m, int64_t m_slot) const {
    ConvTile t{};
    t.x = v;
    t.x_pixel = slot_floats_;
    t.runs = run_offsets_.data();
    t.run_count = static_cast<int>(run_offsets_.size());
    t.run_length = static_cast<int>(c_.source.channels);
    t.w = weights_.at(panel, point);
    t.y = m;
    t.y_pixel = m_slot;
    t.pixels = (columns - 1) * tiles_.slots() + tiles_.outputs();
    t.channels = weights_.panels().padded(panel);
    t.vectors = weights_.panels().vectors(panel);
    t.activation = Activation::linear;
    kernels().conv_tile(t);
  }

  void gather_column(int64_t column, const float* m, int64_t point, int64_t m_slot, int64_t first_panel,
                     int64_t last_panel) const {
    const PanelGrid& panels = weights_.panels();
    WinogradGather g{};
    g.point = point;
    g.channels =
        static_cast<int>(panels.begin(last_panel - 1) + panels.channels(last_panel - 1) - panels.begin(first_panel));
    g.bias = bias_ == nullptr ? nullptr : bias_ + panels.begin(first_panel);
    g.activation = piecewise_linear(c_.activation) ? c_.activation : Activation::linear;
    g.alpha = c_.alpha;
    for (int64_t slot = 0; slot < tiles_.outputs(); ++slot) {
      if (!tiles_.place(g, y_ + panels.begin(first_panel), y_strides_, column, slot)) continue;
      g.from = m + slot * m_slot;
      kernels().winograd_output(g);
      if (!piecewise_linear(c_.activation)) activate_tile(g);
    }
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
  const WinogradTiles& tiles_;
  const float* x_;
  const TransformedWeights& weights_;
  const float* bias_;
  float* y_;
  ImageStrides x_strides_, y_strides_;
  int64_t lanes_, padded_channels_, slot_floats_;
  std::vector<int64_t> run_offsets_;
  Scratch zeros_;
};

// The weights with their taps in the order of the transform's windows.
WeightView in_runs(const WeightView& view, const WinogradTiles& tiles) {
  WeightView w = view;
  w.taps = tiles.taps();
  for (int64_t& tap : w.taps) tap = tap == kNoTap ? kNoTap : view.taps[static_cast<size_t>(tap)];
  return w;
}

}  // namespace

bool winograd_fits(const WindowSource& source, int64_t groups, WinogradKind kind) {
  return groups == 1 && source.axis[0].stride == 1 && axis_fits(source.axis[1], kind.vertical) &&
         axis_fits(source.axis[2], kind.horizontal);
}

void correlate_winograd(const Correlation& c, WinogradKind kind, const float* x, const WeightView& w, const float* bias,
                        float* y) {
  const int64_t in = c.source.channels;
  const WinogradTiles tiles(c.source, c.images, kind);
  ConvRoute route;
  route.loops = ConvRoute::Loops::winograd;
  route.kind = kind;
  const int64_t weight_floats = kind.points() * tiles.runs() * in * c.out_channels;
  const auto uses = static_cast<double>(tiles.columns() * tiles.slots());
  const auto weights = kept_form<TransformedWeights>(c.kept, route, uses, weight_floats, [&] {
    const PackedWeights packed(in_runs(w, tiles), 1, in,
                               PanelGrid(c.out_channels, kernels().limits.lanes, kPanelVectors));
    return std::make_shared<TransformedWeights>(packed, kind, tiles.runs(), in);
  });
  WinogradLoops loops(c, kind, tiles, x, *weights, bias, y);
  const bool once = uses <= kFusedSlots && weight_floats > kNearWeightFloats;  // threads would share one block's tiles
  if (weight_floats <= kFusedWeightFloats && !once) {
    loops.run_fused();
  } else {
    loops.run_staged();
  }
}

}  // namespace cnnfast
