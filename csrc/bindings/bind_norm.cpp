#include "bindings/arrays.h"
#include "bindings/bind.h"
#include "ops/reduce.h"

namespace cnnfast {
namespace {

// Rows and channels of an array whose last axis is the channels.
struct RowsOfChannels {
  int64_t rows;
  int64_t channels;
};

RowsOfChannels rows_of(const char* op, const char* name, const Floats& x) {
  if (x.ndim() < 1) throw std::invalid_argument(std::string(op) + ": " + name + " must have at least one axis");
  const int64_t channels = x.shape(x.ndim() - 1);
  if (channels < 1) {
    throw std::invalid_argument(std::string(op) + ": " + name + " has no channels, its shape is " +
                                dims_text(dims_of(x)));
  }
  return {x.size() / channels, channels};
}

py::array_t<float> sums_of_channels(const Floats& x) {
  const auto [rows, channels] = rows_of("channel_sums", "x", x);
  py::array_t<float> sums = new_floats({channels});
  const float* from = x.data();
  float* to = sums.mutable_data();
  const int64_t row_count = rows, channel_count = channels;
  const py::gil_scoped_release release_gil;
  channel_sums(from, row_count, channel_count, to);
  return sums;
}

}  // namespace

void bind_norm(py::module_& module) { module.def("channel_sums", &sums_of_channels, py::arg("x").noconvert()); }

}  // namespace cnnfast
