// Threads, tasks, memory, subnormals and the choice of an instruction set.
#include <atomic>
#include <cstring>
#include <stdexcept>
#include <thread>

#include "check.h"
#include "dispatch.h"
#include "runtime/contention.h"
#include "runtime/denormals.h"
#include "runtime/memory.h"
#include "runtime/parallel.h"
#include "runtime/threads.h"

using namespace cnnfast;

namespace {

constexpr double kPlentyOfWork = 1e9;

}  // namespace

ENGINE_CASE(every_task_runs_once) {
  for (int64_t tasks : {0, 1, 2, 5, 100}) {
    std::vector<int> runs(static_cast<size_t>(tasks));
    std::atomic<bool> bad_thread{false};
    const int threads = threads_for(tasks, kPlentyOfWork);
    parallel_tasks(tasks, threads, [&](int64_t task, int thread) {
      ++runs[static_cast<size_t>(task)];
      if (thread < 0 || thread >= threads) bad_thread = true;
    });
    for (int count : runs) CHECK(count == 1);
    CHECK(!bad_thread);
  }
}

ENGINE_CASE(ranges_cover_every_index_once) {
  for (int64_t count : {0, 1, 63, 64, 65, 1000, 4097}) {
    for (int64_t grain : {1, 16, 64, 5000}) {
      std::vector<int> visits(static_cast<size_t>(count));
      parallel_ranges(count, grain, kPlentyOfWork, [&](int64_t begin, int64_t end) {
        for (int64_t i = begin; i < end; ++i) ++visits[static_cast<size_t>(i)];
      });
      for (int visit : visits) CHECK(visit == 1);
    }
  }
}

ENGINE_CASE(exceptions_leave_a_parallel_region) {
  std::atomic<int> ran{0};
  const auto fail_on_three = [&](int64_t task, int) {
    ++ran;
    if (task == 3) throw std::runtime_error("task three");
  };
  CHECK_THROWS(parallel_tasks(50, threads_for(50, kPlentyOfWork), fail_on_three), std::runtime_error, "task three");
  CHECK(ran >= 1 && ran <= 50);
  // The next region starts afresh.
  std::atomic<int> later{0};
  parallel_tasks(50, threads_for(50, kPlentyOfWork), [&](int64_t, int) { ++later; });
  CHECK(later == 50);
}

ENGINE_CASE(nested_regions_run_on_their_own_thread) {
  std::atomic<int> inner{0};
  parallel_tasks(4, threads_for(4, kPlentyOfWork), [&](int64_t, int) {
    parallel_tasks(5, threads_for(5, kPlentyOfWork), [&](int64_t, int) { ++inner; });
  });
  CHECK(inner == 20);
}

CASE(regions_of_several_callers_do_not_mix) {
  set_num_threads(2);
  std::vector<std::thread> callers;
  std::vector<int64_t> sums(4);
  for (size_t caller = 0; caller < sums.size(); ++caller) {
    callers.emplace_back([caller, &sums] {
      std::vector<int64_t> values(200);
      parallel_tasks(200, 2, [&](int64_t task, int) { values[static_cast<size_t>(task)] = task; });
      for (int64_t value : values) sums[caller] += value;
    });
  }
  for (std::thread& caller : callers) caller.join();
  for (int64_t sum : sums) CHECK(sum == 199 * 200 / 2);
  set_num_threads(available_processors());
}

CASE(little_work_stays_on_one_thread) {
  set_num_threads(7);
  CHECK(threads_for(1000, 1) == 1);
  CHECK(threads_for(1, kPlentyOfWork) == 1);
  CHECK(threads_for(3, kPlentyOfWork) == 3);
  CHECK(threads_for(1000, kPlentyOfWork) == 7);
  set_num_threads(available_processors());
}

CASE(thread_counts_are_checked) {
  CHECK(available_processors() >= 1);
  const int before = num_threads();
  CHECK_THROWS(set_num_threads(0), std::invalid_argument, "at least 1, got 0");
  CHECK_THROWS(set_num_threads(-3), std::invalid_argument, "at least 1, got -3");
  CHECK(num_threads() == before);
}

CASE(unknown_instruction_sets_are_refused) {
  const std::string before = kernels().isa;
  CHECK_THROWS(select_isa("mmx"), std::invalid_argument, "'mmx' is not available");
  CHECK_THROWS(select_isa(""), std::invalid_argument, "available: " + available_isas().front());
  CHECK(before == kernels().isa);
  for (const std::string& isa : available_isas()) {
    select_isa(isa);
    CHECK(isa == kernels().isa);
    CHECK(kernels().limits.lanes >= 4);
  }
  select_isa_from_environment();
}

CASE(memory_is_aligned_and_used_again) {
  for (size_t bytes : {size_t{0}, size_t{1}, size_t{100}, size_t{100000}, size_t{9} << 20}) {
    void* block = allocate(bytes);
    CHECK(reinterpret_cast<uintptr_t>(block) % 64 == 0);
    std::memset(block, 1, bytes);
    release(block);
  }
  release(nullptr);
  trim_memory();
  CHECK(memory_stats().cached_bytes == 0);

  set_memory_limit(int64_t{1} << 30);
  const MemoryStats before = memory_stats();
  void* first = allocate(1 << 20);
  CHECK(memory_stats().used_bytes >= before.used_bytes + (1 << 20));
  release(first);
  CHECK(memory_stats().used_bytes == before.used_bytes);
  CHECK(memory_stats().cached_bytes >= 1 << 20);
  void* second = allocate((1 << 20) - 100);
  CHECK(second == first);
  CHECK(memory_stats().reuses == before.reuses + 1);
  release(second);

  set_memory_limit(0);
  CHECK(memory_stats().cached_bytes == 0);
  release(allocate(1 << 20));
  CHECK(memory_stats().cached_bytes == 0);
  CHECK_THROWS(allocate(SIZE_MAX), std::bad_alloc, "bad_alloc");
  CHECK_THROWS(Scratch(1 << 20, SIZE_MAX / 8), std::bad_alloc, "bad_alloc");
  CHECK(memory_stats().used_bytes == before.used_bytes);
  set_memory_limit(before.limit_bytes);
}

CASE(scratch_parts_do_not_overlap) {
  const Scratch scratch(3, 17);
  for (int part = 0; part < 3; ++part) {
    for (int i = 0; i < 17; ++i) scratch.part(part)[i] = static_cast<float>(part);
    CHECK(reinterpret_cast<uintptr_t>(scratch.part(part)) % 64 == 0);
  }
  for (int part = 0; part < 3; ++part) CHECK(scratch.part(part)[0] == part && scratch.part(part)[16] == part);
}

CASE(subnormals_count_as_zero_only_inside) {
  volatile float tiny = 1e-38f, tenth = 0.1f;
  {
    const DenormalGuard guard;
    CHECK(tiny * tenth == 0.0f);
  }
  CHECK(tiny * tenth > 0.0f);
}

CASE(contention_keeps_short_regions_on_one_thread_for_a_while) {
  using Clock = ContentionWatch::Clock;
  using std::chrono::milliseconds;
  const ContentionWatch::Seconds work(100e-6);
  ContentionWatch watch;
  const auto now = Clock::now();
  watch.report(now, now + std::chrono::microseconds(150), work);
  CHECK(!watch.prefers_one_thread(1e6));
  // A region that waited some time slices, just now: short work avoids threads, long work does not.
  watch.report(now, now + milliseconds(40), work);
  CHECK(watch.prefers_one_thread(1e6));
  CHECK(!watch.prefers_one_thread(1e10));
  // The same long ago: the pause is over.
  ContentionWatch other;
  other.report(now - milliseconds(1000), now - milliseconds(960), work);
  CHECK(!other.prefers_one_thread(1e6));
}

CASE(pauses_grow_while_trying_again_fails_and_are_short_again_later) {
  using Clock = ContentionWatch::Clock;
  using std::chrono::milliseconds;
  const ContentionWatch::Seconds work(100e-6);
  // Whether short regions still stay on one thread 100 ms after a region that waited for 20 ms, with others like it
  // before, and then regions that went well.
  const auto paused = [&](int others, milliseconds well) {
    ContentionWatch watch;
    const auto last = Clock::now() - milliseconds(100), calm = last - milliseconds(50) - well;
    for (int i = others; i > 0; --i) {
      const auto end = calm - i * milliseconds(50);
      watch.report(end - milliseconds(20), end, work);
    }
    for (auto end = calm; end < calm + well; end += milliseconds(1)) {
      watch.report(end - std::chrono::microseconds(150), end, work);
    }
    watch.report(last - milliseconds(20), last, work);
    return watch.prefers_one_thread(1e6);
  };
  CHECK(!paused(0, milliseconds(0)));
  CHECK(paused(4, milliseconds(0)));
  CHECK(!paused(4, milliseconds(3000)));
}

CASE(a_pause_has_an_end_however_long_a_region_waited) {
  using Clock = ContentionWatch::Clock;
  using std::chrono::milliseconds;
  ContentionWatch watch;
  const auto end = Clock::now() - milliseconds(1000);
  for (int i = 0; i < 10; ++i) watch.report(end - milliseconds(60000), end, ContentionWatch::Seconds(100e-6));
  CHECK(!watch.prefers_one_thread(1e6));
}
