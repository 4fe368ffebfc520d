#include "ops/peak.h"

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <stdexcept>
#include <string>
#include <vector>

#include "dispatch.h"
#include "runtime/parallel.h"
#include "runtime/threads.h"

namespace cnnfast {
namespace {

using Clock = std::chrono::steady_clock;

constexpr double kSlice = 5e-3;  // seconds: short enough to fall between disturbances, long against starting threads

double seconds_since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

// Runs the chains once for every thread; returns the seconds it took.
double run_slice(int threads, int64_t rounds) {
  std::vector<float> results(static_cast<size_t>(threads));
  const Clock::time_point start = Clock::now();
  parallel_tasks(threads, threads, [&](int64_t task, int) {
    results[static_cast<size_t>(task)] = kernels().peak_chains(rounds, 0.5f, 0.5f);
  });
  return seconds_since(start);
}

}  // namespace

double measure_peak(double seconds) {
  if (!(seconds > 0 && seconds <= 60)) {
    throw std::invalid_argument("measure_peak: seconds must be above 0 and at most 60, got " + std::to_string(seconds));
  }
  const int threads = threads_for(num_threads(), 1e12);
  const KernelLimits limits = kernels().limits;
  const double flops_per_round = 2.0 * limits.lanes * limits.accumulators * threads;
  // The length of a slice is settled on one thread, for waking the others can take longer than it.
  int64_t rounds = 1000;
  while (run_slice(1, rounds) < kSlice) rounds *= 2;
  const Clock::time_point start = Clock::now();
  double best = 0;
  do {
    best = std::max(best, flops_per_round * static_cast<double>(rounds) / run_slice(threads, rounds));
  } while (seconds_since(start) < seconds);
  return best * 1e-9;
}

}  // namespace cnnfast
