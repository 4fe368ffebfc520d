// Groups of values that are gone over twice, as normalisation does it: first for what is known of a group as a whole.
#pragma once

#include <algorithm>
#include <cstdint>

#include "runtime/parallel.h"

namespace cnnfast {

// Groups cut into pieces. Where there are enough groups to keep all threads busy, each is finished before the next is
// begun, so that the second pass finds it in the cache; else threads share the pieces of all groups.
class TwoPasses {
 public:
  TwoPasses(int64_t groups, int64_t pieces, double work)
      : groups_(groups),
        pieces_(pieces),
        threads_(threads_for(groups * pieces, work)),
        by_group_(pieces == 1 || threads_ == 1 || groups >= int64_t{4} * threads_) {
    if (by_group_) threads_ = static_cast<int>(std::max<int64_t>(1, std::min<int64_t>(threads_, groups)));
  }

  // How many groups are under way at once: what is kept for a group in between has so many places, called slots.
  int slots() const { return by_group_ ? threads_ : static_cast<int>(groups_); }

  // Calls before(group, slot), first(group, piece, slot) for a group's pieces, between(group, slot), and
  // second(group, piece, slot) for the pieces again.
  template <typename Before, typename First, typename Between, typename Second>
  void run(Before before, First first, Between between, Second second) const {
    if (by_group_) {
      parallel_tasks(groups_, threads_, [&](int64_t group, int thread) {
        before(group, thread);
        for (int64_t piece = 0; piece < pieces_; ++piece) first(group, piece, thread);
        between(group, thread);
        for (int64_t piece = 0; piece < pieces_; ++piece) second(group, piece, thread);
      });
      return;
    }
    parallel_tasks(groups_, 1, [&](int64_t group, int) { before(group, static_cast<int>(group)); });
    parallel_tasks(groups_ * pieces_, threads_,
                   [&](int64_t task, int) { first(task / pieces_, task % pieces_, static_cast<int>(task / pieces_)); });
    parallel_tasks(groups_, 1, [&](int64_t group, int) { between(group, static_cast<int>(group)); });
    parallel_tasks(groups_ * pieces_, threads_, [&](int64_t task, int) {
      second(task / pieces_, task % pieces_, static_cast<int>(task / pieces_));
    });
  }

 private:
  int64_t groups_;
  int64_t pieces_;
  int threads_;
  bool by_group_;
};

}  // namespace cnnfast
