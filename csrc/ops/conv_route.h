// The one place that decides which loops a convolution runs through.
#pragma once

#include <string>
#include <vector>

#include "kernels/winograd.h"
#include "ops/window.h"

namespace cnnfast {

// What a caller may ask for: the library's choice, or one algorithm for tests and measurements.
enum class ConvAlgorithm {
  automatic,
  direct,
  im2col,
  winograd,
  winograd_f4x3,
  winograd_f2x3,
  winograd_f4x2,
  winograd_f2x5,
  lines,
  images,
  grouped,
  columns,
  few_rows
};

// "auto", "direct", "im2col", "winograd", ...; throws std::invalid_argument that lists them.
ConvAlgorithm algorithm_from_name(const std::string& op, const std::string& name);

// What runs.
struct ConvRoute {
  enum class Loops { direct, im2col, grouped, winograd, few_rows, lines, images };
  Loops loops = Loops::direct;
  WinogradKind kind{WinogradAxis::unit, WinogradAxis::unit};
  bool depthwise = false;  // of the grouped ones
  int panel_vectors = 0;   // of the direct ones, once they have chosen: weights in panels of another width are others

  // "direct", "few rows", "lines", "images", "grouped", "depthwise", "winograd F(4x4, 3x3)", "winograd F(4, 3)", ...
  std::string name() const;
};

// Forward, or a product of matrices; backward-data, where the stride is 1 or one phase of a stride; backward-weights.
enum class ConvPass { correlation, gradient, phase, weights };

// Whether the loops asked for, if there are such, can compute a pass; where they cannot, the direct ones do, but for
// transforms, which some pass must be able to use.
bool can_run(ConvAlgorithm algorithm, const WindowSource& source);

// `weights_kept`: the weights need not be packed or transformed at every call. Throws std::invalid_argument where
// Winograd is asked for and no transform has this window and stride.
ConvRoute route_convolution(const WindowSource& source, int64_t images, int64_t groups, int64_t group_out_channels,
                            ConvAlgorithm algorithm, ConvPass pass, bool weights_kept = false);

// Strict: never an algorithm that rounds differently from a plain sum of products. For the whole process.
void set_strict_precision(bool strict);
bool strict_precision();

}  // namespace cnnfast
