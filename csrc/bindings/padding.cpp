#include "bindings/padding.h"

namespace cnnfast {
namespace {

namespace py = pybind11;

bool is_integer(const py::handle& value) { return PyIndex_Check(value.ptr()) && !PyBool_Check(value.ptr()); }

bool is_sequence(const py::handle& value) {
  return PySequence_Check(value.ptr()) && !py::isinstance<py::str>(value) && !py::isinstance<py::bytes>(value);
}

[[noreturn]] void throw_type_error(const std::string& op, const std::string& argument, const std::string& expected,
                                   const py::handle& got) {
  throw py::type_error(op + ": " + argument + " must be " + expected + ", got " + std::string(py::repr(got)));
}

int64_t integer(const std::string& op, const std::string& argument, const py::handle& value) {
  if (!is_integer(value)) throw_type_error(op, argument, "made of integers", value);
  const py::object index = py::reinterpret_steal<py::object>(PyNumber_Index(value.ptr()));
  if (!index) throw py::error_already_set();
  const int64_t result = PyLong_AsLongLong(index.ptr());
  if (result == -1 && PyErr_Occurred()) {
    PyErr_Clear();
    throw py::value_error(op + ": " + argument + " is too large: " + std::string(py::repr(value)));
  }
  return result;
}

}  // namespace

size_t spatial_axes(const std::string& op, const Dims& x_dims) {
  if (x_dims.size() < 3 || x_dims.size() > 5) {
    throw std::invalid_argument(op + ": x must have 3, 4 or 5 axes (images, spatial..., channels), its shape is " +
                                dims_text(x_dims));
  }
  return x_dims.size() - 2;
}

Dims values_per_axis(const std::string& op, const std::string& argument, const py::handle& value, size_t axes) {
  if (is_integer(value)) return Dims(axes, integer(op, argument, value));
  if (!is_sequence(value)) throw_type_error(op, argument, "an integer or a sequence of integers", value);
  const auto sequence = py::reinterpret_borrow<py::sequence>(value);
  if (sequence.size() != axes) {
    throw py::value_error(op + ": " + argument + " expects one integer or " + std::to_string(axes) + " of them, got " +
                          std::string(py::repr(value)));
  }
  Dims values;
  for (size_t i = 0; i < axes; ++i) values.push_back(integer(op, argument, sequence[i]));
  return values;
}

Padding padding_from_python(const std::string& op, const py::handle& value, size_t axes) {
  if (py::isinstance<py::str>(value)) {
    const auto name = value.cast<std::string>();
    if (name == "valid") return {};
    if (name == "same") return {Padding::Mode::same, {}};
    throw py::value_error(op + ": padding must be 'valid', 'same', an integer or one (before, after) pair per axis, " +
                          "got '" + name + "'");
  }
  Padding padding{Padding::Mode::explicit_, {}};
  if (is_integer(value)) {
    const int64_t amount = integer(op, "padding", value);
    padding.pairs.assign(axes, {amount, amount});
    return padding;
  }
  const char* const expected = "'valid', 'same', an integer or one (before, after) pair per axis";
  if (!is_sequence(value)) throw_type_error(op, "padding", expected, value);
  const auto sequence = py::reinterpret_borrow<py::sequence>(value);
  bool fits = sequence.size() == axes;
  for (size_t i = 0; fits && i < axes; ++i) fits = is_sequence(sequence[i]) && py::len(sequence[i]) == 2;
  if (!fits) {
    throw py::value_error(op + ": padding expects " + std::to_string(axes) + " (before, after) pair" +
                          (axes == 1 ? "" : "s") + ", got " + std::string(py::repr(value)));
  }
  for (size_t i = 0; i < axes; ++i) {
    const Dims pair = values_per_axis(op, "padding", sequence[i], 2);
    padding.pairs.emplace_back(pair[0], pair[1]);
  }
  return padding;
}

}  // namespace cnnfast
