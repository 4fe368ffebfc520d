#include <pybind11/stl.h>

#include <optional>

#include "bindings/arrays.h"
#include "bindings/bind.h"
#include "ops/group_norm.h"
#include "ops/row_norm.h"

namespace cnnfast {
namespace {

using Values = std::optional<Floats>;

void require_axes(const char* op, const Floats& x, py::ssize_t axes) {
  if (x.ndim() == axes) return;
  throw std::invalid_argument(std::string(op) + ": x expects " + std::to_string(axes) + " axes, its shape is " +
                              dims_text(dims_of(x)));
}

const float* parameter(const char* op, const char* name, const Values& values, int64_t count) {
  if (!values) return nullptr;
  if (values->ndim() != 1 || values->size() != count) {
    throw std::invalid_argument(std::string(op) + ": " + name + " expects " + std::to_string(count) +
                                " values, its shape is " + dims_text(dims_of(*values)));
  }
  return values->data();
}

RowNorm row_norm_of(const Floats& x, const Values& gamma, const Values& beta, float epsilon, bool centred) {
  const char* op = centred ? "layer_normalization" : "rms_normalization";
  require_axes(op, x, 2);
  const int64_t columns = x.shape(1);
  return {x.shape(0),
          1,
          columns,
          centred,
          epsilon,
          parameter(op, "gamma", gamma, columns),
          parameter(op, "beta", beta, columns)};
}

GroupNorm group_norm_of(const Floats& x, const Values& gamma, const Values& beta, float epsilon, int64_t groups) {
  const char* op = "group_normalization";
  require_axes(op, x, 3);
  const int64_t channels = x.shape(2);
  if (groups < 1 || channels % groups != 0) {
    throw std::invalid_argument(std::string(op) + ": groups=" + std::to_string(groups) +
                                " expects to divide the channels, x has shape " + dims_text(dims_of(x)));
  }
  return {x.shape(0),
          x.shape(1),
          groups,
          channels / groups,
          epsilon,
          parameter(op, "gamma", gamma, channels),
          parameter(op, "beta", beta, channels)};
}

// (y, what the backward pass needs to know)
template <typename Norm, typename Forward>
py::tuple forward(const Norm& norm, const Floats& x, Forward compute) {
  py::array_t<float> y = new_floats(dims_of(x)), statistics = new_floats({norm.statistics()});
  const float* from = x.data();
  float *to = y.mutable_data(), *statistics_to = statistics.mutable_data();
  {
    const py::gil_scoped_release release_gil;
    compute(norm, from, to, statistics_to);
  }
  return py::make_tuple(y, statistics);
}

// (dx, dgamma, dbeta)
template <typename Norm, typename Backward>
py::tuple backward(const char* op, const Norm& norm, const Floats& x, const Floats& dy, const Floats& statistics,
                   Backward compute) {
  require_same_shape(op, "dy", dims_of(dy), "x", dims_of(x));
  require_same_shape(op, "statistics", dims_of(statistics), "those of x", {norm.statistics()});
  const int64_t parameters = x.shape(x.ndim() - 1);
  py::array_t<float> dx = new_floats(dims_of(x)), dgamma = new_floats({parameters}), dbeta = new_floats({parameters});
  const float *from = x.data(), *arrived = dy.data(), *known = statistics.data();
  float *to = dx.mutable_data(), *dgamma_to = dgamma.mutable_data(), *dbeta_to = dbeta.mutable_data();
  {
    const py::gil_scoped_release release_gil;
    compute(norm, from, arrived, known, to, dgamma_to, dbeta_to);
  }
  return py::make_tuple(dx, dgamma, dbeta);
}

py::tuple rows_forward(const Floats& x, const Values& gamma, const Values& beta, float epsilon, bool centred) {
  return forward(row_norm_of(x, gamma, beta, epsilon, centred), x, row_norm_forward);
}

py::tuple rows_backward(const Floats& x, const Floats& dy, const Floats& statistics, const Values& gamma,
                        bool centred) {
  return backward("layer_normalization", row_norm_of(x, gamma, std::nullopt, 0, centred), x, dy, statistics,
                  row_norm_backward);
}

py::tuple groups_forward(const Floats& x, const Values& gamma, const Values& beta, float epsilon, int64_t groups) {
  return forward(group_norm_of(x, gamma, beta, epsilon, groups), x, group_norm_forward);
}

py::tuple groups_backward(const Floats& x, const Floats& dy, const Floats& statistics, const Values& gamma,
                          int64_t groups) {
  return backward("group_normalization", group_norm_of(x, gamma, std::nullopt, 0, groups), x, dy, statistics,
                  group_norm_backward);
}

}  // namespace

void bind_row_norm(py::module_& module) {
  module.def("row_norm_forward", &rows_forward, py::arg("x").noconvert(), py::arg("gamma").noconvert(),
             py::arg("beta").noconvert(), py::arg("epsilon"), py::arg("centred"));
  module.def("row_norm_backward", &rows_backward, py::arg("x").noconvert(), py::arg("dy").noconvert(),
             py::arg("statistics").noconvert(), py::arg("gamma").noconvert(), py::arg("centred"));
  module.def("group_norm_forward", &groups_forward, py::arg("x").noconvert(), py::arg("gamma").noconvert(),
             py::arg("beta").noconvert(), py::arg("epsilon"), py::arg("groups"));
  module.def("group_norm_backward", &groups_backward, py::arg("x").noconvert(), py::arg("dy").noconvert(),
             py::arg("statistics").noconvert(), py::arg("gamma").noconvert(), py::arg("groups"));
}

}  // namespace cnnfast
