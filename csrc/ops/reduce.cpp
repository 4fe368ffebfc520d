#include "ops/reduce.h"

#include <algorithm>

#include "dispatch.h"
#include "runtime/memory.h"

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

void sums_of_chunks(int64_t rows, int64_t channels, float* sums,
                    FunctionRef<void(int64_t first, int64_t rows, float* sums)> sum) {
  const int64_t chunk = reduction_chunk(columns_of(channels)), chunks = (rows + chunk - 1) / chunk;
  if (chunks <= 1) {
    sum(0, rows, sums);
    return;
  }
  const Scratch partial(static_cast<size_t>(chunks * channels));
  const int threads = threads_for(chunks, static_cast<double>(rows) * static_cast<double>(channels));
  parallel_tasks(chunks, threads, [&](int64_t i, int) {
    sum(i * chunk, std::min(chunk, rows - i * chunk), partial.data() + i * channels);
  });
  channel_sums(partial.data(), chunks, channels, sums);
}

void channel_sums(const float* x, int64_t rows, int64_t channels, float* sums) {
  const Columns columns = columns_of(channels);
  sums_of_chunks(rows, channels, sums, [&](int64_t first, int64_t count, float* to) {
    kernels().column_sums(columns, x + first * channels, count, to);
  });
}

}  // namespace cnnfast
