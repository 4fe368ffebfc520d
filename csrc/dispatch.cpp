#include "dispatch.h"

#include <atomic>
#include <cstdlib>
#include <stdexcept>

#if defined(__x86_64__)
#include <cpuid.h>
#endif

namespace cnnfast {

#if CNNFAST_HAVE_BASELINE
namespace baseline {
extern const KernelTable table;
}
#endif
#if CNNFAST_HAVE_AVX2
namespace avx2 {
extern const KernelTable table;
}
#endif
#if CNNFAST_HAVE_AVX512
namespace avx512 {
extern const KernelTable table;
}
#endif
#if CNNFAST_HAVE_NEON
namespace neon {
extern const KernelTable table;
}
#endif

namespace {

#if defined(__x86_64__)

struct X86Features {
  bool avx2_fma = false;
  bool avx512 = false;  // F, BW, DQ and VL
};

// What the CPU has (CPUID) and the operating system saves on a context switch (XCR0).
X86Features detect_x86() {
  X86Features features;
  unsigned a, b, c, d;
  if (!__get_cpuid(1, &a, &b, &c, &d)) return features;
  const bool fma = c & bit_FMA, osxsave = c & bit_OSXSAVE;
  if (!osxsave) return features;
  unsigned xcr0, xcr0_high;
  __asm__ volatile("xgetbv" : "=a"(xcr0), "=d"(xcr0_high) : "c"(0));
  const bool saves_ymm = (xcr0 & 0x6) == 0x6, saves_zmm = (xcr0 & 0xe6) == 0xe6;
  if (!__get_cpuid_count(7, 0, &a, &b, &c, &d)) return features;
  features.avx2_fma = saves_ymm && fma && (b & bit_AVX2);
  features.avx512 = features.avx2_fma && saves_zmm && (b & bit_AVX512F) && (b & bit_AVX512BW) && (b & bit_AVX512DQ) &&
                    (b & bit_AVX512VL);
  return features;
}

#endif

std::vector<const KernelTable*> available_tables() {
  std::vector<const KernelTable*> tables;
#if defined(__x86_64__)
  [[maybe_unused]] const X86Features features = detect_x86();
#endif
#if CNNFAST_HAVE_AVX512
  if (features.avx512) tables.push_back(&avx512::table);
#endif
#if CNNFAST_HAVE_AVX2
  if (features.avx2_fma) tables.push_back(&avx2::table);
#endif
#if CNNFAST_HAVE_NEON
  tables.push_back(&neon::table);  // part of the AArch64 baseline: no hwcap to ask for
#endif
#if CNNFAST_HAVE_BASELINE
  tables.push_back(&baseline::table);
#endif
  return tables;
}

std::atomic<const KernelTable*> selected{nullptr};

}  // namespace

const KernelTable& kernels() {
  const KernelTable* table = selected.load(std::memory_order_relaxed);
  if (table == nullptr) {
    select_isa_from_environment();
    table = selected.load(std::memory_order_relaxed);
  }
  return *table;
}

std::vector<std::string> available_isas() {
  std::vector<std::string> names;
  for (const KernelTable* table : available_tables()) names.emplace_back(table->isa);
  return names;
}

void select_isa(const std::string& name) {
  const std::string wanted = name == "scalar" ? "baseline" : name;
  std::string known;
  for (const KernelTable* table : available_tables()) {
    if (wanted == table->isa) {
      selected.store(table, std::memory_order_relaxed);
      return;
    }
    known += known.empty() ? "" : ", ";
    known += table->isa;
  }
  throw std::invalid_argument("CNNFAST_ISA: '" + name + "' is not available on this machine; available: " + known);
}

void select_isa_from_environment() {
  const char* forced = std::getenv("CNNFAST_ISA");
  select_isa(forced != nullptr && *forced != '\0' ? forced : available_tables().front()->isa);
}

void count_kernel_calls() {
  select_isa(kernels().isa);  // the plain table: a counting one must not count itself
  selected.store(&counting_table(kernels()), std::memory_order_relaxed);
}

std::vector<std::string> kernel_names() {
  return {
#define KERNEL(name, ...) #name,
#include "kernels/kernels.inc"
#undef KERNEL
  };
}

}  // namespace cnnfast
