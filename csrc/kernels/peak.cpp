// The arithmetic that the machine can do at most: independent chains of multiply-adds, no memory.
#include "kernels/kernels.h"
#include "simd/vec.h"

namespace cnnfast::CNNFAST_ISA {

// kAccumulators chains hide the latency of a multiply-add on two units; each is a sequence that depends on itself, so
// that the compiler can neither fold nor drop it. Returns a value that depends on all of them.
float peak_chains(int64_t rounds, float factor, float addend) {
  const Vec a = broadcast(factor), b = broadcast(addend);
  Vec chain[kAccumulators];
  CNNFAST_UNROLL for (int i = 0; i < kAccumulators; ++i) chain[i] = broadcast(static_cast<float>(i));
  for (int64_t round = 0; round < rounds; ++round) {
    CNNFAST_UNROLL for (int i = 0; i < kAccumulators; ++i) chain[i] = fma(chain[i], a, b);
  }
  CNNFAST_UNROLL for (int i = 1; i < kAccumulators; ++i) chain[0] = chain[0] + chain[i];
  return sum(chain[0]);
}

}  // namespace cnnfast::CNNFAST_ISA
