// The gradient to the weights behind a max pooling: one window of x for each pooled value instead of one for each
// pixel.
#include "kernels/conv.h"
#include "simd/vec.h"

namespace cnnfast::CNNFAST_ISA {
namespace {

constexpr int kMostPieces = 6;

// `Pieces` pieces of the windows that `Channels` neighbouring channels' winners look at.
template <int Channels, int Pieces, bool Whole>
void sum_pieces(const PooledWeightsRow& row, int64_t channel, int first) {
  const PooledWeightsRow t = row;
  float* const sums = t.sums + (channel * t.piece_count + first) * kLanes;
  const int64_t next = static_cast<int64_t>(t.piece_count) * kLanes;
  Vec acc[Channels][Pieces];
  int64_t at[Pieces];
  CNNFAST_UNROLL for (int p = 0; p < Pieces; ++p) at[p] = t.pieces[first + p];
  CNNFAST_UNROLL for (int c = 0; c < Channels; ++c) {
    CNNFAST_UNROLL for (int p = 0; p < Pieces; ++p) acc[c][p] = load(sums + c * next + p * kLanes);
  }
  const float *x = t.x, *dy = t.dy + channel;
  const uint8_t* winners = t.winners + channel;
  for (int64_t i = 0; i < t.pixels; ++i) {
    CNNFAST_UNROLL for (int c = 0; c < Channels; ++c) {
      const float* window = x + t.taps[winners[c]];
      const Vec gradient = broadcast(dy[c]);
      CNNFAST_UNROLL for (int p = 0; p < Pieces; ++p) {
        const Vec values = Whole ? load(window + at[p]) : load_partial(window + at[p], t.lanes);
        acc[c][p] = fma(values, gradient, acc[c][p]);
      }
    }
    x += t.x_pixel;
    dy += t.channels;
    winners += t.channels;
  }
  CNNFAST_UNROLL for (int c = 0; c < Channels; ++c) {
    CNNFAST_UNROLL for (int p = 0; p < Pieces; ++p) store(sums + c * next + p * kLanes, acc[c][p]);
  }
}

using PiecesFunction = void (*)(const PooledWeightsRow&, int64_t, int);

#define CNNFAST_PIECES(C, W)                                         \
  {&sum_pieces<C, 1, W>, &sum_pieces<C, 2, W>, &sum_pieces<C, 3, W>, \
   &sum_pieces<C, 4, W>, &sum_pieces<C, 5, W>, &sum_pieces<C, 6, W>}
constexpr PiecesFunction kPieces[2][2][kMostPieces] = {{CNNFAST_PIECES(1, false), CNNFAST_PIECES(2, false)},
                                                       {CNNFAST_PIECES(1, true), CNNFAST_PIECES(2, true)}};
#undef CNNFAST_PIECES

}  // namespace

void pooled_weights_row(const PooledWeightsRow& t) {
  const int blocks = (t.piece_count + kMostPieces - 1) / kMostPieces;
  int first = 0;
  for (int i = 0; i < blocks; ++i) {
    const int pieces = t.piece_count / blocks + (i < t.piece_count % blocks);
    const auto& of_channels = kPieces[t.lanes == kLanes];
    int64_t channel = 0;
    for (; channel + 2 <= t.channels; channel += 2) of_channels[1][pieces - 1](t, channel, first);
    if (channel < t.channels) of_channels[0][pieces - 1](t, channel, first);
    first += pieces;
  }
}

}  // namespace cnnfast::CNNFAST_ISA
