// The micro-kernel of the gradient to the weights.
#include "kernels/conv.h"
#include "simd/vec.h"

namespace cnnfast::CNNFAST_ISA {
namespace {

// `Elements` window elements, neighbours or gathered, times `Vectors` vectors of output channels, over all pixels.
template <int Elements, int Vectors, bool Gathered>
void block(const ConvWeightsTile& t, int first, float* dw) {
  Vec acc[Elements][Vectors];
  CNNFAST_UNROLL for (int e = 0; e < Elements; ++e) {
    CNNFAST_UNROLL for (int v = 0; v < Vectors; ++v) acc[e][v] = load(dw + (e * Vectors + v) * kLanes);
  }
  const float* dy = t.dy;
  for (int r = 0; r < t.rows; ++r) {
    const float* from = t.x + r * t.x_row + (Gathered ? 0 : first);
    for (int c = 0; c < t.cols; ++c) {
      Vec gradient[Vectors];
      CNNFAST_UNROLL for (int v = 0; v < Vectors; ++v) gradient[v] = load(dy + v * kLanes);
      CNNFAST_UNROLL for (int e = 0; e < Elements; ++e) {
        const Vec value = broadcast(from[Gathered ? t.elements[first + e] : e]);
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

using BlockFunction = void (*)(const ConvWeightsTile&, int, float*);

constexpr int block_elements(int vectors) {
  return kAccumulators / vectors < kMaxTilePixels ? kAccumulators / vectors : kMaxTilePixels;
}

template <int Elements, int Vectors, bool Gathered>
constexpr BlockFunction block_function() {
  if constexpr (Elements <= block_elements(Vectors)) {
    return &block<Elements, Vectors, Gathered>;
  } else {
    return nullptr;
  }
}

#define CNNFAST_BLOCKS(V, G)                                                                                       \
  {block_function<1, V, G>(),  block_function<2, V, G>(),  block_function<3, V, G>(),  block_function<4, V, G>(),  \
   block_function<5, V, G>(),  block_function<6, V, G>(),  block_function<7, V, G>(),  block_function<8, V, G>(),  \
   block_function<9, V, G>(),  block_function<10, V, G>(), block_function<11, V, G>(), block_function<12, V, G>(), \
   block_function<13, V, G>(), block_function<14, V, G>()}
constexpr BlockFunction kBlocks[2][kMaxWeightsVectors][kMaxTilePixels] = {
    {CNNFAST_BLOCKS(1, false), CNNFAST_BLOCKS(2, false)}, {CNNFAST_BLOCKS(1, true), CNNFAST_BLOCKS(2, true)}};
#undef CNNFAST_BLOCKS

}  // namespace

void conv_weights_tile(const ConvWeightsTile& t) {
  const int most = block_elements(t.vectors);
  const int blocks = (t.run_length + most - 1) / most;
  int e = 0;
  for (int i = 0; i < blocks; ++i) {
    const int elements = t.run_length / blocks + (i < t.run_length % blocks);
    float* dw = t.dw + static_cast<int64_t>(e) * t.vectors * kLanes;
    kBlocks[t.elements != nullptr][t.vectors - 1][elements - 1](t, e, dw);
    e += elements;
  }
}

}  // namespace cnnfast::CNNFAST_ISA
