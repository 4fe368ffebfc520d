// The micro-kernel of the gradient to the weights.
#include "kernels/conv.h"
#include "simd/vec.h"

namespace cnnfast::CNNFAST_ISA {
namespace {

// `Elements` neighbouring window elements times `Vectors` vectors of output channels, over all pixels.
template <int Elements, int Vectors>
void block(const ConvWeightsTile& t, const float* x, float* dw) {
  Vec acc[Elements][Vectors];
  CNNFAST_UNROLL for (int e = 0; e < Elements; ++e) {
    CNNFAST_UNROLL for (int v = 0; v < Vectors; ++v) acc[e][v] = load(dw + (e * Vectors + v) * kLanes);
  }
  const float* dy = t.dy;
  for (int r = 0; r < t.rows; ++r) {
    const float* from = x + r * t.x_row;
    for (int c = 0; c < t.cols; ++c) {
      Vec gradient[Vectors];
      CNNFAST_UNROLL for (int v = 0; v < Vectors; ++v) gradient[v] = load(dy + v * kLanes);
      CNNFAST_UNROLL for (int e = 0; e < Elements; ++e) {
        const Vec value = broadcast(from[e]);
        CNNFAST_UNROLL for (int v = 0; v < Vectors; ++v) acc[e][v] = fma(value, gradient[v], acc[e][v]);
      }
      from += t.x_pixel;
      dy += t.dy_pixel;
    }
  }
  CNNFAST_UNROLL for (int e = 0; e < Elements; ++e) {
    CNNFAST_UNROLL for (int v = 0; v < Vectors; ++v) store(dw + (e * Vectors + v) * kLanes, acc[e][v]);
  }
}

using BlockFunction = void (*)(const ConvWeightsTile&, const float*, float*);

constexpr int block_elements(int vectors) {
  return kAccumulators / vectors < kMaxTilePixels ? kAccumulators / vectors : kMaxTilePixels;
}

template <int Elements, int Vectors>
constexpr BlockFunction block_function() {
  if constexpr (Elements <= block_elements(Vectors)) {
    return &block<Elements, Vectors>;
  } else {
    return nullptr;
  }
}

#define CNNFAST_BLOCKS(V)                                                                              \
  {block_function<1, V>(),  block_function<2, V>(),  block_function<3, V>(),  block_function<4, V>(),  \
   block_function<5, V>(),  block_function<6, V>(),  block_function<7, V>(),  block_function<8, V>(),  \
   block_function<9, V>(),  block_function<10, V>(), block_function<11, V>(), block_function<12, V>(), \
   block_function<13, V>(), block_function<14, V>()}
constexpr BlockFunction kBlocks[kMaxPanelVectors][kMaxTilePixels] = {CNNFAST_BLOCKS(1), CNNFAST_BLOCKS(2),
                                                                     CNNFAST_BLOCKS(3), CNNFAST_BLOCKS(4)};
#undef CNNFAST_BLOCKS

}  // namespace

void conv_weights_tile(const ConvWeightsTile& t) {
  const int most = block_elements(t.vectors);
  const int blocks = (t.run_length + most - 1) / most;
  int e = 0;
  for (int i = 0; i < blocks; ++i) {
    const int elements = t.run_length / blocks + (i < t.run_length % blocks);
    kBlocks[t.vectors - 1][elements - 1](t, t.x + e, t.dw + static_cast<int64_t>(e) * t.vectors * kLanes);
    e += elements;
  }
}

}  // namespace cnnfast::CNNFAST_ISA
