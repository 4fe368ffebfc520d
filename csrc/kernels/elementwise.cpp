// Arithmetic of two arrays of the same shape, and values held between two bounds.
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

void clip(float low, float high, const float* x, float* y, int64_t count) {
  for_each_vector(count, [&](int64_t i, int lanes) CNNFAST_INLINE_LAMBDA {
    const Vec v = load_lanes(x + i, lanes);
    const Vec raised = select(v < low, broadcast(low), v);
    store_lanes(y + i, select(raised > high, broadcast(high), raised), lanes);
  });
}

void clip_gradient(float low, float high, const float* x, const float* dy, float* dx, int64_t count) {
  for_each_vector(count, [&](int64_t i, int lanes) CNNFAST_INLINE_LAMBDA {
    const Vec v = load_lanes(x + i, lanes);
    store_lanes(dx + i, select((v >= low) & (v <= high), load_lanes(dy + i, lanes), zero()), lanes);
  });
}

}  // namespace cnnfast::CNNFAST_ISA
