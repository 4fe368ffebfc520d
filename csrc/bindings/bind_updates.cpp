#include <pybind11/stl.h>

#include <algorithm>

#include "bindings/arrays.h"
#include "bindings/bind.h"
#include "ops/updates.h"

namespace cnnfast {
namespace {

using Arrays = std::vector<Floats>;

void require_count(const char* op, const char* name, size_t expected, size_t actual) {
  if (actual != expected) {
    throw std::invalid_argument(std::string(op) + ": " + name + " expects one array for each of the " +
                                std::to_string(expected) + " variables, got " + std::to_string(actual));
  }
}

// Asked for every array at every step, so without making lists of sizes unless they differ.
void require_shape_of(const char* op, const char* name, const Floats& array, const Floats& like) {
  if (array.ndim() == like.ndim() && std::equal(array.shape(), array.shape() + array.ndim(), like.shape())) return;
  require_same_shape(op, name, dims_of(array), "variable", dims_of(like));
}

const float* read(const char* op, const char* name, const Floats& array, const Floats& like) {
  require_shape_of(op, name, array, like);
  return array.data();
}

float* write(const char* op, const char* name, Floats& array, const Floats& like) {
  require_shape_of(op, name, array, like);
  if (!array.writeable()) {
    throw std::invalid_argument(std::string(op) + ": " + name +
                                " expects an array that can be written to, got a "
                                "read-only one of shape " +
                                dims_text(dims_of(array)));
  }
  return array.mutable_data();
}

void apply_sgd(Arrays& variables, const Arrays& gradients, Arrays& velocities, double learning_rate, double momentum,
               bool nesterov) {
  const char* op = "sgd_update";
  require_count(op, "gradients", variables.size(), gradients.size());
  if (momentum != 0) require_count(op, "velocities", variables.size(), velocities.size());
  std::vector<SgdParameter> parameters;
  parameters.reserve(variables.size());
  for (size_t i = 0; i < variables.size(); ++i) {
    Floats& variable = variables[i];
    parameters.push_back({write(op, "variable", variable, variable), read(op, "gradient", gradients[i], variable),
                          momentum != 0 ? write(op, "velocity", velocities[i], variable) : nullptr, variable.size()});
  }
  const py::gil_scoped_release release_gil;
  sgd_update(parameters, learning_rate, momentum, nesterov);
}

void apply_adam(Arrays& variables, const Arrays& gradients, Arrays& means, Arrays& squares, int64_t step,
                double learning_rate, double beta_1, double beta_2, double epsilon) {
  const char* op = "adam_update";
  require_count(op, "gradients", variables.size(), gradients.size());
  require_count(op, "m", variables.size(), means.size());
  require_count(op, "v", variables.size(), squares.size());
  if (step < 1) throw std::invalid_argument("adam_update: step counts from 1, got " + std::to_string(step));
  std::vector<AdamParameter> parameters;
  parameters.reserve(variables.size());
  for (size_t i = 0; i < variables.size(); ++i) {
    Floats& variable = variables[i];
    parameters.push_back({write(op, "variable", variable, variable), read(op, "gradient", gradients[i], variable),
                          write(op, "m", means[i], variable), write(op, "v", squares[i], variable), variable.size()});
  }
  const py::gil_scoped_release release_gil;
  adam_update(parameters, step, learning_rate, beta_1, beta_2, epsilon);
}

}  // namespace

void bind_updates(py::module_& module) {
  module.def("sgd_update", &apply_sgd, py::arg("variables").noconvert(), py::arg("gradients").noconvert(),
             py::arg("velocities").noconvert(), py::arg("learning_rate"), py::arg("momentum"), py::arg("nesterov"));
  module.def("adam_update", &apply_adam, py::arg("variables").noconvert(), py::arg("gradients").noconvert(),
             py::arg("m").noconvert(), py::arg("v").noconvert(), py::arg("step"), py::arg("learning_rate"),
             py::arg("beta_1"), py::arg("beta_2"), py::arg("epsilon"));
}

}  // namespace cnnfast
