#include "ops/correlation.h"

#include <algorithm>

#include "dispatch.h"
#include "ops/activation.h"
#include "ops/conv_images.h"
#include "ops/conv_lines.h"
#include "ops/grouped.h"
#include "ops/moments.h"
#include "ops/winograd.h"
#include "runtime/memory.h"
#include "runtime/parallel.h"

namespace cnnfast {
namespace {

constexpr int64_t kBlockFloats = (256 << 10) / 4;   // a block's input stays in the second-level cache
constexpr int64_t kWeightFloats = (512 << 10) / 4;  // and beside it the panels that pass over it
constexpr int64_t kNearFloats = (40 << 10) / 4;     // of a panel that stays in the first-level cache
constexpr int kTasksPerThread = 4;

// Wide panels load less for each product and write more neighbours at a time, but are read for half as many pixels:
// they pay while they stay in the first-level cache, and where neighbouring pixels would not share a line.
int panel_vectors(const Correlation& c, const KernelLimits& limits) {
  const int64_t wanted = (c.out_channels + limits.lanes - 1) / limits.lanes;
  const bool near = c.source.window_floats() * kMaxPanelVectors * limits.lanes <= kNearFloats;
  const bool wide = limits.accumulators >= 28 && (near || c.source.taps() == 1);
  return static_cast<int>(std::clamp<int64_t>(wanted, 1, wide ? 4 : 2));
}

// A pointwise correlation has no rows: all pixels of all images are one long row.
Correlation flattened(Correlation c) {
  const auto plain = [](const Axis& a) { return a.window == 1 && a.stride == 1 && a.pad_before == 0 && a.in == a.out; };
  Axis *d = &c.source.axis[0], *h = &c.source.axis[1], *w = &c.source.axis[2];
  const bool dense = c.y_row == w->out * c.y_pixel && c.y_plane == h->out * c.y_row && c.y_image == d->out * c.y_plane;
  if (!plain(*d) || !plain(*h) || !plain(*w) || !dense) return c;
  const int64_t pixels = c.images * d->out * h->out * w->out;
  *d = *h = Axis{1, 1, 1, 1, 1, 0};
  *w = Axis{pixels, pixels, 1, 1, 1, 0};
  c.images = 1;
  c.y_image = c.y_plane = c.y_row = pixels * c.y_pixel;
  return c;
}

// Copied windows count as a block's input too, and what is read again has to be in a near cache.
int64_t pixels_at_most(const Correlation& c, Runs runs) {
  const auto fits = [](int64_t floats) { return std::max<int64_t>(kMaxTilePixels, kBlockFloats / floats); };
  if (runs == Runs::windows) return fits(c.source.window_floats());
  if (c.moments == nullptr) return INT64_MAX;
  // The channels of the panels that are read for a block, of at least one.
  return fits(std::clamp<int64_t>(kWeightFloats / c.source.window_floats(), 1, c.out_channels));
}

class Loops {
 public:
  Loops(const Correlation& c, Runs runs, const float* x, const PackedWeights& weights, const float* bias, float* y)
      : c_(c),
        runs_(runs),
        x_(x),
        weights_(weights),
        bias_(bias),
        y_(y),
        grid_(c.source, c.images, kBlockFloats, pixels_at_most(c, runs)) {
    const int64_t panels = weights.panels().count();
    const int64_t panel_floats = c.source.window_floats() * weights.panels().width();
    panels_per_task_ = std::clamp<int64_t>(kWeightFloats / panel_floats, 1, panels);
    const int threads = threads_for(INT32_MAX, c.flops() / kFlopsPerOperation);
    const int64_t enough = threads == 1 ? 1 : int64_t{kTasksPerThread} * threads;
    grid_.split(enough / (c.groups * panel_groups()));
    while (grid_.size() * c.groups * panel_groups() < enough && panels_per_task_ > 1) panels_per_task_ /= 2;
  }

  void run() {
    const WindowLayout layout(c_.source, grid_, runs_);
    const int64_t tasks = panel_groups() * c_.groups * grid_.size();
    const int threads = threads_for(tasks, c_.flops() / kFlopsPerOperation);
    const Scratch scratch(threads, static_cast<size_t>(layout.scratch_floats()));
    parallel_tasks(tasks, threads, [&](int64_t task, int thread) {
      const int64_t block = task % grid_.size(), rest = task / grid_.size();
      run_block(layout, grid_[block], rest % c_.groups, rest / c_.groups, scratch.part(thread));
    });
  }

 private:
  int64_t panel_groups() const { return (weights_.panels().count() + panels_per_task_ - 1) / panels_per_task_; }

  void run_block(const WindowLayout& layout, const OutputBlock& block, int64_t group, int64_t panel_group,
                 float* scratch) const {
    const WindowView view = layout.view(block, x_, group * c_.source.channels, scratch);
    const int64_t first_panel = panel_group * panels_per_task_;
    const int64_t last_panel = std::min(first_panel + panels_per_task_, weights_.panels().count());
    float* y = y_ + block.image * c_.y_image + block.depth * c_.y_plane + block.row_begin * c_.y_row +
               block.col_begin * c_.y_pixel;
    const DirectPart part{block.rows(), block.cols(), group, first_panel, last_panel};
    direct_block(c_, layout, view, weights_, bias_, part, true, y);
    if (c_.moments != nullptr) tell(part, y);
  }

  void tell(const DirectPart& part, const float* y) const {
    const PanelGrid& panels = weights_.panels();
    const int64_t channels =
        panels.begin(part.last_panel - 1) + panels.channels(part.last_panel - 1) - panels.begin(part.first_panel);
    for (int64_t r = 0; r < part.rows; ++r) c_.moments->written(y + r * c_.y_row, part.cols, channels);
  }

  const Correlation& c_;
  Runs runs_;
  const float* x_;
  const PackedWeights& weights_;
  const float* bias_;
  float* y_;
  BlockGrid grid_;
  int64_t panels_per_task_;
};

void correlate_directly(const Correlation& c, Runs runs, const float* x, const WeightView& w, const float* bias,
                        float* y) {
  ConvRoute route;
  route.loops = runs == Runs::windows ? ConvRoute::Loops::im2col : ConvRoute::Loops::direct;
  route.panel_vectors = panel_vectors(c, kernels().limits);
  const double weight_floats = static_cast<double>(c.groups * c.out_channels * c.source.window_floats());
  const auto weights = kept_form<PackedWeights>(
      c.kept, route, c.flops() / (2 * weight_floats), static_cast<int64_t>(weight_floats),
      [&] { return std::make_shared<PackedWeights>(w, c.groups, c.source.channels, direct_panels(c)); });
  Loops(c, runs, x, *weights, bias, y).run();
}

ConvRoute route_of(const Correlation& c) {
  return route_convolution(c.source, c.images, c.groups, c.out_channels, c.algorithm, c.pass, c.kept != nullptr);
}

}  // namespace

PanelGrid direct_panels(const Correlation& c) {
  const KernelLimits limits = kernels().limits;
  return PanelGrid(c.out_channels, limits.lanes, panel_vectors(c, limits));
}

void direct_block(const Correlation& c, const WindowLayout& layout, const WindowView& view,
                  const PackedWeights& weights, const float* bias, const DirectPart& part, bool fetch_y, float* y) {
  ConvTile tile;
  tile.x_pixel = view.pixel;
  tile.runs = layout.runs().data();
  tile.run_count = static_cast<int>(layout.runs().size());
  tile.run_length = static_cast<int>(layout.run_length());
  tile.y_pixel = c.y_pixel;
  tile.pixels = part.cols;
  tile.accumulate = false;
  tile.fetch_ahead = c.source.taps() == 1;
  tile.fetch_y = fetch_y;
  tile.activation = piecewise_linear(c.activation) ? c.activation : Activation::linear;
  tile.alpha = c.alpha;
  for (int64_t r = 0; r < part.rows; ++r) {
    tile.x = view.first + r * view.row;
    float* row = y + r * c.y_row + part.group * c.out_channels;
    for (int64_t p = part.first_panel; p < part.last_panel; ++p) {
      const int64_t channel = weights.panels().begin(p);
      tile.w = weights.panel(part.group, p);
      tile.bias = bias == nullptr ? nullptr : bias + part.group * c.out_channels + channel;
      tile.y = row + channel;
      tile.channels = weights.panels().channels(p);
      tile.vectors = weights.panels().vectors(p);
      kernels().conv_tile(tile);
      if (!piecewise_linear(c.activation)) {
        activate_pixels(c.activation, c.alpha, tile.y, tile.y_pixel, tile.pixels, tile.channels);
      }
    }
  }
}

void activate_pixels(Activation kind, float alpha, float* y, int64_t y_pixel, int64_t pixels, int64_t channels) {
  if (y_pixel == channels) {  // pixels of few channels fill vectors together
    kernels().activation_forward(kind, alpha, y, y, pixels * channels);
    return;
  }
  for (int64_t p = 0; p < pixels; ++p) {
    kernels().activation_forward(kind, alpha, y + p * y_pixel, y + p * y_pixel, channels);
  }
}

double Correlation::flops() const {
  const auto& a = source.axis;
  return 2.0 * static_cast<double>(images) * static_cast<double>(a[0].out * a[1].out) * static_cast<double>(a[2].out) *
         static_cast<double>(groups * out_channels) * static_cast<double>(source.window_floats());
}

void correlate(const Correlation& correlation, const ConvRoute& route, const float* x, const WeightView& w,
               const float* bias, float* y) {
  const Correlation c = flattened(correlation);
  if (c.images == 0 || c.source.axis[2].out == 0) return;
  switch (route.loops) {
    case ConvRoute::Loops::direct:
      return correlate_directly(c, Runs::rows, x, w, bias, y);
    case ConvRoute::Loops::im2col:
      return correlate_directly(c, Runs::windows, x, w, bias, y);
    case ConvRoute::Loops::grouped:
      return correlate_grouped({{c, w, y}}, x, bias);
    case ConvRoute::Loops::lines:
      return correlate_lines({{c, w, y}}, x, bias);
    case ConvRoute::Loops::images:
      return correlate_images(c, x, w, bias, y);
    case ConvRoute::Loops::winograd:
      return correlate_winograd(c, route.kind, x, w, bias, y);
    case ConvRoute::Loops::few_rows:
      break;  // of whole convolutions only
  }
}

void correlate_parts(const std::vector<CorrelationPart>& parts, const float* x, const float* bias) {
  if (parts.empty() || parts.front().correlation.images == 0) return;
  const ConvRoute route = route_of(parts.front().correlation);
  if (parts.size() > 1 && route.loops == ConvRoute::Loops::grouped) {
    correlate_grouped(parts, x, bias);
    return;
  }
  if (parts.size() > 1 && route.loops == ConvRoute::Loops::lines) {
    correlate_lines(parts, x, bias);
    return;
  }
  for (const CorrelationPart& part : parts)
    correlate(part.correlation, route_of(part.correlation), x, part.weights, bias, part.y);
}

}  // namespace cnnfast
