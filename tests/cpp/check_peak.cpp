// The measured peak is positive everywhere and refuses senseless durations.
#include <stdexcept>

#include "check.h"
#include "ops/peak.h"

ENGINE_CASE(peak_is_measured) { CHECK(cnnfast::measure_peak(1e-3) > 0); }

CASE(peak_refuses_senseless_durations) {
  for (double seconds : {0.0, -1.0, 61.0, std::numeric_limits<double>::quiet_NaN()}) {
    CHECK_THROWS(cnnfast::measure_peak(seconds), std::invalid_argument, "measure_peak: seconds must be");
  }
}
