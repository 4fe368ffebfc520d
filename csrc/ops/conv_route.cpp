#include "ops/conv_route.h"

#include <atomic>
#include <stdexcept>

#include "ops/winograd.h"

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
    {{WinogradAxis::f2x5, WinogradAxis::f2x5}, "winograd F(2x2, 5x5)"},
    {{WinogradAxis::unit, WinogradAxis::f4x3}, "winograd F(4, 3)"},
    {{WinogradAxis::unit, WinogradAxis::f2x3}, "winograd F(2, 3)"},
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
    {"winograd_f2x5", ConvAlgorithm::winograd_f2x5},
};

// Whether a transform is among those that were asked for.
bool admits(ConvAlgorithm algorithm, WinogradKind kind) {
  switch (algorithm) {
    case ConvAlgorithm::winograd_f4x3:
      return kind.horizontal == WinogradAxis::f4x3;
    case ConvAlgorithm::winograd_f2x3:
      return kind.horizontal == WinogradAxis::f2x3;
    case ConvAlgorithm::winograd_f2x5:
      return kind.horizontal == WinogradAxis::f2x5;
    case ConvAlgorithm::automatic:
    case ConvAlgorithm::winograd:
      return true;
    case ConvAlgorithm::direct:
    case ConvAlgorithm::im2col:
      break;
  }
  return false;
}

// Multiply-adds per output and channel pair, counting the tiles' overhang.
double products(const WindowSource& source, WinogradKind kind) {
  const auto covered = [](int64_t out, int64_t tile) {
    return static_cast<double>((out + tile - 1) / tile * tile) / static_cast<double>(out);
  };
  const int rows = winograd_outputs(kind.vertical), cols = winograd_outputs(kind.horizontal);
  return kind.points() / static_cast<double>(rows * cols) * covered(source.axis[1].out, rows) *
         covered(source.axis[2].out, cols);
}

// Transforms touch every input and output once for each panel of the other's channels: they pay from this many on.
constexpr int64_t kFewestChannels = 16;

bool pays(const WindowSource& source, int64_t out_channels) {
  return source.channels >= kFewestChannels && out_channels >= kFewestChannels;
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
  if (loops == Loops::depthwise) return "depthwise";
  for (const Candidate& candidate : kCandidates) {
    if (candidate.kind.vertical == kind.vertical && candidate.kind.horizontal == kind.horizontal) return candidate.name;
  }
  return "winograd";
}

ConvRoute route_convolution(const WindowSource& source, int64_t images, int64_t groups, int64_t group_out_channels,
                            ConvAlgorithm algorithm, ConvPass pass) {
  ConvRoute route;
  if (groups > 1 && source.channels == 1 && group_out_channels == 1) route.loops = ConvRoute::Loops::depthwise;
  if (algorithm == ConvAlgorithm::im2col) route.loops = ConvRoute::Loops::im2col;
  if (algorithm == ConvAlgorithm::direct || algorithm == ConvAlgorithm::im2col) return route;
  const bool forced = algorithm != ConvAlgorithm::automatic;
  if (!forced && (strict_precision() || !pays(source, group_out_channels))) return route;
  // The fewest products.
  double least = 0;
  for (const Candidate& candidate : kCandidates) {
    if (!admits(algorithm, candidate.kind) || !winograd_fits(source, groups, candidate.kind)) continue;
    const double count = products(source, candidate.kind);
    if (route.loops == ConvRoute::Loops::winograd && count >= least) continue;
    least = count;
    route.loops = ConvRoute::Loops::winograd;
    route.kind = candidate.kind;
  }
  if (forced && route.loops != ConvRoute::Loops::winograd) {
    throw std::invalid_argument(
        "algorithm 'winograd' needs stride 1, dilation 1, one group and a window of 3x3, 5x5 or, in one dimension, 3 "
        "or "
        "5 taps that the transform asked for has");
  }
  (void)images;
  (void)pass;
  return route;
}

void set_strict_precision(bool value) { strict.store(value, std::memory_order_relaxed); }
bool strict_precision() { return strict.load(std::memory_order_relaxed); }

}  // namespace cnnfast
