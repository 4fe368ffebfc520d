// Convolutions with few outputs, a vector of images at a time.
#include "kernels/image_tile.h"

#include "simd/transpose.h"
#include "simd/vec.h"

namespace cnnfast::CNNFAST_ISA {
namespace {

// Adds a tap's products up, for pixels [kBegin, kEnd).
template <int kBegin, int kEnd, int kOutputs, int kPixels>
CNNFAST_INLINE void add_tap(const ImageTile& t, const float* x, const float* w, Vec (&sums)[kPixels][kOutputs]) {
  for (int k = 0; k < t.channels; ++k, x += kLanes, w += kOutputs) {
    Vec values[kEnd - kBegin];
    CNNFAST_UNROLL for (int p = kBegin; p < kEnd; ++p) values[p - kBegin] = in_register(load(x + p * t.x_pixel));
    CNNFAST_UNROLL for (int c = 0; c < kOutputs; ++c) {
      const Vec weight = in_register(broadcast(w[c]));
      CNNFAST_UNROLL for (int p = kBegin; p < kEnd; ++p) sums[p][c] = fma(values[p - kBegin], weight, sums[p][c]);
    }
  }
}

// Finds the loop for the column's pixels: all of them, those up to a limit, those from one on, or any.
template <int kBegin, int kEnd, int kOutputs, int kPixels>
CNNFAST_INLINE void add_column(const ImageTile& t, const ImageTapColumn& column, const float* x, const float* w,
                               Vec (&sums)[kPixels][kOutputs]) {
  if (column.begin == kBegin && column.end == kEnd) {
    add_tap<kBegin, kEnd>(t, x, w, sums);
  } else if constexpr (kEnd - 1 > kBegin) {
    add_column<kBegin, kEnd - 1>(t, column, x, w, sums);
  } else if constexpr (kBegin + 1 < kPixels) {
    add_column<kBegin + 1, kPixels>(t, column, x, w, sums);
  }
}

// The sums of each pixel and output, one image after the other.
void write(const ImageTile& t, const float* sums) {
  if (t.y_pixel != t.outputs) {
    for (int image = 0; image < t.images; ++image) {
      for (int i = 0; i < t.pixels * t.outputs; ++i) {
        t.y[image * t.y_image + i / t.outputs * t.y_pixel + i % t.outputs] = sums[i * kLanes + image];
      }
    }
    return;
  }
  for_each_vector(t.pixels * t.outputs, [&](int64_t i, int lanes) CNNFAST_INLINE_LAMBDA {
    Vec square[kLanes];
    CNNFAST_UNROLL for (int j = 0; j < kLanes; ++j) square[j] = load(sums + (i + j) * kLanes);
    transpose(square);
    float* y = t.y + i;
    CNNFAST_UNROLL for (int image = 0; image < kLanes; ++image) {
      if (image < t.images) store_lanes(y + image * t.y_image, square[image], lanes);
    }
  });
}

template <int kOutputs>
void tile(const ImageTile& t) {
  constexpr int kPixels = image_pixels(kOutputs, kAccumulators);
  Vec sums[kPixels][kOutputs];
  CNNFAST_UNROLL for (int c = 0; c < kOutputs; ++c) {
    const Vec first = t.bias == nullptr ? zero() : broadcast(t.bias[c]);
    CNNFAST_UNROLL for (int p = 0; p < kPixels; ++p) sums[p][c] = first;
  }
  for (int r = 0; r < t.row_count; ++r) {
    const float *x = t.x + t.rows[r].x, *w = t.w + t.rows[r].w;
    for (int i = 0; i < t.column_count; ++i) {
      add_column<0, kPixels>(t, t.columns[i], x + t.columns[i].x, w + t.columns[i].w, sums);
    }
  }
  // Whole squares are read of it.
  float across[(kPixels * kOutputs + kLanes) * kLanes];
  CNNFAST_UNROLL for (int p = 0; p < kPixels; ++p) {
    CNNFAST_UNROLL for (int c = 0; c < kOutputs; ++c) store(across + (p * kOutputs + c) * kLanes, sums[p][c]);
  }
  write(t, across);
}

}  // namespace

void image_tile(const ImageTile& t) {
  switch (t.outputs) {
    case 1:
      return tile<1>(t);
    case 2:
      return tile<2>(t);
    case 3:
      return tile<3>(t);
    case 4:
      return tile<4>(t);
    case 5:
      return tile<5>(t);
    case 6:
      return tile<6>(t);
    case 7:
      return tile<7>(t);
    default:
      return tile<8>(t);
  }
}

}  // namespace cnnfast::CNNFAST_ISA
