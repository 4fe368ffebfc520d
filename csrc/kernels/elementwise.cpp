// Arithmetic of two arrays of the same shape.
#include <cstdint>

#include "simd/vec.h"

namespace cnnfast::CNNFAST_ISA {

void add(const float* a, const float* b, float* y, int64_t count) {
  for_each_vector(count, [&](int64_t i, int lanes) CNNFAST_INLINE_LAMBDA {
    store_lanes(y + i, load_lanes(a + i, lanes) + load_lanes(b + i, lanes), lanes);
  });
}

void multiply(const float* a, const float* b, float* y, int64_t count) {
  for_each_vector(count, [&](int64_t i, int lanes) CNNFAST_INLINE_LAMBDA {
    store_lanes(y + i, load_lanes(a + i, lanes) * load_lanes(b + i, lanes), lanes);
  });
}

}  // namespace cnnfast::CNNFAST_ISA
