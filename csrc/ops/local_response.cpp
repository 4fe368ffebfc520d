#include "ops/local_response.h"

#include <algorithm>

#include "dispatch.h"
#include "runtime/memory.h"
#include "runtime/parallel.h"

namespace cnnfast {
namespace {

// Values of the rows that are taken at once: these, their squares and the result stay in the nearest cache.
constexpr int64_t kBlock = 2048;

// Calls body(first row, rows, scratch, scratch) for blocks of all rows, in parallel; scratch is zero at first, and
// stays so where no channels lie.
template <typename Body>
void for_blocks(const LocalResponse& l, int64_t rows, Body body) {
  const int64_t block = std::max<int64_t>(1, kBlock / l.step), blocks = (rows + block - 1) / block;
  const double work =
      static_cast<double>(rows) * static_cast<double>(l.channels) * static_cast<double>(16 + 2 * l.radius);
  const int threads = threads_for(blocks, work);
  const auto floats = static_cast<size_t>(block * l.step + l.radius);
  const Scratch first(threads, floats), second(threads, floats);
  for (int i = 0; i < threads; ++i) {
    std::fill_n(first.part(i), floats, 0.0f);
    std::fill_n(second.part(i), floats, 0.0f);
  }
  parallel_tasks(blocks, threads, [&](int64_t task, int thread) {
    body(task * block, std::min(block, rows - task * block), first.part(thread), second.part(thread));
  });
}

}  // namespace

LocalResponse make_local_response(int64_t channels, int64_t radius, float bias, float alpha, float beta) {
  const int64_t reach = std::min(radius, channels - 1);
  return {channels, reach, channels + reach, bias, alpha, beta};
}

void local_response_forward(const LocalResponse& l, const float* x, int64_t rows, float* y) {
  for_blocks(l, rows, [&](int64_t first, int64_t count, float* squares, float*) {
    kernels().local_response_forward(l, x + first * l.channels, count, squares, y + first * l.channels);
  });
}

void local_response_backward(const LocalResponse& l, const float* x, const float* dy, int64_t rows, float* dx) {
  for_blocks(l, rows, [&](int64_t first, int64_t count, float* squares, float* shares) {
    const int64_t place = first * l.channels;
    kernels().local_response_backward(l, x + place, dy + place, count, squares, shares, dx + place);
  });
}

}  // namespace cnnfast
