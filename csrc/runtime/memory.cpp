#include "runtime/memory.h"

#include <cstdlib>
#include <map>
#include <mutex>
#include <new>
#include <vector>

#if defined(__unix__) || defined(__APPLE__)
#include <pthread.h>
#define CNNFAST_HAVE_FORK 1
#endif
#if defined(__linux__)
#include <sys/mman.h>
#elif defined(_WIN32)
#include <malloc.h>
#endif

namespace cnnfast {
namespace {

constexpr size_t kAlignment = 64;
constexpr size_t kHeader = 64;          // in front of every block: its size, at the block's own alignment
constexpr size_t kSmallest = 32 << 10;  // below this the system's allocator is as quick
constexpr size_t kHugePage = size_t{2} << 20;
#if defined(__SANITIZE_ADDRESS__)
constexpr int64_t kDefaultLimit = 0;  // every block goes back at once, so that a use after its release is found
#else
constexpr int64_t kDefaultLimit = int64_t{2} << 30;
#endif

struct Header {
  size_t capacity;  // of the block without its header
};

// Sizes in steps of an eighth of a power of two, so that near sizes share blocks and at most an eighth is lost.
size_t round_up(size_t bytes) {
  size_t step = kAlignment;
  while (step * 16 <= bytes) step *= 2;
  return (bytes + step - 1) / step * step;
}

// `bytes` is a multiple of `alignment`.
void* aligned_memory(size_t alignment, size_t bytes) {
#if defined(_WIN32)
  return _aligned_malloc(bytes, alignment);
#else
  return std::aligned_alloc(alignment, bytes);
#endif
}

void system_free(Header* header) {
#if defined(_WIN32)
  _aligned_free(header);
#else
  std::free(header);
#endif
}

void* system_allocate(size_t capacity) {
  const bool huge = capacity >= 2 * kHugePage;
  const size_t alignment = huge ? kHugePage : kAlignment;
  const size_t total = (capacity + kHeader + alignment - 1) / alignment * alignment;
  void* raw = aligned_memory(alignment, total);
  if (raw == nullptr) throw std::bad_alloc();
#if defined(__linux__)
  if (huge) madvise(raw, total, MADV_HUGEPAGE);
#endif
  static_cast<Header*>(raw)->capacity = capacity;
  return static_cast<char*>(raw) + kHeader;
}

Header* header_of(void* block) { return reinterpret_cast<Header*>(static_cast<char*>(block) - kHeader); }

class Pool {
 public:
  void* allocate(size_t bytes) {
    if (bytes > SIZE_MAX / 2) throw std::bad_alloc();
    const size_t capacity = round_up(bytes < 1 ? 1 : bytes);
    if (capacity >= kSmallest) {
      const std::lock_guard<std::mutex> lock(mutex_);
      ++stats_.allocations;
      stats_.used_bytes += static_cast<int64_t>(capacity);
      auto found = free_.find(capacity);
      if (found != free_.end()) {
        void* block = found->second.back();
        found->second.pop_back();
        if (found->second.empty()) free_.erase(found);
        stats_.cached_bytes -= static_cast<int64_t>(capacity);
        ++stats_.reuses;
        return block;
      }
    }
    try {
      return system_allocate(capacity);
    } catch (const std::bad_alloc&) {
      trim();  // what is kept may be what is missing
      try {
        return system_allocate(capacity);
      } catch (const std::bad_alloc&) {
        const std::lock_guard<std::mutex> lock(mutex_);
        if (capacity >= kSmallest) stats_.used_bytes -= static_cast<int64_t>(capacity);
        throw;
      }
    }
  }

  void release(void* block) noexcept {
    Header* header = header_of(block);
    const auto capacity = static_cast<int64_t>(header->capacity);
    if (header->capacity >= kSmallest) {
      const std::lock_guard<std::mutex> lock(mutex_);
      stats_.used_bytes -= capacity;
      if (stats_.cached_bytes + capacity <= stats_.limit_bytes) {
        try {
          free_[header->capacity].push_back(block);
          stats_.cached_bytes += capacity;
          return;
        } catch (const std::bad_alloc&) {
          // No room to remember the block: let it go.
        }
      }
    }
    system_free(header);
  }

  int64_t trim() {
    std::map<size_t, std::vector<void*>> doomed;
    int64_t bytes;
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      doomed.swap(free_);
      bytes = stats_.cached_bytes;
      stats_.cached_bytes = 0;
    }
    for (auto& size_class : doomed) {
      for (void* block : size_class.second) system_free(header_of(block));
    }
    return bytes;
  }

  void set_limit(int64_t bytes) {
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      stats_.limit_bytes = bytes < 0 ? 0 : bytes;
      if (stats_.cached_bytes <= stats_.limit_bytes) return;
    }
    trim();
  }

  MemoryStats stats() {
    const std::lock_guard<std::mutex> lock(mutex_);
    return stats_;
  }

  void lock() { mutex_.lock(); }
  void unlock() { mutex_.unlock(); }

 private:
  std::mutex mutex_;
  std::map<size_t, std::vector<void*>> free_;
  MemoryStats stats_{0, 0, kDefaultLimit, 0, 0};
};

Pool& pool();

Pool* make_pool() {
  Pool* created = new Pool;
#if defined(CNNFAST_HAVE_FORK)
  // The thread that forks holds the lock meanwhile: had another one held it, nobody would unlock it in the child.
  pthread_atfork([] { pool().lock(); }, [] { pool().unlock(); }, [] { pool().unlock(); });
#endif
  return created;
}

// Never destroyed: arrays may be released after static destructors have run.
Pool& pool() {
  static Pool* instance = make_pool();
  return *instance;
}

}  // namespace

void* allocate(size_t bytes) { return pool().allocate(bytes); }
void release(void* block) noexcept {
  if (block != nullptr) pool().release(block);
}
MemoryStats memory_stats() { return pool().stats(); }
int64_t trim_memory() { return pool().trim(); }
void set_memory_limit(int64_t bytes) { pool().set_limit(bytes); }

Scratch::Scratch(int parts, size_t floats_per_part) : stride_((floats_per_part + 15) / 16 * 16 + 16) {
  size_t bytes;
  if (__builtin_mul_overflow(stride_, static_cast<size_t>(parts), &bytes) ||
      __builtin_mul_overflow(bytes, sizeof(float), &bytes)) {
    throw std::bad_alloc();
  }
  data_ = static_cast<float*>(allocate(bytes));
}

Scratch::~Scratch() { release(data_); }

}  // namespace cnnfast
