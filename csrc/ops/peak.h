// How fast this machine can multiply and add: what the speed of everything else is measured against.
#pragma once

namespace cnnfast {

// The most floating-point operations per second, in 1e9, that the instruction set in use reached with all threads
// within `seconds`; a multiply-add counts as two. Throws std::invalid_argument unless 0 < seconds <= 60.
double measure_peak(double seconds);

}  // namespace cnnfast
