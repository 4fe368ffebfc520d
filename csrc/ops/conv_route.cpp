#include "ops/conv_route.h"

#include <algorithm>
#include <atomic>
#include <limits>
#include <stdexcept>

#include "dispatch.h"
#include "ops/conv_images.h"
#include "ops/conv_lines.h"
#include "ops/grouped.h"
#include "ops/winograd.h"
#include "ops/winograd_tiles.h"

namespace cnnfast {
namespace {

std::atomic<bool> strict{false};

struct Candidate {
  WinogradKind kind;
  const char* name;
};

constexpr Candidate kCandidates[] = {
    {{WinogradAxis::f4x3, WinogradAxis::f4x3}, "winograd F(4x4, 3x3)"},
    {{WinogradAxis::f2x3, WinogradAxis::f2x3}, "winograd F(2x2, 3x3)"},
    {{WinogradAxis::f4x2, WinogradAxis::f4x2}, "winograd F(4x4, 2x2)"},
    {{WinogradAxis::f2x5, WinogradAxis::f2x5}, "winograd F(2x2, 5x5)"},
    {{WinogradAxis::unit, WinogradAxis::f4x3}, "winograd F(4, 3)"},
    {{WinogradAxis::unit, WinogradAxis::f2x3}, "winograd F(2, 3)"},
    {{WinogradAxis::unit, WinogradAxis::f4x2}, "winograd F(4, 2)"},
    {{WinogradAxis::unit, WinogradAxis::f2x5}, "winograd F(2, 5)"},
};

struct NamedAlgorithm {
  const char* name;
  ConvAlgorithm algorithm;
};

constexpr NamedAlgorithm kAlgorithms[] = {
    {"auto", ConvAlgorithm::automatic},
    {"direct", ConvAlgorithm::direct},
    {"im2col", ConvAlgorithm::im2col},
    {"winograd", ConvAlgorithm::winograd},
    {"winograd_f4x3", ConvAlgorithm::winograd_f4x3},
    {"winograd_f2x3", ConvAlgorithm::winograd_f2x3},
    {"winograd_f4x2", ConvAlgorithm::winograd_f4x2},
    {"winograd_f2x5", ConvAlgorithm::winograd_f2x5},
    {"lines", ConvAlgorithm::lines},
    {"images", ConvAlgorithm::images},
    {"grouped", ConvAlgorithm::grouped},
    {"columns", ConvAlgorithm::columns},
    {"few_rows", ConvAlgorithm::few_rows},
};

// Whether a transform is among those that were asked for.
bool admits(ConvAlgorithm algorithm, WinogradKind kind) {
  switch (algorithm) {
    case ConvAlgorithm::winograd_f4x3:
      return kind.horizontal == WinogradAxis::f4x3;
    case ConvAlgorithm::winograd_f2x3:
      return kind.horizontal == WinogradAxis::f2x3;
    case ConvAlgorithm::winograd_f4x2:
      return kind.horizontal == WinogradAxis::f4x2;
    case ConvAlgorithm::winograd_f2x5:
      return kind.horizontal == WinogradAxis::f2x5;
    case ConvAlgorithm::automatic:
    case ConvAlgorithm::winograd:
      return true;
    default:
      break;
  }
  return false;
}

// What passes cost, in operations at the speed of large products. The factors are fits to measurements of layers of 1
// to 64 images, 7^2 to 56^2 pixels and 16 to 512 channels; their ratios hardly depend on the processor.
constexpr double kPackedWeight = 60;      // to pack a weight, transform it, and read it again
constexpr double kKeptWeight = 30;        // to read it
constexpr double kWeightGradient = 15;    // to transform it back
constexpr double kTransformedValue = 12;  // to transform a value of the input or of the output

// Products of one group's channels are small: minimal filtering gains less by this factor. Fits to layers of 2 to 32
// groups of 16 to 64 channels, 7^2 to 56^2 pixels, 1 to 32 images, with AVX-512; AVX2 gains more.
constexpr double kGroupedProducts = 1.35, kGroupedGradients = 1.7;

double cost_per_weight(ConvPass pass, bool kept) {
  if (pass == ConvPass::weights) return kWeightGradient;
  return kept ? kKeptWeight : kPackedWeight;
}

double count(int64_t n) { return static_cast<double>(n); }

double direct_cost(const WindowSource& source, int64_t images, int64_t out_channels, double per_weight) {
  const auto& a = source.axis;
  const double outputs = count(images * a[0].out * a[1].out * a[2].out);
  return (2 * outputs + per_weight) * count(source.window_floats() * out_channels);
}

double winograd_cost(const WindowSource& source, int64_t images, int64_t out_channels, WinogradKind kind, ConvPass pass,
                     double per_weight) {
  const WinogradTiles tiles(source, images, kind, pass);
  const double slots = count(tiles.points() * tiles.slots()), outputs = count(tiles.points() * tiles.outputs());
  const double in = count(source.channels), out = count(out_channels), runs = count(tiles.runs());
  return 2 * slots * runs * in * out + count(kind.points()) * per_weight * runs * in * out +
         kTransformedValue * (slots * count(tiles.subs()) * in + outputs * out);
}

// Transforms touch every input and output once for each panel of the other's channels: they pay from this many on.
constexpr int64_t kFewestChannels = 16;

bool pays(const WindowSource& source, int64_t out_channels) {
  return source.channels >= kFewestChannels && out_channels >= kFewestChannels;
}

// A group that fills a vector by itself: where vectors are short, reading in place is quicker than panels of one vector
// at strides and for few taps (a gradient's phases). Measured with AVX2; with AVX-512 panels win.
bool group_in_place(const WindowSource& source, int64_t groups, int64_t group_out_channels, ConvPass pass) {
  const int64_t lanes = kernels().limits.lanes, widest = std::max(source.channels, group_out_channels);
  return pass != ConvPass::weights && groups > 1 && lanes <= 8 && widest == lanes &&
         (source.axis[2].stride > 1 || source.taps() <= 4);
}

// Panels of more than half a vector of output channels are pooled as they come, forward; and the phases of a stride
// share a copy of the rows.
bool across_images(const WindowSource& source, int64_t images, int64_t out_channels, ConvPass pass) {
  if (pass == ConvPass::phase) return false;
  const bool narrow = 2 * out_channels <= kernels().limits.lanes;
  return (narrow || pass == ConvPass::gradient) && images_pay(source, images, out_channels);
}

// Whether special loops were asked for, which some passes of a convolution may not have.
bool asks_for_loops(ConvAlgorithm algorithm) {
  return algorithm == ConvAlgorithm::lines || algorithm == ConvAlgorithm::images ||
         algorithm == ConvAlgorithm::grouped || algorithm == ConvAlgorithm::columns ||
         algorithm == ConvAlgorithm::few_rows;
}

// The loops asked for where they can run, else the direct ones. Columns and few rows are of whole convolutions: who
// asks for them has been there before.
ConvRoute::Loops loops_asked_for(ConvAlgorithm algorithm, const WindowSource& source, int64_t groups,
                                 int64_t group_out_channels, ConvPass pass) {
  const bool correlation = pass != ConvPass::weights;
  if (algorithm == ConvAlgorithm::grouped && groups_fit_vectors(groups, source.channels, group_out_channels)) {
    return ConvRoute::Loops::grouped;
  }
  if (algorithm == ConvAlgorithm::lines && correlation && groups == 1 && lines_fit(source, group_out_channels)) {
    return ConvRoute::Loops::lines;
  }
  const bool whole = correlation && pass != ConvPass::phase;
  if (algorithm == ConvAlgorithm::images && whole && groups == 1 && images_fit(source, group_out_channels)) {
    return ConvRoute::Loops::images;
  }
  return ConvRoute::Loops::direct;
}

}  // namespace

ConvAlgorithm algorithm_from_name(const std::string& op, const std::string& name) {
  std::string known;
  for (const NamedAlgorithm& named : kAlgorithms) {
    if (name == named.name) return named.algorithm;
    known += (known.empty() ? "'" : ", '") + std::string(named.name) + "'";
  }
  throw std::invalid_argument(op + ": algorithm must be one of " + known + ", got '" + name + "'");
}

std::string ConvRoute::name() const {
  if (loops == Loops::direct) return "direct";
  if (loops == Loops::im2col) return "im2col";
  if (loops == Loops::few_rows) return "few rows";
  if (loops == Loops::lines) return "lines";
  if (loops == Loops::images) return "images";
  if (loops == Loops::grouped) return depthwise ? "depthwise" : "grouped";
  for (const Candidate& candidate : kCandidates) {
    if (candidate.kind.vertical == kind.vertical && candidate.kind.horizontal == kind.horizontal) return candidate.name;
  }
  return "winograd";
}

bool can_run(ConvAlgorithm algorithm, const WindowSource& source) {
  if (algorithm == ConvAlgorithm::direct || algorithm == ConvAlgorithm::im2col || asks_for_loops(algorithm))
    return true;
  for (const Candidate& candidate : kCandidates) {
    if (admits(algorithm, candidate.kind) && winograd_fits(source, candidate.kind)) return true;
  }
  return algorithm == ConvAlgorithm::automatic;
}

ConvRoute route_convolution(const WindowSource& source, int64_t images, int64_t groups, int64_t group_out_channels,
                            ConvAlgorithm algorithm, ConvPass pass, bool weights_kept) {
  ConvRoute route;
  route.depthwise = source.channels == 1 && group_out_channels == 1;
  if (asks_for_loops(algorithm)) {
    route.loops = loops_asked_for(algorithm, source, groups, group_out_channels, pass);
    return route;
  }
  // Panels of one group's output channels fill vectors less than several groups side by side do.
  if (groups_share_vectors(groups, source.channels, group_out_channels) ||
      group_in_place(source, groups, group_out_channels, pass)) {
    route.loops = ConvRoute::Loops::grouped;
  }
  if (algorithm == ConvAlgorithm::im2col) route.loops = ConvRoute::Loops::im2col;
  if (algorithm == ConvAlgorithm::direct || algorithm == ConvAlgorithm::im2col) return route;
  if (algorithm == ConvAlgorithm::automatic && pass != ConvPass::weights && groups == 1) {
    if (across_images(source, images, group_out_channels, pass)) {
      route.loops = ConvRoute::Loops::images;
      return route;
    }
    if (lines_pay(source, group_out_channels)) {
      route.loops = ConvRoute::Loops::lines;
      return route;
    }
  }
  const bool forced = algorithm != ConvAlgorithm::automatic;
  if (!forced && (strict_precision() || !pays(source, group_out_channels))) return route;
  // What was asked for by name computes the same bits whether weights lie ready or not.
  const double per_weight = cost_per_weight(pass, weights_kept && !forced);
  double least =
      forced ? std::numeric_limits<double>::infinity() : direct_cost(source, images, group_out_channels, per_weight);
  const double slower = groups == 1 ? 1 : pass == ConvPass::weights ? kGroupedGradients : kGroupedProducts;
  for (const Candidate& candidate : kCandidates) {
    if (!admits(algorithm, candidate.kind) || !winograd_fits(source, candidate.kind)) continue;
    const double cost = slower * winograd_cost(source, images, group_out_channels, candidate.kind, pass, per_weight);
    if (cost >= least) continue;
    least = cost;
    route.loops = ConvRoute::Loops::winograd;
    route.kind = candidate.kind;
  }
  if (forced && route.loops != ConvRoute::Loops::winograd) {
    throw std::invalid_argument(
        "algorithm 'winograd' needs a window of 2, 3 or 5 taps on every axis (in one dimension on the last) that the "
        "transform asked for has, after a stride left each of its phases a part of them; strides and dilation exclude "
        "each other");
  }
  return route;
}

void set_strict_precision(bool value) { strict.store(value, std::memory_order_relaxed); }
bool strict_precision() { return strict.load(std::memory_order_relaxed); }

}  // namespace cnnfast
