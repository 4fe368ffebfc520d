// Random numbers and dropout, both functions of a seed and a position only.
#include "simd/philox.h"
#include "simd/vec.h"

namespace cnnfast::CNNFAST_ISA {
namespace {

// Calls body(offset, words, lanes) over [0, count); `first`, the position of offset 0, is a multiple of the chunk.
template <typename Body>
CNNFAST_INLINE void for_each_word(uint64_t seed, int64_t first, int64_t count, Body body) {
  const uint64_t first_block = static_cast<uint64_t>(first / kPhiloxChunk) * kPhiloxBlocks;
  for (int64_t chunk = 0; chunk < count; chunk += kPhiloxChunk) {
    for (int block = 0; block < kPhiloxBlocks; block += kLanes) {
      const PhiloxBlock words =
          philox(seed, first_block + static_cast<uint64_t>(chunk / kPhiloxChunk * kPhiloxBlocks + block));
      CNNFAST_UNROLL for (int k = 0; k < 4; ++k) {
        const int64_t offset = chunk + k * kPhiloxBlocks + block;
        if (offset >= count) break;
        body(offset, words.word[k], count - offset < kLanes ? static_cast<int>(count - offset) : kLanes);
      }
    }
  }
}

}  // namespace

void dropout(uint64_t seed, int64_t first, uint32_t threshold, float scale, const float* x, float* y, int64_t count) {
  for_each_word(seed, first, count, [&](int64_t i, UintVec word, int lanes) CNNFAST_INLINE_LAMBDA {
    const IntVec kept = word >= broadcast_uint(threshold);
    store_lanes(y + i, select(kept, load_lanes(x + i, lanes) * scale, zero()), lanes);
  });
}

// The upper 24 bits of each word as a multiple of 2^-24 in [0, 1).
void uniform(uint64_t seed, int64_t first, float* y, int64_t count) {
  for_each_word(seed, first, count, [&](int64_t i, UintVec word, int lanes) CNNFAST_INLINE_LAMBDA {
    store_lanes(y + i, __builtin_convertvector((IntVec)(word >> 8), Vec) * 0x1p-24f, lanes);
  });
}

}  // namespace cnnfast::CNNFAST_ISA
