#include <pybind11/stl.h>

#include <cmath>
#include <optional>

#include "bindings/arrays.h"
#include "bindings/bind.h"
#include "ops/activation.h"
#include "ops/moments.h"
#include "ops/norm.h"
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

const char* const kBatchNorm = "batch_normalization";

const float* channel_values(const char* name, const std::optional<Floats>& values, int64_t channels) {
  if (!values) return nullptr;
  const Dims dims = dims_of(*values);
  if (dims != Dims{channels}) {
    throw std::invalid_argument(std::string(kBatchNorm) + ": " + name + " expects shape " + dims_text({channels}) +
                                ", one value per channel of x, got " + dims_text(dims));
  }
  return values->data();
}

BatchNorm batch_norm_of(const Floats& x, const Floats& mean, const Floats& variance, const std::optional<Floats>& gamma,
                        const std::optional<Floats>& beta, double epsilon, const std::string& kind) {
  const auto [rows, channels] = rows_of(kBatchNorm, "x", x);
  if (!(epsilon >= 0) || std::isinf(epsilon)) {
    throw std::invalid_argument(std::string(kBatchNorm) + ": epsilon must be finite and at least 0, got " +
                                std::to_string(epsilon));
  }
  const Activation activation = activation_from_name(kBatchNorm, kind);
  if (activation != Activation::linear && activation != Activation::relu && activation != Activation::relu6) {
    throw std::invalid_argument(std::string(kBatchNorm) + ": activation expects linear, relu or relu6, got " + kind);
  }
  return {rows,
          channels,
          channel_values("mean", mean, channels),
          channel_values("variance", variance, channels),
          channel_values("gamma", gamma, channels),
          channel_values("beta", beta, channels),
          static_cast<float>(epsilon),
          activation};
}

py::tuple moments(const Floats& x) {
  const auto [rows, channels] = rows_of(kBatchNorm, "x", x);
  const int64_t row_count = rows, channel_count = channels;
  if (row_count == 0) throw std::invalid_argument(std::string(kBatchNorm) + ": no rows have no mean");
  py::array_t<float> mean = new_floats({channel_count}), variance = new_floats({channel_count});
  const float* from = x.data();
  float *mean_to = mean.mutable_data(), *variance_to = variance.mutable_data();
  {
    const py::gil_scoped_release release_gil;
    batch_moments(from, row_count, channel_count, mean_to, variance_to);
  }
  return py::make_tuple(mean, variance);
}

py::array_t<float> forward(const Floats& x, const Floats& mean, const Floats& variance,
                           const std::optional<Floats>& gamma, const std::optional<Floats>& beta, double epsilon,
                           const std::string& activation, const std::optional<Floats>& residual) {
  const BatchNorm norm = batch_norm_of(x, mean, variance, gamma, beta, epsilon, activation);
  if (residual) require_same_shape(kBatchNorm, "residual", dims_of(*residual), "x", dims_of(x));
  const float* added = residual ? residual->data() : nullptr;
  py::array_t<float> y = new_floats(dims_of(x));
  const float* from = x.data();
  float* to = y.mutable_data();
  const py::gil_scoped_release release_gil;
  batch_norm_forward(norm, from, added, to);
  return y;
}

// `y` is the forward pass's result where it added a residual before an activation; then the residual's gradient comes
// back, else None.
py::tuple backward(const Floats& x, const Floats& dy, const Floats& mean, const Floats& variance,
                   const std::optional<Floats>& gamma, const std::optional<Floats>& beta, double epsilon,
                   const std::string& activation, bool of_statistics, bool needs_dx, const std::optional<Floats>& y) {
  require_same_shape(kBatchNorm, "dy", dims_of(dy), "x", dims_of(x));
  const BatchNorm norm = batch_norm_of(x, mean, variance, gamma, beta, epsilon, activation);
  py::array_t<float> dgamma = new_floats({norm.channels}), dbeta = new_floats({norm.channels});
  py::object dx = py::none();
  float *dx_to = nullptr, *dgamma_to = dgamma.mutable_data(), *dbeta_to = dbeta.mutable_data();
  if (needs_dx) {
    py::array_t<float> array = new_floats(dims_of(x));
    dx_to = array.mutable_data();
    dx = array;
  }
  py::object d_residual = py::none();
  ResidualGradient residual{};
  if (y) {
    require_same_shape(kBatchNorm, "y", dims_of(*y), "x", dims_of(x));
    py::array_t<float> array = new_floats(dims_of(x));
    residual = {y->data(), array.mutable_data()};
    d_residual = array;
  }
  const bool with_residual = y.has_value();
  const float *x_from = x.data(), *dy_from = dy.data();
  {
    const py::gil_scoped_release release_gil;
    batch_norm_backward(norm, of_statistics, x_from, dy_from, with_residual ? &residual : nullptr, dx_to, dgamma_to,
                        dbeta_to);
  }
  return py::make_tuple(dx, dgamma, dbeta, d_residual);
}

}  // namespace

void bind_norm(py::module_& module) {
  module.def("channel_sums", &sums_of_channels, py::arg("x").noconvert());
  module.def("batch_moments", &moments, py::arg("x").noconvert());
  module.def("batch_norm_forward", &forward, py::arg("x").noconvert(), py::arg("mean").noconvert(),
             py::arg("variance").noconvert(), py::arg("gamma").noconvert(), py::arg("beta").noconvert(),
             py::arg("epsilon"), py::arg("activation"), py::arg("residual").noconvert() = py::none());
  module.def("batch_norm_backward", &backward, py::arg("x").noconvert(), py::arg("dy").noconvert(),
             py::arg("mean").noconvert(), py::arg("variance").noconvert(), py::arg("gamma").noconvert(),
             py::arg("beta").noconvert(), py::arg("epsilon"), py::arg("activation"), py::arg("of_statistics"),
             py::arg("needs_dx"), py::arg("y").noconvert() = py::none());
}

}  // namespace cnnfast
