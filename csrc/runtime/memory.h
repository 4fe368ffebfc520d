// The one source of large memory: outputs and scratch come from a bounded pool of blocks that are used again.
//
// Writing a fresh large array costs page faults, often several times the arithmetic; a block that was used before
// costs none. Blocks are aligned to 64 bytes.
#pragma once

#include <cstddef>
#include <cstdint>

namespace cnnfast {

struct MemoryStats {
  int64_t used_bytes;    // in live outputs and scratch
  int64_t cached_bytes;  // kept for later use
  int64_t limit_bytes;   // what may be kept
  int64_t allocations;   // requests so far
  int64_t reuses;        // of these, served from what was kept
};

// Never null; throws std::bad_alloc. The memory is not initialised.
void* allocate(size_t bytes);
void release(void* block) noexcept;

MemoryStats memory_stats();
// Gives what is kept back to the operating system; returns the bytes.
int64_t trim_memory();
void set_memory_limit(int64_t bytes);

// Memory for one call's duration, `floats_per_part` floats for each of `parts` threads.
class Scratch {
 public:
  Scratch(int parts, size_t floats_per_part);
  explicit Scratch(size_t floats) : Scratch(1, floats) {}
  ~Scratch();
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;
  float* part(int index) const { return data_ + static_cast<size_t>(index) * stride_; }
  float* data() const { return data_; }

 private:
  size_t stride_;
  float* data_;
};

}  // namespace cnnfast
