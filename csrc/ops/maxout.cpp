#include "ops/maxout.h"

#include <algorithm>

#include "dispatch.h"
#include "runtime/parallel.h"

namespace cnnfast {
namespace {

constexpr int64_t kGrain = 4096;
constexpr double kWorkPerValue = 4;

// Calls body(groups, offset into x, offset into y).
template <typename Body>
void for_group_ranges(MaxoutShape shape, const Body& body) {
  const int64_t group_size = shape.pieces * shape.inner;
  const int64_t grain = std::max<int64_t>(1, kGrain / std::max<int64_t>(1, group_size));
  const double work = kWorkPerValue * static_cast<double>(shape.groups) * static_cast<double>(group_size);
  parallel_ranges(shape.groups, grain, work,
                  [&](int64_t begin, int64_t end) { body(end - begin, begin * group_size, begin * shape.inner); });
}

}  // namespace

void maxout_forward(MaxoutShape shape, const float* x, float* y) {
  for_group_ranges(shape, [&](int64_t groups, int64_t from, int64_t to) {
    kernels().maxout_forward(x + from, y + to, groups, shape.pieces, shape.inner);
  });
}

void maxout_backward(MaxoutShape shape, const float* x, const float* dy, float* dx) {
  for_group_ranges(shape, [&](int64_t groups, int64_t from, int64_t to) {
    kernels().maxout_backward(x + from, dy + to, dx + from, groups, shape.pieces, shape.inner);
  });
}

}  // namespace cnnfast
