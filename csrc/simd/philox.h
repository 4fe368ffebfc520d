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

// The words of half as many blocks, one in the lower half of every 64 bits; what the upper halves hold does not matter.
struct PhiloxHalf {
  LongVec a, b, c, d;
};

constexpr uint32_t kPhiloxLeft = 0xd2511f53u, kPhiloxRight = 0xcd9e8d57u;

CNNFAST_INLINE PhiloxHalf philox_round(const PhiloxHalf& x, uint32_t key_low, uint32_t key_high) {
  const LongVec left = multiply_lower(x.a, kPhiloxLeft), right = multiply_lower(x.c, kPhiloxRight);
  return {(right >> 32) ^ x.b ^ broadcast_long(key_low), right, (left >> 32) ^ x.d ^ broadcast_long(key_high), left};
}

// Ten rounds over blocks whose counters are `low` and, all of them, `high`. Half of the first two rounds is the same
// for all blocks, because the counters' upper 64 bits are zero.
CNNFAST_INLINE PhiloxHalf philox_rounds(LongVec low, uint32_t high, uint64_t key) {
  constexpr uint32_t kStepLow = 0x9e3779b9u, kStepHigh = 0xbb67ae85u;
  uint32_t key_low = static_cast<uint32_t>(key), key_high = static_cast<uint32_t>(key >> 32);
  const uint64_t common = uint64_t{high ^ key_low} * kPhiloxLeft;
  const LongVec d = multiply_lower(low, kPhiloxLeft), c = (d >> 32) ^ broadcast_long(key_high);
  key_low += kStepLow;
  key_high += kStepHigh;
  const LongVec right = multiply_lower(c, kPhiloxRight);
  PhiloxHalf x = {(right >> 32) ^ broadcast_long(key_low), right,
                  d ^ broadcast_long(static_cast<uint32_t>(common >> 32) ^ key_high), broadcast_long(common)};
  CNNFAST_UNROLL for (int round = 2; round < 10; ++round) {
    key_low += kStepLow;
    key_high += kStepHigh;
    x = philox_round(x, key_low, key_high);
  }
  return x;
}

// The blocks of counters first, first + 1, ... (64 bits; the upper half of the counter is zero) under a 64-bit key.
// Every other one is computed apart: products need the room, and two rows of dependent steps are under way at a time.
CNNFAST_INLINE PhiloxBlock philox(uint64_t key, uint64_t first) {
  // `first` is a multiple of the lanes, so its low word does not overflow within the vector.
  const LongVec low = (LongVec)(broadcast_uint(static_cast<uint32_t>(first)) + (UintVec)lane_index());
  const uint32_t high = static_cast<uint32_t>(first >> 32);
  const PhiloxHalf even = philox_rounds(low, high, key), odd = philox_rounds(low >> 32, high, key);
  return {{interleave_lower(even.a, odd.a), interleave_lower(even.b, odd.b), interleave_lower(even.c, odd.c),
           interleave_lower(even.d, odd.d)}};
}

}  // namespace cnnfast::CNNFAST_ISA
