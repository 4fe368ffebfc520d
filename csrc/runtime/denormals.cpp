#include "runtime/denormals.h"

#if defined(__x86_64__)
#include <xmmintrin.h>
#endif

namespace cnnfast {

#if defined(__x86_64__)

DenormalGuard::DenormalGuard() : saved_(_mm_getcsr()) {
  constexpr unsigned kFlushToZero = 0x8000, kDenormalsAreZero = 0x0040;
  _mm_setcsr(static_cast<unsigned>(saved_) | kFlushToZero | kDenormalsAreZero);
}

DenormalGuard::~DenormalGuard() { _mm_setcsr(static_cast<unsigned>(saved_)); }

#elif defined(__aarch64__)

DenormalGuard::DenormalGuard() {
  __asm__ volatile("mrs %0, fpcr" : "=r"(saved_));
  constexpr uint64_t kFlushToZero = uint64_t{1} << 24;
  __asm__ volatile("msr fpcr, %0" : : "r"(saved_ | kFlushToZero));
}

DenormalGuard::~DenormalGuard() { __asm__ volatile("msr fpcr, %0" : : "r"(saved_)); }

#else

DenormalGuard::DenormalGuard() : saved_(0) {}
DenormalGuard::~DenormalGuard() = default;

#endif

}  // namespace cnnfast
