// Subnormal numbers count as zero while the engine computes: one layer full of them can be thirty times slower.
#pragma once

#include <cstdint>

namespace cnnfast {

// Flushes subnormals to zero on this thread for its lifetime, then restores the caller's mode.
class DenormalGuard {
 public:
  DenormalGuard();
  ~DenormalGuard();
  DenormalGuard(const DenormalGuard&) = delete;
  DenormalGuard& operator=(const DenormalGuard&) = delete;

 private:
  uint64_t saved_;
};

}  // namespace cnnfast
