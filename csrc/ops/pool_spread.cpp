#include "ops/pool_spread.h"

#include "dispatch.h"
#include "ops/pool_rows.h"

namespace cnnfast {
namespace {

constexpr int64_t kMostVectors = 512;  // a table beyond that would not stay in the nearest cache

}  // namespace

SpreadTable::SpreadTable(const PoolShape& shape) {
  const Axis& width = shape.width();
  const int64_t lanes = kernels().limits.lanes, channels = shape.channels;
  if (channels >= lanes || !windows_apart(width) || width.stride > kMostVectors / channels) return;
  const int64_t vectors = width.stride * channels;  // what `lanes` outputs are spread over
  for (int64_t v = 0; v < vectors; ++v) {
    const auto source = [&](int64_t i) { return i / channels / width.stride * channels + i % channels; };
    int64_t base = source(v * lanes), last = base;
    for (int64_t i = v * lanes; i < (v + 1) * lanes; ++i) {
      base = std::min(base, source(i));
      last = std::max(last, source(i));
    }
    if (last - base >= 2 * lanes) {
      bases_.clear();
      return;
    }
    bases_.push_back(static_cast<int32_t>(base));
    for (int64_t i = v * lanes; i < (v + 1) * lanes; ++i) {
      const int64_t tap = i / channels % width.stride;
      places_.push_back(static_cast<int32_t>(source(i) - base));
      taps_.push_back(tap < width.window ? static_cast<int32_t>(tap) : kBetweenWindows);
    }
  }
  view_ = {vectors, bases_.data(), places_.data(), taps_.data()};
}

}  // namespace cnnfast
