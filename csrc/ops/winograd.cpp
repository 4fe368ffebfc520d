#include "ops/winograd.h"

#include <algorithm>
#include <cstring>
#include <numeric>

#include "dispatch.h"
#include "ops/activation.h"
#include "ops/moments.h"
#include "ops/panels.h"
#include "ops/winograd_pooled.h"
#include "ops/winograd_tiles.h"
#include "runtime/memory.h"
#include "runtime/parallel.h"

namespace cnnfast {
namespace {

constexpr int kPanelVectors = 2;
constexpr int64_t kFusedSlots = 28, kFusedSlotsOfFewChannels = 16, kFusedSlotsOfGroups = 14;
constexpr int64_t kFewChannels = 64;                    // whose products are so short that a call for each point counts
constexpr int64_t kBundledChannels = 128;               // of groups that go through the steps together
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

// The weights in the transformed domain: for each panel of each group [point][run][in][width].
class TransformedWeights {
 public:
  TransformedWeights(const PackedWeights& packed, WinogradKind kind, int64_t runs, int64_t groups, int64_t in_channels)
      : panels_(packed.panels()),
        count_(panels_.count()),
        rows_(runs * in_channels),
        points_(kind.points()),
        scratch_(static_cast<size_t>(groups * panels_.count() * panel_floats())) {
    const double work = 4.0 * static_cast<double>(groups * panels_.count() * panel_floats());
    // A task takes some rows of a panel's run: a panel may be all there is.
    constexpr int64_t kRows = 16;
    const int64_t run_taps = winograd_taps(kind.vertical) * winograd_taps(kind.horizontal);
    const int64_t row_blocks = (in_channels + kRows - 1) / kRows, tasks = groups * panels_.count() * runs * row_blocks;
    parallel_tasks(tasks, threads_for(tasks, work), [&](int64_t task, int) {
      const int64_t row = task % row_blocks * kRows, run = task / row_blocks % runs;
      const int64_t matrix = task / row_blocks / runs, group = matrix / panels_.count();
      const int64_t panel = matrix % panels_.count(), width = panels_.padded(panel);
      WinogradWeights w;
      w.kind = kind;
      w.from = packed.panel(group, panel) + (run * run_taps * in_channels + row) * width;
      w.tap = in_channels * width;
      w.to = scratch_.data() + matrix * panel_floats() + (run * in_channels + row) * width;
      w.point = point_floats();
      w.floats = std::min(kRows, in_channels - row) * width;
      kernels().winograd_weights(w);
    });
  }

  const PanelGrid& panels() const { return panels_; }
  const float* at(int64_t group, int64_t panel, int64_t point) const {
    return scratch_.data() + (group * count_ + panel) * panel_floats() + point * point_floats();
  }
  int64_t point_floats() const { return spread_points(rows_ * panels_.width()); }

 private:
  int64_t panel_floats() const { return points_ * point_floats(); }

  PanelGrid panels_;
  int64_t count_, rows_, points_;
  Scratch scratch_;
};

// Tells of the tiles that are written: of neighbours in a row at once, when another comes or at the end.
class WrittenTiles {
 public:
  explicit WrittenTiles(const Correlation& c) : moments_(c.moments), pixel_(c.y_pixel) {}
  ~WrittenTiles() { tell(); }
  WrittenTiles(const WrittenTiles&) = delete;
  WrittenTiles& operator=(const WrittenTiles&) = delete;

  void add(const WinogradGather& tile) {
    if (moments_ == nullptr) return;
    const float* first = tile.image + tile.row * tile.row_stride + tile.col * tile.pixel_stride;
    const int64_t rows = std::min<int64_t>(tile.tile_rows, tile.rows - tile.row);
    const int64_t cols = std::min<int64_t>(tile.tile_cols, tile.cols - tile.col);
    // Tiles of a dilated window leave pixels out between theirs.
    const bool dense = tile.pixel_stride == pixel_;
    if (!dense || first != first_ + cols_ * pixel_ || rows != rows_ || tile.row_stride != row_stride_) {
      tell();
      first_ = first;
      rows_ = rows;
      cols_ = 0;
      row_stride_ = tile.row_stride;
      channels_ = tile.channels;
    }
    cols_ += cols;
    if (dense) return;
    for (int64_t r = 0; r < rows; ++r) {
      for (int64_t col = 0; col < cols; ++col) {
        moments_->written(first + r * row_stride_ + col * tile.pixel_stride, 1, channels_);
      }
    }
    cols_ = 0;
  }

 private:
  void tell() {
    if (cols_ == 0) return;
    for (int64_t r = 0; r < rows_; ++r) moments_->written(first_ + r * row_stride_, cols_, channels_);
  }

  WrittenMoments* moments_;
  int64_t pixel_;
  const float* first_ = nullptr;
  int64_t rows_ = 0, cols_ = 0, row_stride_ = 0;
  int64_t channels_ = 0;
};

// Neighbouring groups (one, where it has channels enough) go through the steps together: transforms run over the
// channels of all of them, products over those of one.
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
        x_strides_(c.pooled_input == nullptr ? dense_input(c.source) : c.pooled_input->strides),
        y_strides_{c.y_image, c.y_plane, c.y_row, c.y_pixel},
        bundles_(c.groups, kBundledChannels / std::max(c.source.channels, c.out_channels)),
        slot_channels_(whole_vectors(bundles_.most() * c.source.channels)),
        slot_floats_(tiles.subs() * slot_channels_),
        in_place_(tiles.runs() == 1 && weights.panels().count() == 1 &&
                  whole_vectors(bundles_.most() * c.out_channels) <= slot_channels_ &&
                  (bundles_.most() == 1 || c.out_channels == c.source.channels)),
        at_once_(in_place_ || (tiles.runs() == 1 && tiles.slots() == 1 && c.source.channels <= kFewChannels)),
        zeros_(static_cast<size_t>(slot_channels_)) {
    std::memset(zeros_.data(), 0, sizeof(float) * static_cast<size_t>(slot_channels_));
    for (int64_t run = 0; run < tiles.runs(); ++run) {
      run_offsets_.push_back(tiles.run_slot(run) * slot_floats_ + run % tiles.subs() * slot_channels_);
    }
  }

  // Every block of columns goes through all three steps while it is in the cache of one core.
  void run_fused() {
    const int64_t panels = weights_.panels().count();
    const int64_t at_once = together() ? panels : std::min(kPanelsPerGather, panels);
    const int64_t m_width = in_place_ ? slot_floats_ : gathered_floats(at_once);
    int64_t columns = std::max<int64_t>(1, wanted_slots() / tiles_.slots());
    int64_t blocks = (tiles_.columns() + columns - 1) / columns;
    const int threads = threads_for(blocks * bundles_.count(), c_.flops());
    const int64_t step = threads / std::gcd<int64_t>(threads, bundles_.count());
    blocks = (blocks + step - 1) / step * step;
    columns = (tiles_.columns() + blocks - 1) / blocks;
    blocks = (tiles_.columns() + columns - 1) / columns;

    const int64_t slots = columns * tiles_.slots();
    const int64_t v_point = spread_points(slots * slot_floats_);
    const int64_t m_point = in_place_ ? v_point : spread_points(slots * m_width);
    const Scratch scratch(threads, static_cast<size_t>(kind_.points() * (v_point + (in_place_ ? 0 : m_point))));
    parallel_tasks(blocks * bundles_.count(), threads, [&](int64_t task, int thread) {
      float *v = scratch.part(thread), *m = in_place_ ? v : v + kind_.points() * v_point;
      const GroupBundle bundle = bundles_[task / blocks];
      const int64_t begin = task % blocks * columns, count = std::min(columns, tiles_.columns() - begin);
      const ColumnBlock block(tiles_, kind_, begin, count);
      for (int64_t i = 0; i < count; ++i) transform_column(bundle, block[i], v + i * column_floats(), v_point);
      for (int64_t first = 0; first < panels; first += at_once) {
        const int64_t last = std::min(first + at_once, panels);
        if (at_once_) {
          for (const ColumnBlock::Points& points : block.points()) {
            multiply_points(bundle, first, last, points, v, v_point, m, m_point, m_width);
          }
        } else {
          for (int64_t point = 0; point < kind_.points(); ++point) {
            multiply_panels(bundle, first, last, point, block.places(point), v + point * v_point, m + point * m_point,
                            m_width);
          }
        }
        WrittenTiles written(c_);
        for (int64_t i = 0; i < count; ++i) {
          gather_column(bundle, block[i], m + i * tiles_.slots() * m_width, m_point, m_width, first, last, written);
        }
      }
    });
  }

  // The three steps one after the other over many columns, so that large weights are read once.
  void run_staged() {
    for (int64_t i = 0; i < bundles_.count(); ++i) run_staged(bundles_[i]);
  }

 private:
  static int64_t whole_vectors(int64_t channels) {
    const int64_t lanes = kernels().limits.lanes;
    return (channels + lanes - 1) / lanes * lanes;
  }

  bool together() const { return bundles_.most() > 1; }

  int64_t wanted_slots() const {
    if (together()) return kFusedSlotsOfGroups;
    return c_.source.channels <= kFewChannels ? kFusedSlotsOfFewChannels : kFusedSlots;
  }

  // What a slot needs for the outputs of so many panels of each group.
  int64_t gathered_floats(int64_t panels) const {
    return together() ? whole_vectors(bundles_.most() * c_.out_channels) : panels * weights_.panels().width();
  }

  void run_staged(const GroupBundle& bundle) const {
    const int64_t points = kind_.points(), panels = weights_.panels().count();
    const int64_t m_width = gathered_floats(panels);
    const int64_t column = points * tiles_.slots() * (slot_floats_ + m_width);
    const int64_t at_most = std::max(kFusedSlots / tiles_.slots() + 1, kStagedFloats / column);
    const int64_t blocks = (tiles_.columns() + at_most - 1) / at_most;
    const int64_t columns = (tiles_.columns() + blocks - 1) / blocks, slots = columns * tiles_.slots();
    const int64_t v_point = spread_points(slots * slot_floats_), m_point = spread_points(slots * m_width);
    const Scratch v_scratch(static_cast<size_t>(points * v_point)), m_scratch(static_cast<size_t>(points * m_point));
    float *v = v_scratch.data(), *m = m_scratch.data();
    const double flops = c_.flops() / static_cast<double>(blocks * bundles_.count());
    for (int64_t begin = 0; begin < tiles_.columns(); begin += columns) {
      const int64_t count = std::min(columns, tiles_.columns() - begin);
      const ColumnBlock block(tiles_, kind_, begin, count);
      parallel_ranges(count, 4, flops, [&](int64_t first, int64_t last) {
        for (int64_t i = first; i < last; ++i) transform_column(bundle, block[i], v + i * column_floats(), v_point);
      });
      const int64_t tasks = points * bundle.groups * panels;
      parallel_tasks(tasks, threads_for(tasks, flops), [&](int64_t task, int) {
        const int64_t panel = task % panels, group = task / panels % bundle.groups;
        const int64_t point = task / panels / bundle.groups;
        float* products = m + point * m_point + group * c_.out_channels + weights_.panels().begin(panel);
        multiply(bundle, group, panel, point, block.places(point), v + point * v_point, products, m_width);
      });
      parallel_ranges(count, 4, flops, [&](int64_t first, int64_t last) {
        WrittenTiles written(c_);
        for (int64_t i = first; i < last; ++i) {
          gather_column(bundle, block[i], m + i * tiles_.slots() * m_width, m_point, m_width, 0, panels, written);
        }
      });
    }
  }

  int64_t column_floats() const { return tiles_.slots() * slot_floats_; }

  void transform_column(const GroupBundle& bundle, int64_t column, float* to, int64_t point) const {
    const float* x = x_ + bundle.first * c_.source.channels;
    for (int64_t slot = 0; slot < tiles_.slots(); ++slot) {
      for (int64_t sub = 0; sub < tiles_.subs(); ++sub, to += slot_channels_) {
        WinogradScatter s = tiles_.input(x, x_strides_, column, slot, sub);
        s.channels = static_cast<int>(bundle.groups * c_.source.channels);
        s.zeros = zeros_.data();
        s.to = to;
        s.point = point;
        s.panel = static_cast<int>(slot_channels_);
        if (c_.pooled_input == nullptr) {
          kernels().winograd_input(s);
        } else {
          c_.pooled_input->scatter_input(s);
        }
      }
    }
  }

  // Small products, of which there are many: those of all points that the same tiles have, at once.
  void multiply_points(const GroupBundle& bundle, int64_t first, int64_t last, const ColumnBlock::Points& points,
                       const float* v, int64_t v_point, float* m, int64_t m_point, int64_t m_slot) const {
    const PanelGrid& panels = weights_.panels();
    WinogradProducts p;
    p.x_point = v_point;
    p.x_slot = slot_floats_;
    p.w_point = weights_.point_floats();
    p.y_point = m_point;
    p.y_slot = m_slot;
    p.point_rows = points.rows;
    p.point_cols = points.cols;
    p.point_pitch = winograd_points(kind_.horizontal);
    p.slots = points.count;
    p.in = static_cast<int>(c_.source.channels);
    const int64_t point = points.row * p.point_pitch + points.col;
    const float* x = v + point * v_point + points.begin * p.x_slot;
    float* y = m + point * m_point + points.begin * p.y_slot;
    for (int64_t group = 0; group < bundle.groups; ++group) {
      p.x = x + group * c_.source.channels;
      for (int64_t panel = first; panel < last; ++panel) {
        p.w = weights_.at(bundle.first + group, panel, point);
        p.y = y + group * c_.out_channels + (panel - first) * panels.width();
        p.channels = products_channels(panel);
        p.vectors = panels.vectors(panel);
        kernels().winograd_products(p);
      }
    }
  }

  // Behind a group's last channel lies the next group's first.
  int products_channels(int64_t panel) const {
    return together() ? weights_.panels().channels(panel) : weights_.panels().padded(panel);
  }

  void multiply_panels(const GroupBundle& bundle, int64_t first, int64_t last, int64_t point,
                       ColumnBlock::Places columns, const float* v, float* m, int64_t m_slot) const {
    for (int64_t group = 0; group < bundle.groups; ++group) {
      float* products = m + group * c_.out_channels;
      for (int64_t panel = first; panel < last; ++panel, products += weights_.panels().width()) {
        multiply(bundle, group, panel, point, columns, v, products, m_slot);
      }
    }
  }

  // All slots in one go: the products of those that are nobody's output are never read.
  void multiply(const GroupBundle& bundle, int64_t group, int64_t panel, int64_t point, ColumnBlock::Places columns,
                const float* v, float* m, int64_t m_slot) const {
    if (columns.count == 0) return;
    const PanelGrid& panels = weights_.panels();
    ConvTile t{};
    t.x = v + columns.begin * column_floats() + group * c_.source.channels;
    t.w = weights_.at(bundle.first + group, panel, point);
    t.y = m + columns.begin * tiles_.slots() * m_slot;
    t.x_pixel = slot_floats_;
    t.runs = run_offsets_.data();
    t.run_count = static_cast<int>(run_offsets_.size());
    t.run_length = static_cast<int>(c_.source.channels);
    t.y_pixel = m_slot;
    t.pixels = (columns.count - 1) * tiles_.slots() + tiles_.outputs();
    t.channels = products_channels(panel);
    t.vectors = panels.vectors(panel);
    t.activation = Activation::linear;
    kernels().conv_tile(t);
  }

  void gather_column(const GroupBundle& bundle, int64_t column, const float* m, int64_t point, int64_t m_slot,
                     int64_t first_panel, int64_t last_panel, WrittenTiles& written) const {
    const PanelGrid& panels = weights_.panels();
    const int64_t begin = panels.begin(first_panel), first = bundle.first * c_.out_channels + begin;
    WinogradGather g{};
    g.point = point;
    g.channels = static_cast<int>((bundle.groups - 1) * c_.out_channels + panels.begin(last_panel - 1) +
                                  panels.channels(last_panel - 1) - begin);
    g.bias = bias_ == nullptr ? nullptr : bias_ + first;
    g.activation = piecewise_linear(c_.activation) ? c_.activation : Activation::linear;
    g.alpha = c_.alpha;
    for (int64_t slot = 0; slot < tiles_.outputs(); ++slot) {
      if (!tiles_.place(g, y_ + first, y_strides_, column, slot)) continue;
      g.from = m + slot * m_slot;
      if (c_.pooled_output != nullptr) {
        c_.pooled_output->gather(g, y_);
        continue;
      }
      kernels().winograd_output(g);
      if (!piecewise_linear(c_.activation)) activate_tile(g);
      written.add(g);
    }
  }

  void activate_tile(const WinogradGather& g) const {
    const int64_t rows = std::min<int64_t>(g.tile_rows, g.rows - g.row);
    const int64_t cols = std::min<int64_t>(g.tile_cols, g.cols - g.col);
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
  GroupBundles bundles_;
  int64_t slot_channels_, slot_floats_;
  bool in_place_;  // products replace the values that they are of
  bool at_once_;   // products of all points come from one call
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

bool winograd_fits(const WindowSource& source, WinogradKind kind) {
  return source.axis[0].stride == 1 && axis_fits(source.axis[1], kind.vertical) &&
         axis_fits(source.axis[2], kind.horizontal);
}

void correlate_winograd(const Correlation& c, WinogradKind kind, const float* x, const WeightView& w, const float* bias,
                        float* y) {
  const int64_t in = c.source.channels, lanes = kernels().limits.lanes;
  const int64_t vectors = std::min<int64_t>(kPanelVectors, (c.out_channels + lanes - 1) / lanes);
  const WinogradTiles tiles(c.source, c.images, kind, ConvPass::correlation);
  ConvRoute route;
  route.loops = ConvRoute::Loops::winograd;
  route.kind = kind;
  const int64_t weight_floats = kind.points() * tiles.runs() * in * c.out_channels;
  const auto uses = static_cast<double>(tiles.columns() * tiles.slots());
  const auto weights = kept_form<TransformedWeights>(c.kept, route, uses, c.groups * weight_floats, [&] {
    const PackedWeights packed(in_runs(w, tiles), c.groups, in,
                               PanelGrid(c.out_channels, kernels().limits.lanes, static_cast<int>(vectors)));
    return std::make_shared<TransformedWeights>(packed, kind, tiles.runs(), c.groups, in);
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
