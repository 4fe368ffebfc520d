// Rows in chunks that stay in a core's cache, whose partition depends on the shape alone.
#pragma once

#include <algorithm>
#include <cstdint>

#include "ops/reduce.h"
#include "runtime/parallel.h"

namespace cnnfast {

struct RowChunks {
  int64_t rows, chunk, count;
  int threads;
  RowChunks(int64_t row_count, int64_t channels)
      : rows(row_count),
        chunk(reduction_chunk(columns_of(channels))),
        count((row_count + chunk - 1) / chunk),
        threads(threads_for(count, 3 * static_cast<double>(row_count) * static_cast<double>(channels))) {}

  int64_t first(int64_t i) const { return i * chunk; }
  int64_t size(int64_t i) const { return std::min(chunk, rows - i * chunk); }

  // Calls body(chunk's index, first row, rows) for all, in parallel.
  template <typename Body>
  void run(Body body) const {
    parallel_tasks(count, threads, [&](int64_t i, int) { body(i, first(i), size(i)); });
  }

  // The last chunk first: what another pass has just been through is still in the cache at its end.
  template <typename Body>
  void run_back(Body body) const {
    run([&](int64_t i, int64_t, int64_t) {
      const int64_t from = count - 1 - i;
      body(from, first(from), size(from));
    });
  }
};

}  // namespace cnnfast
