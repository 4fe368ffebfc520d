#include "ops/random.h"

#include <stdexcept>
#include <string>

#include "dispatch.h"
#include "runtime/parallel.h"

namespace cnnfast {
namespace {

constexpr int64_t kChunk = 64;  // values that the generator makes together
constexpr int64_t kGrain = 64 * kChunk;
constexpr double kWorkPerValue = 12;

}  // namespace

void dropout(uint64_t seed, double rate, const float* x, float* y, int64_t count) {
  if (!(rate >= 0 && rate < 1)) {
    throw std::invalid_argument("dropout: rate expects a number in [0, 1), got " + std::to_string(rate));
  }
  const auto threshold = static_cast<uint32_t>(rate * 4294967296.0);
  const auto scale = static_cast<float>(1 / (1 - rate));
  parallel_ranges(count, kGrain, kWorkPerValue * static_cast<double>(count), [&](int64_t begin, int64_t end) {
    kernels().dropout(seed, begin, threshold, scale, x + begin, y + begin, end - begin);
  });
}

void uniform(uint64_t seed, int64_t offset, float* y, int64_t count) {
  if (offset < 0 || offset % kChunk != 0) {
    throw std::invalid_argument("uniform: offset expects a multiple of 64 that is not negative, got " +
                                std::to_string(offset));
  }
  parallel_ranges(count, kGrain, kWorkPerValue * static_cast<double>(count),
                  [&](int64_t begin, int64_t end) { kernels().uniform(seed, offset + begin, y + begin, end - begin); });
}

}  // namespace cnnfast
