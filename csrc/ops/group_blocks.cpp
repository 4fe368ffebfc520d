#include "ops/group_blocks.h"

#include <algorithm>

#include "dispatch.h"

namespace cnnfast {
namespace {

int64_t ceil_div(int64_t a, int64_t b) { return a <= 0 ? 0 : (a + b - 1) / b; }

AxisPiece piece_at(const Axis& axis, int64_t output) {
  const int64_t start = output * axis.stride - axis.pad_before;
  const int64_t first = std::min(axis.window, ceil_div(-start, axis.dilation));
  const int64_t last = std::min(axis.window, ceil_div(axis.in - start, axis.dilation));
  return {output, output + 1, first, std::max(first, last)};
}

}  // namespace

BlockedGroups::BlockedGroups(int64_t group_count, int64_t in_channels, int64_t out_channels, Lanes lanes)
    : groups(group_count),
      in(in_channels),
      out(out_channels),
      groups_per_block(kernels().limits.lanes / std::max(in_channels, out_channels)) {
  const int width = kernels().limits.lanes;
  blocks.count = (groups + groups_per_block - 1) / groups_per_block;
  const int64_t last = groups - first_group(blocks.count - 1);
  blocks.block_in = static_cast<int>(groups_per_block * in);
  blocks.block_out = static_cast<int>(groups_per_block * out);
  blocks.last_in = static_cast<int>(last * in);
  blocks.last_out = static_cast<int>(last * out);
  const bool fill = blocks.block_in == width && blocks.block_out == width;
  blocks.whole = !fill ? 0 : last == groups_per_block ? blocks.count : blocks.count - 1;
  blocks.places = nullptr;
  if (in == 1 && out == 1) return;
  const int64_t own = lanes == Lanes::inputs ? in : out, other = lanes == Lanes::inputs ? out : in;
  for (int64_t lane = 0; lane < width; ++lane) {
    places.push_back(static_cast<int32_t>(std::min(lane / own, groups_per_block - 1) * other));
  }
  blocks.places = places.data();
}

GroupBlocks BlockedGroups::between(int64_t first, int64_t last) const {
  GroupBlocks part = blocks;
  part.count = last - first;
  part.whole = std::clamp<int64_t>(blocks.whole - first, 0, part.count);
  if (last < blocks.count) {
    part.last_in = blocks.block_in;
    part.last_out = blocks.block_out;
  }
  return part;
}

std::vector<AxisPiece> axis_pieces(const Axis& axis, int64_t begin, int64_t end) {
  // Outputs whose whole window is inside are one piece; the few others are looked at one by one.
  const int64_t whole_begin = std::clamp(ceil_div(axis.pad_before, axis.stride), begin, end);
  const int64_t room = axis.in - axis.reach() + axis.pad_before;
  const int64_t whole_end = std::clamp(room < 0 ? 0 : room / axis.stride + 1, whole_begin, end);
  std::vector<AxisPiece> pieces;
  const auto add = [&](AxisPiece piece) {
    AxisPiece* last = pieces.empty() ? nullptr : &pieces.back();
    if (last != nullptr && last->tap_begin == piece.tap_begin && last->tap_end == piece.tap_end) {
      last->end = piece.end;
    } else {
      pieces.push_back(piece);
    }
  };
  for (int64_t o = begin; o < whole_begin; ++o) add(piece_at(axis, o));
  if (whole_begin < whole_end) add({whole_begin, whole_end, 0, axis.window});
  for (int64_t o = whole_end; o < end; ++o) add(piece_at(axis, o));
  return pieces;
}

}  // namespace cnnfast
