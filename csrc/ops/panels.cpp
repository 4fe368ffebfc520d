#include "ops/panels.h"

#include <cstring>

#include "dispatch.h"
#include "runtime/parallel.h"

namespace cnnfast {

PackedWeights::PackedWeights(const WeightView& view, int64_t groups, int64_t in_channels, const PanelGrid& panels)
    : panels_(panels),
      rows_(static_cast<int64_t>(view.taps.size()) * in_channels),
      group_floats_(panels.floats(rows_)),
      scratch_(static_cast<size_t>(groups * group_floats_)) {
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
