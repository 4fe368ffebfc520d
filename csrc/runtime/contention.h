// Notices when other programs want the processors that our threads are waiting for.
#pragma once

#include <chrono>

namespace cnnfast {

// A parallel region ends when its last thread does. If the operating system has given that thread's processor to
// somebody else, a region of microseconds takes a time slice of milliseconds, again and again. So the waiting is
// measured: where it is out of proportion, short regions run on one thread for a pause, which doubles while trying
// again fails and halves while it goes well. A single disturbance, such as another library's threads that still spin
// after their work, costs one short pause. Results are the same bits for any number of threads, so nothing but time
// depends on this.
class ContentionWatch {
 public:
  using Clock = std::chrono::steady_clock;
  using Seconds = std::chrono::duration<double>;

  // Whether a region of this much work should stay on the calling thread for now.
  bool prefers_one_thread(double work) const {
    return penalty_.count() > 0 && work < kLongWork && Clock::now() < until_;
  }

  // How long a region took, and how much of that the calling thread was at work itself.
  void report(Clock::time_point begin, Clock::time_point end, Seconds own_work) {
    const Seconds waited = end - begin - own_work;
    if (waited > kTolerated + own_work) {
      penalty_ =
          penalty_.count() == 0 ? kFirstPenalty : (penalty_ * 2 < kLongestPenalty ? penalty_ * 2 : kLongestPenalty);
      until_ = end + std::chrono::duration_cast<Clock::duration>(penalty_);
    } else if (penalty_.count() > 0 && end > until_ + std::chrono::duration_cast<Clock::duration>(penalty_)) {
      penalty_ = penalty_ > kFirstPenalty ? penalty_ / 2 : Seconds(0);
      until_ = end;
    }
  }

 private:
  static constexpr double kLongWork = 1e9;  // operations that take far longer than a time slice
  static constexpr Seconds kTolerated{300e-6};
  static constexpr Seconds kFirstPenalty{5e-3};
  static constexpr Seconds kLongestPenalty{320e-3};

  Seconds penalty_{0};
  Clock::time_point until_;
};

}  // namespace cnnfast
