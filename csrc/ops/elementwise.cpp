#include "ops/elementwise.h"

#include <algorithm>
#include <cstring>
#include <numeric>

#include "dispatch.h"
#include "runtime/parallel.h"

namespace cnnfast {
namespace {

constexpr int64_t kGrain = 4096;
constexpr double kWorkPerValue = 2;

// Calls copy(part, row, position in the whole) for every row of every part.
template <typename Copy>
void for_each_row(const std::vector<int64_t>& widths, int64_t outer, const Copy& copy) {
  const int64_t width = std::accumulate(widths.begin(), widths.end(), int64_t{0});
  const int64_t grain = std::max<int64_t>(1, kGrain / std::max<int64_t>(1, width));
  parallel_ranges(outer, grain, kWorkPerValue * static_cast<double>(outer * width), [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) {
      int64_t position = row * width;
      for (size_t part = 0; part < widths.size(); ++part) {
        copy(part, row, position);
        position += widths[part];
      }
    }
  });
}

}  // namespace

void add(const float* a, const float* b, float* y, int64_t count) {
  parallel_ranges(count, kGrain, kWorkPerValue * static_cast<double>(count),
                  [&](int64_t begin, int64_t end) { kernels().add(a + begin, b + begin, y + begin, end - begin); });
}

void multiply(const float* a, const float* b, float* y, int64_t count) {
  parallel_ranges(count, kGrain, kWorkPerValue * static_cast<double>(count), [&](int64_t begin, int64_t end) {
    kernels().multiply(a + begin, b + begin, y + begin, end - begin);
  });
}

void clip(float low, float high, const float* x, float* y, int64_t count) {
  parallel_ranges(count, kGrain, kWorkPerValue * static_cast<double>(count),
                  [&](int64_t begin, int64_t end) { kernels().clip(low, high, x + begin, y + begin, end - begin); });
}

void clip_gradient(float low, float high, const float* x, const float* dy, float* dx, int64_t count) {
  parallel_ranges(count, kGrain, kWorkPerValue * static_cast<double>(count), [&](int64_t begin, int64_t end) {
    kernels().clip_gradient(low, high, x + begin, dy + begin, dx + begin, end - begin);
  });
}

void concatenate_rows(const std::vector<const float*>& parts, const std::vector<int64_t>& widths, float* whole,
                      int64_t outer) {
  for_each_row(widths, outer, [&](size_t part, int64_t row, int64_t position) {
    const int64_t width = widths[part];
    std::memcpy(whole + position, parts[part] + row * width, static_cast<size_t>(width) * sizeof(float));
  });
}

void split_rows(const float* whole, const std::vector<float*>& parts, const std::vector<int64_t>& widths,
                int64_t outer) {
  for_each_row(widths, outer, [&](size_t part, int64_t row, int64_t position) {
    const int64_t width = widths[part];
    std::memcpy(parts[part] + row * width, whole + position, static_cast<size_t>(width) * sizeof(float));
  });
}

}  // namespace cnnfast
