// The only place that starts threads.
#pragma once

#include <cstdint>

namespace cnnfast {

// A reference to a callable, alive for the duration of one call.
template <typename Signature>
class FunctionRef;

template <typename... Args>
class FunctionRef<void(Args...)> {
 public:
  template <typename Callable>
  FunctionRef(const Callable& callable)  // NOLINT: implicit on purpose
      : object_(&callable),
        call_([](const void* object, Args... args) { (*static_cast<const Callable*>(object))(args...); }) {}
  void operator()(Args... args) const { call_(object_, args...); }

 private:
  const void* object_;
  void (*call_)(const void*, Args...);
};

// Convolutions and matrix products do so many floating-point operations in the time of an elementary one elsewhere.
constexpr double kFlopsPerOperation = 5;

// How many threads a loop of `tasks` tasks and about `work` elementary operations in all will use: one where waking
// the others costs more than they save. Scratch memory per thread is sized by it.
int threads_for(int64_t tasks, double work);

// Runs body(task, thread) for every task in [0, tasks), 0 <= thread < threads, each thread taking the next task that is
// left. Tasks must write to disjoint memory, and what a task computes must not depend on `thread`: results are the same
// bits for any number of threads. The first exception that a body throws is thrown again here.
void parallel_tasks(int64_t tasks, int threads, FunctionRef<void(int64_t task, int thread)> body);

// Runs body(begin, end) over [0, count) in ranges of at least `grain` indices; `work` as above. For elementwise loops.
void parallel_ranges(int64_t count, int64_t grain, double work, FunctionRef<void(int64_t begin, int64_t end)> body);

// To be called in the child after fork: OpenMP's threads did not survive it, so this process computes on one thread.
void mark_forked();

// Called once, from the thread that asked for more threads than a forked child can have.
void set_fork_warning(void (*warn)(const char* message));

// "OpenMP 201511" and the like, or "none".
const char* openmp_description();

}  // namespace cnnfast
