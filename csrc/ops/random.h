// Random numbers and dropout: functions of a seed and a position, whatever the threads and the instruction set.
#pragma once

#include <cstdint>

namespace cnnfast {

// y[i] = 0 with probability `rate`, else x[i] / (1 - rate). The same seed drops the same elements, so the gradient is
// the same call on dy. Throws std::invalid_argument unless 0 <= rate < 1; x == y is allowed.
void dropout(uint64_t seed, double rate, const float* x, float* y, int64_t count);

// y[i] = the value at position offset + i of the seed's sequence of uniform numbers in [0, 1). Throws
// std::invalid_argument unless offset is a multiple of 64 and not negative.
void uniform(uint64_t seed, int64_t offset, float* y, int64_t count);

}  // namespace cnnfast
