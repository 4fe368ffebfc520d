// A few lines instead of a test framework: cases register themselves, checks report and count, main.cpp runs them.
//
// A case runs once (CASE) or on every instruction set of the machine with 1, 2 and 7 threads (ENGINE_CASE).
#pragma once

#include <cmath>
#include <cstdint>
#include <iostream>
#include <limits>
#include <string>
#include <vector>

namespace check {

struct Case {
  const char* name;
  void (*run)();
  bool on_every_engine;
};

inline std::vector<Case>& cases() {
  static std::vector<Case> all;
  return all;
}

struct Register {
  Register(const char* name, void (*run)(), bool on_every_engine) { cases().push_back({name, run, on_every_engine}); }
};

// What the running case is called in a failure's message, and the failures so far.
inline std::string& context() {
  static std::string text;
  return text;
}

inline int& failures() {
  static int count = 0;
  return count;
}

inline void fail(const char* file, int line, const std::string& what) {
  // A broken kernel fails in thousands of places: the first ones tell enough.
  if (++failures() <= 20) std::cerr << file << ":" << line << ": " << context() << ": " << what << "\n";
}

inline bool close(double actual, double expected, double tolerance) {
  if (std::isnan(expected)) return std::isnan(actual);
  if (std::isinf(expected)) return actual == expected;
  return std::abs(actual - expected) <= tolerance;
}

// The tolerance for a float32 sum of `terms` products of size one against the same sum in double.
inline double sum_tolerance(double terms) {
  return 16 * std::numeric_limits<float>::epsilon() * std::sqrt(terms < 1 ? 1 : terms);
}

// Reproducible values in [-1, 1).
class Random {
 public:
  explicit Random(uint64_t seed) : state_(seed * 2 + 1) {}
  float next() {
    state_ = state_ * 6364136223846793005u + 1442695040888963407u;
    return static_cast<float>(static_cast<int32_t>(state_ >> 32)) * 0x1p-31f;
  }
  std::vector<float> values(int64_t count) {
    std::vector<float> result(static_cast<size_t>(count));
    for (float& value : result) value = next();
    return result;
  }

 private:
  uint64_t state_;
};

inline void all_close(const char* file, int line, const std::vector<float>& actual, const std::vector<double>& expected,
                      double tolerance) {
  if (actual.size() != expected.size()) {
    fail(file, line, std::to_string(actual.size()) + " values, expected " + std::to_string(expected.size()));
    return;
  }
  for (size_t i = 0; i < actual.size(); ++i) {
    if (!close(actual[i], expected[i], tolerance)) {
      fail(file, line,
           "value " + std::to_string(i) + " is " + std::to_string(actual[i]) + ", expected " +
               std::to_string(expected[i]) + " within " + std::to_string(tolerance));
      return;
    }
  }
}

}  // namespace check

#define CHECK_CASE_(name, on_every_engine)                                       \
  static void name();                                                            \
  static const ::check::Register register_##name(#name, &name, on_every_engine); \
  static void name()
#define CASE(name) CHECK_CASE_(name, false)
#define ENGINE_CASE(name) CHECK_CASE_(name, true)

#define CHECK(condition)                                             \
  do {                                                               \
    if (!(condition)) ::check::fail(__FILE__, __LINE__, #condition); \
  } while (false)

#define CHECK_ALL_CLOSE(actual, expected, tolerance) ::check::all_close(__FILE__, __LINE__, actual, expected, tolerance)

#define CHECK_THROWS(statement, Exception, text)                                                                       \
  do {                                                                                                                 \
    std::string message_ = "nothing";                                                                                  \
    try {                                                                                                              \
      statement;                                                                                                       \
    } catch (const Exception& error_) {                                                                                \
      message_ = error_.what();                                                                                        \
    }                                                                                                                  \
    if (message_.find(text) == std::string::npos)                                                                      \
      ::check::fail(__FILE__, __LINE__, std::string(#statement " should throw '") + (text) + "', threw: " + message_); \
  } while (false)
