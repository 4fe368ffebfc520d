// How many threads the engine uses.
#pragma once

namespace cnnfast {

// The processors this process may use: its affinity mask, or its cgroup's CPU quota where that is smaller.
int available_processors();

// The limit in force: the last set_num_threads, else OMP_NUM_THREADS, else available_processors().
int num_threads();

// Throws std::invalid_argument unless count >= 1.
void set_num_threads(int count);

}  // namespace cnnfast
