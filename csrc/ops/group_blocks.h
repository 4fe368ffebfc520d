// What both loops over grouped convolutions share: blocks of channels, and the pieces of an axis with the same taps.
#pragma once

#include <cstdint>
#include <vector>

#include "kernels/grouped.h"
#include "ops/axis.h"

namespace cnnfast {

// How the channels of a grouped convolution fall into vectors.
struct BlockedGroups {
  enum class Lanes { inputs, outputs };  // what a lane of the sums is

  int64_t groups, in, out;  // channels of a group
  int64_t groups_per_block;
  GroupBlocks blocks;  // `places` points into the next
  std::vector<int32_t> places;

  BlockedGroups(int64_t group_count, int64_t in_channels, int64_t out_channels, Lanes lanes);
  BlockedGroups(const BlockedGroups&) = delete;
  BlockedGroups& operator=(const BlockedGroups&) = delete;

  // The blocks [first, last) alone, as the kernels see them.
  GroupBlocks between(int64_t first, int64_t last) const;
  int64_t first_group(int64_t block) const { return block * groups_per_block; }
  int64_t groups_of(int64_t block) const {
    return block < blocks.count - 1 ? groups_per_block : groups - first_group(block);
  }
};

// Neighbouring outputs along an axis whose windows have the same taps [tap_begin, tap_end) inside the input.
struct AxisPiece {
  int64_t begin, end;
  int64_t tap_begin, tap_end;

  int64_t taps() const { return tap_end - tap_begin; }
  // The input position of the first of these taps, at output `begin`.
  int64_t first_input(const Axis& axis) const {
    return begin * axis.stride - axis.pad_before + tap_begin * axis.dilation;
  }
};

// All outputs [begin, end) of the axis, cut into such pieces, in order.
std::vector<AxisPiece> axis_pieces(const Axis& axis, int64_t begin, int64_t end);

}  // namespace cnnfast
