// The tiles of a Winograd convolution, and where their transformed values lie.
#pragma once

#include <algorithm>
#include <cstdint>

#include "kernels/winograd.h"
#include "ops/window.h"

namespace cnnfast {

// Tiles of outputs, numbered image by image, row by row. A depth axis without a window counts as more images.
class WinogradTiles {
 public:
  WinogradTiles(const WindowSource& source, int64_t images, WinogradKind kind)
      : planes_(images * source.axis[0].out),
        height_(winograd_outputs(kind.vertical)),
        width_(winograd_outputs(kind.horizontal)),
        tile_rows_((source.axis[1].out + height_ - 1) / height_),
        tile_cols_((source.axis[2].out + width_ - 1) / width_) {}

  int64_t count() const { return planes_ * tile_rows_ * tile_cols_; }
  int64_t plane(int64_t tile) const { return tile / (tile_rows_ * tile_cols_); }
  // The tile's first output.
  int64_t row(int64_t tile) const { return tile / tile_cols_ % tile_rows_ * height_; }
  int64_t col(int64_t tile) const { return tile % tile_cols_ * width_; }

 private:
  int64_t planes_, height_, width_, tile_rows_, tile_cols_;
};

// A few floats more between transform points than their values need, so that the points of one tile do not fall into
// one set of the first-level cache.
inline int64_t spread_points(int64_t floats) { return (floats + 15) / 16 * 16 + 16; }

// A scatter of tiles of a dense NHWC array; image, row, col and target are set for each tile.
inline WinogradScatter scatter_from(WinogradKind kind, int64_t rows, int64_t cols, int64_t channels,
                                    const float* zeros) {
  WinogradScatter s{};
  s.kind = kind;
  s.rows = rows;
  s.cols = cols;
  s.row_stride = cols * channels;
  s.pixel_stride = channels;
  s.channels = static_cast<int>(channels);
  s.zeros = zeros;
  return s;
}

}  // namespace cnnfast
