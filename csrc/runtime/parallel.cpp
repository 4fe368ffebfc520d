#include "runtime/parallel.h"

#include <algorithm>
#include <atomic>
#include <exception>
#include <mutex>

#include "runtime/contention.h"
#include "runtime/denormals.h"
#include "runtime/threads.h"

#ifdef _OPENMP
#include <omp.h>
#endif

#ifdef __SANITIZE_THREAD__
#include <sanitizer/tsan_interface.h>
#endif

namespace cnnfast {
namespace {

// The OpenMP runtime is not instrumented, so ThreadSanitizer must be told that a region's start and end order the
// memory accesses of its threads. Nothing in other builds.
#ifdef __SANITIZE_THREAD__
char region_order;
void order_before() { __tsan_release(&region_order); }
void order_after() { __tsan_acquire(&region_order); }
#else
[[maybe_unused]] void order_before() {}
[[maybe_unused]] void order_after() {}
#endif

// Elementary operations below which one thread is quicker: two hot threads pay from about 0.1 MFLOP on.
constexpr double kWorkPerThread = 60e3;

std::atomic<bool> used_threads{false};
std::atomic<bool> forked{false};
std::atomic<void (*)(const char*)> fork_warning{nullptr};

void warn_forked_once() {
  static std::atomic<bool> warned{false};
  auto* warn = fork_warning.load();
  if (warn != nullptr && !warned.exchange(true)) {
    warn(
        "cnnfast was used before this process was forked; its threads do not survive a fork, so it computes on one "
        "thread here. Start worker processes with the 'spawn' or 'forkserver' method to use all of them.");
  }
}

// Carries the first exception out of a parallel region.
class ExceptionSlot {
 public:
  template <typename Body>
  void run(const Body& body) noexcept {
    if (failed_.load(std::memory_order_relaxed)) return;
    try {
      body();
    } catch (...) {
      const std::lock_guard<std::mutex> lock(mutex_);
      if (!failed_.exchange(true)) exception_ = std::current_exception();
    }
  }
  void rethrow() const {
    if (exception_) std::rethrow_exception(exception_);
  }

 private:
  std::atomic<bool> failed_{false};
  std::mutex mutex_;
  std::exception_ptr exception_;
};

// Each calling thread has a team of its own, and its own experience with it.
thread_local ContentionWatch contention;

void serial_tasks(int64_t tasks, FunctionRef<void(int64_t, int)> body) {
  const DenormalGuard guard;
  for (int64_t task = 0; task < tasks; ++task) body(task, 0);
}

}  // namespace

int threads_for(int64_t tasks, double work) {
  const double useful = std::min<double>(static_cast<double>(tasks), work / kWorkPerThread);
  if (useful < 2) return 1;
  int threads = num_threads();
  if (threads > 1 && forked.load(std::memory_order_relaxed)) {
    warn_forked_once();
    threads = 1;
  }
  if (threads > 1 && contention.prefers_one_thread(work)) return 1;
  return static_cast<int>(std::min<double>(threads, useful));
}

void parallel_tasks(int64_t tasks, [[maybe_unused]] int threads, FunctionRef<void(int64_t, int)> body) {
#ifdef _OPENMP
  if (threads > 1 && !omp_in_parallel()) {
    used_threads.store(true, std::memory_order_relaxed);
    ExceptionSlot exception;
    ContentionWatch::Seconds own_work{0};
    const auto begin = ContentionWatch::Clock::now();
    order_before();
#pragma omp parallel num_threads(threads)
    {
      order_after();
      const DenormalGuard guard;
      const int thread = omp_get_thread_num();
      const auto start = ContentionWatch::Clock::now();
#pragma omp for schedule(dynamic, 1) nowait
      for (int64_t task = 0; task < tasks; ++task) exception.run([&] { body(task, thread); });
      if (thread == 0) own_work = ContentionWatch::Clock::now() - start;
      order_before();
    }
    order_after();
    contention.report(begin, ContentionWatch::Clock::now(), own_work);
    exception.rethrow();
    return;
  }
#endif
  serial_tasks(tasks, body);
}

void parallel_ranges(int64_t count, int64_t grain, double work, FunctionRef<void(int64_t, int64_t)> body) {
  if (count <= 0) return;
  const int64_t most = std::max<int64_t>(1, count / std::max<int64_t>(1, grain));
  const int threads = threads_for(most, work);
  // A few ranges a thread even out neighbours that are slower; equal to within one grain.
  const int64_t ranges = threads == 1 ? 1 : std::min<int64_t>(most, int64_t{4} * threads);
  const int64_t size = ((count + ranges - 1) / ranges + grain - 1) / grain * grain;
  parallel_tasks((count + size - 1) / size, threads,
                 [&](int64_t range, int) { body(range * size, std::min(count, (range + 1) * size)); });
}

void mark_forked() {
  if (used_threads.load()) forked.store(true);
}

void set_fork_warning(void (*warn)(const char*)) { fork_warning.store(warn); }

const char* openmp_description() {
#if !defined(_OPENMP)
  return "none";
#elif _OPENMP >= 202111
  return "OpenMP 5.2";
#elif _OPENMP >= 202011
  return "OpenMP 5.1";
#elif _OPENMP >= 201811
  return "OpenMP 5.0";
#elif _OPENMP >= 201511
  return "OpenMP 4.5";
#else
  return "OpenMP";
#endif
}

}  // namespace cnnfast
