#include "ops/panels.h"

#include <cstring>

#include "dispatch.h"
#include "runtime/parallel.h"

namespace cnnfast {
namespace {

// One panel without padding, its rows one after the other.
bool lies_as_packed(const WeightView& view, int64_t groups, int64_t in_channels, const PanelGrid& panels) {
  if (groups != 1 || panels.count() != 1 || panels.padded(0) != panels.channels(0)) return false;
  if (view.out_stride != 1 || view.in_stride != panels.padded(0)) return false;
  if (view.tap_stride != in_channels * view.in_stride) return false;
  for (size_t i = 0; i < view.taps.size(); ++i) {
    if (view.taps[i] != static_cast<int64_t>(i)) return false;
  }
  return true;
}

}  // namespace

PackedWeights::PackedWeights(const WeightView& view, int64_t groups, int64_t in_channels, const PanelGrid& panels)
    : panels_(panels),
      rows_(static_cast<int64_t>(view.taps.size()) * in_channels),
      group_floats_(panels.floats(rows_)),
      in_place_(lies_as_packed(view, groups, in_channels, panels)),
      scratch_(in_place_ ? 0 : static_cast<size_t>(groups * group_floats_)),
      data_(in_place_ ? view.w : scratch_.data()) {
  if (in_place_) return;
  const auto taps = static_cast<int64_t>(view.taps.size());
  const int64_t tasks = groups * panels_.count() * taps;
  const int threads = threads_for(tasks, static_cast<double>(groups * group_floats_));
  parallel_tasks(tasks, threads, [&](int64_t task, int) {
    const int64_t tap = task % taps, panel = task / taps % panels_.count(), group = task / taps / panels_.count();
    PackPanel pack;
    pack.padded = panels_.padded(panel);
    pack.to = scratch_.data() + group * group_floats_ + panels_.offset(panel, rows_) + tap * in_channels * pack.padded;
    const int64_t number = view.taps[static_cast<size_t>(tap)];
    if (number == kNoTap) {
      std::memset(pack.to, 0, sizeof(float) * static_cast<size_t>(in_channels * pack.padded));
      return;
    }
    pack.from = view.w + group * view.group_stride + number * view.tap_stride + panels_.begin(panel) * view.out_stride;
    pack.row = view.in_stride;
    pack.col = view.out_stride;
    pack.rows = in_channels;
    pack.cols = panels_.channels(panel);
    kernels().pack_panel(pack);
  });
}

}  // namespace cnnfast
