#include "ops/reduce.h"

#include <algorithm>

#include "dispatch.h"
#include "runtime/memory.h"
#include "runtime/parallel.h"

namespace cnnfast {
namespace {

constexpr int64_t kChunkFloats = 16384;
constexpr int64_t kFewestRows = 32;

}  // namespace

Columns columns_of(int64_t channels) {
  const int64_t lanes = kernels().limits.lanes;
  // From four vectors on, a partial last one costs little, and four sums are under way at once.
  if (channels >= 4 * lanes) return {channels, 1};
  if (channels % lanes == 0) return {channels, 4 * lanes / channels};
  return {channels, lanes * ((8 + channels - 1) / channels)};
}

int64_t reduction_chunk(const Columns& columns) {
  const int64_t rows = std::max(kFewestRows, kChunkFloats / columns.count);
  return (rows + columns.repeat - 1) / columns.repeat * columns.repeat;
}

void channel_sums(const float* x, int64_t rows, int64_t channels, float* sums) {
  const Columns columns = columns_of(channels);
  const int64_t chunk = reduction_chunk(columns), chunks = (rows + chunk - 1) / chunk;
  if (chunks <= 1) {
    kernels().column_sums(columns, x, rows, sums);
    return;
  }
  const Scratch partial(static_cast<size_t>(chunks * channels));
  const int threads = threads_for(chunks, static_cast<double>(rows) * static_cast<double>(channels));
  parallel_tasks(chunks, threads, [&](int64_t i, int) {
    kernels().column_sums(columns, x + i * chunk * channels, std::min(chunk, rows - i * chunk),
                          partial.data() + i * channels);
  });
  channel_sums(partial.data(), chunks, channels, sums);
}

}  // namespace cnnfast
