// Notices when other programs want the processors that our threads are waiting for.
#pragma once

#include <chrono>

namespace cnnfast {

// A parallel region ends when its last thread does. If the operating system has given that thread's processor to
// somebody else, a region of microseconds takes a time slice of milliseconds, again and again. So the waiting is
// measured: where it is out of proportion, short regions run on one thread for a pause that is about as dear as the
// waiting was, and longer each time that it happens again soon. A single disturbance, such as another library's threads
// that still spin after their work, costs little, however often; to try again while processors stay busy costs a small
// share of the time. Results are the same bits for any number of threads, so nothing but time depends on this.
class ContentionWatch {
 public:
  using Clock = std::chrono::steady_clock;
  using Seconds = std::chrono::duration<double>;

  // Whether a region of this much work should stay on the calling thread for now.
  bool prefers_one_thread(double work) const {
    return until_ != Clock::time_point{} && work < kLongWork && Clock::now() < until_;
  }

  // How long a region took, and how much of that the calling thread was at work itself.
  void report(Clock::time_point begin, Clock::time_point end, Seconds own_work) {
    const Seconds waited = end - begin - own_work;
    if (waited <= kTolerated + own_work) return;
    const bool soon = begin <= until_ + pause_;
    pause_for_waiting_ = !soon ? kFirstPause : pause_for_waiting_ < kLastPause ? 2 * pause_for_waiting_ : kLastPause;
    const Seconds pause = waited * pause_for_waiting_;
    pause_ = std::chrono::duration_cast<Clock::duration>(pause < kLongestPause ? pause : kLongestPause);
    until_ = end + pause_;
  }

 private:
  static constexpr double kLongWork = 1e9;  // operations that take far longer than a time slice
  static constexpr Seconds kTolerated{300e-6};
  static constexpr double kFirstPause = 2, kLastPause = 32;  // as multiples of what was waited
  static constexpr Seconds kLongestPause{320e-3};

  double pause_for_waiting_ = kFirstPause;
  Clock::duration pause_{};
  Clock::time_point until_{};
};

}  // namespace cnnfast
