#include "runtime/threads.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstdlib>
#include <fstream>
#include <stdexcept>
#include <string>
#include <thread>

#if defined(__linux__)
#include <sched.h>
#endif

namespace cnnfast {
namespace {

int affinity_processors() {
#if defined(__linux__)
  cpu_set_t set;
  if (sched_getaffinity(0, sizeof(set), &set) == 0) return std::max(1, CPU_COUNT(&set));
#endif
  return std::max(1u, std::thread::hardware_concurrency());
}

// Processors that a quota of `quota` microseconds in each `period` amounts to, or 0 where there is no quota.
int quota_processors(double quota, double period) {
  return quota > 0 && period > 0 ? std::max(1, static_cast<int>(std::ceil(quota / period))) : 0;
}

int cgroup_processors() {
  std::ifstream v2("/sys/fs/cgroup/cpu.max");
  std::string quota;
  double period = 0;
  if (v2 >> quota >> period) return quota == "max" ? 0 : quota_processors(std::atof(quota.c_str()), period);
  double v1_quota = 0;
  std::ifstream("/sys/fs/cgroup/cpu/cpu.cfs_quota_us") >> v1_quota;
  std::ifstream("/sys/fs/cgroup/cpu/cpu.cfs_period_us") >> period;
  return quota_processors(v1_quota, period);
}

int default_threads() {
  // OMP_NUM_THREADS may be a list, one entry per nesting level: the first one counts here.
  if (const char* text = std::getenv("OMP_NUM_THREADS")) {
    const int wanted = std::atoi(text);
    if (wanted >= 1) return wanted;
  }
  return available_processors();
}

std::atomic<int> limit{0};

}  // namespace

int available_processors() {
  const int quota = cgroup_processors();
  const int affinity = affinity_processors();
  return quota > 0 ? std::min(quota, affinity) : affinity;
}

int num_threads() {
  int count = limit.load(std::memory_order_relaxed);
  if (count == 0) {
    count = default_threads();
    limit.store(count, std::memory_order_relaxed);
  }
  return count;
}

void set_num_threads(int count) {
  if (count < 1) {
    throw std::invalid_argument("set_num_threads: count must be at least 1, got " + std::to_string(count));
  }
  limit.store(count, std::memory_order_relaxed);
}

}  // namespace cnnfast
