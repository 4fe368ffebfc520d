// Philox4x32-10: random numbers as a function of a key and a counter, without state.
//
// J. K. Salmon, M. A. Moraes, R. O. Dror and D. E. Shaw, "Parallel Random Numbers: As Easy as 1, 2, 3" (2011). Every
// 128-bit counter gives a block of four words. Here one lane computes one block.
#pragma once

#include "simd/vec.h"

namespace cnnfast::CNNFAST_ISA {

// The values are laid out in chunks that hold 16 blocks each: the first words of all of them, then the second words,
// and so on. Vectors of 4, 8 and 16 lanes all write that order without shuffling.
constexpr int kPhiloxBlocks = 16;
constexpr int kPhiloxChunk = 4 * kPhiloxBlocks;
static_assert(kPhiloxBlocks % kLanes == 0, "a vector must not straddle chunks");

struct PhiloxBlock {
  UintVec word[4];
};

// The blocks of counters first, first + 1, ... (64 bits; the upper half of the counter is zero) under a 64-bit key.
CNNFAST_INLINE PhiloxBlock philox(uint64_t key, uint64_t first) {
  // `first` is a multiple of the lanes, so its low word does not overflow within the vector.
  UintVec a = broadcast_uint(static_cast<uint32_t>(first)) + (UintVec)lane_index();
  UintVec b = broadcast_uint(static_cast<uint32_t>(first >> 32));
  UintVec c{}, d{};
  uint32_t key_low = static_cast<uint32_t>(key), key_high = static_cast<uint32_t>(key >> 32);
  CNNFAST_UNROLL for (int round = 0; round < 10; ++round) {
    const WideProduct left = multiply_wide(a, 0xd2511f53u), right = multiply_wide(c, 0xcd9e8d57u);
    a = right.high ^ b ^ key_low;
    b = right.low;
    c = left.high ^ d ^ key_high;
    d = left.low;
    key_low += 0x9e3779b9u;
    key_high += 0xbb67ae85u;
  }
  return {{a, b, c, d}};
}

}  // namespace cnnfast::CNNFAST_ISA
