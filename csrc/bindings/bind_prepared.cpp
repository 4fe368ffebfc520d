#include <pybind11/stl.h>

#include <optional>
#include <string>
#include <utility>

#include "bindings/arrays.h"
#include "bindings/bind.h"
#include "bindings/padding.h"
#include "ops/activation.h"
#include "ops/conv.h"

namespace cnnfast {
namespace {

using OptionalFloats = std::optional<Floats>;

// A convolution or dense product with weights that stay what they are: called with one input after the other, it keeps
// the weights in the forms that its loops read. Threads may call it at the same time.
class PreparedLayer {
 public:
  PreparedLayer(std::string op, Floats kernel, OptionalFloats bias, const std::string& activation, float alpha)
      : op_(std::move(op)),
        kernel_(std::move(kernel)),
        bias_(std::move(bias)),
        kernel_dims_(dims_of(kernel_)),
        activation_(activation_from_name(op_, activation)),
        alpha_(alpha) {
    if (kernel_dims_.size() < 2) throw std::invalid_argument(op_ + ": kernel expects 2 dimensions or more");
    const Dims wanted{kernel_dims_.back()};
    if (bias_ && dims_of(*bias_) != wanted) {
      throw std::invalid_argument(op_ + ": bias expects shape " + dims_text(wanted) + ", got " +
                                  dims_text(dims_of(*bias_)));
    }
  }
  virtual ~PreparedLayer() = default;
  PreparedLayer(const PreparedLayer&) = delete;
  PreparedLayer& operator=(const PreparedLayer&) = delete;

  py::array_t<float> call(const Floats& x) {
    Dims y_dims;
    const ConvShape shape = shape_for(dims_of(x), y_dims);
    py::array_t<float> y = new_floats(y_dims);
    const float *x_data = x.data(), *w = kernel_.data(), *b = bias_ ? bias_->data() : nullptr;
    float* y_data = y.mutable_data();
    const py::gil_scoped_release release_gil;
    conv_forward(shape, x_data, w, b, activation_, alpha_, y_data, &kept_);
    return y;
  }

  std::string algorithm(const Dims& x) const {
    Dims y_dims;
    return forward_route(shape_for(x, y_dims), true).name();
  }
  size_t forms() const { return kept_.count(); }

 protected:
  const std::string& op() const { return op_; }
  const Dims& kernel_dims() const { return kernel_dims_; }

 private:
  virtual ConvShape shape_for(const Dims& x, Dims& y) const = 0;

  std::string op_;
  Floats kernel_;
  OptionalFloats bias_;
  Dims kernel_dims_;
  Activation activation_;
  float alpha_;
  KeptWeights kept_;
};

class PreparedConvolution : public PreparedLayer {
 public:
  PreparedConvolution(const std::string& op, size_t rank, Floats kernel, OptionalFloats bias, const py::object& strides,
                      const py::object& padding, const py::object& dilation, int64_t groups,
                      const std::string& activation, float alpha, bool flip_kernel, const std::string& algorithm)
      : PreparedLayer(op, std::move(kernel), std::move(bias), activation, alpha),
        strides_(values_per_axis(op, "strides", strides, rank)),
        padding_(padding_from_python(op, padding, rank)),
        dilation_(values_per_axis(op, "dilation_rate", dilation, rank)),
        groups_(groups),
        flip_kernel_(flip_kernel),
        algorithm_(algorithm_from_name(op, algorithm)) {}

 private:
  ConvShape shape_for(const Dims& x, Dims& y) const override {
    ConvShape shape = conv_shape(op(), x, kernel_dims(), strides_, padding_, dilation_, groups_, flip_kernel_);
    shape.algorithm = algorithm_;
    require_algorithm(op(), shape);
    y = shape.y_dims();
    return shape;
  }

  Dims strides_;
  Padding padding_;
  Dims dilation_;
  int64_t groups_;
  bool flip_kernel_;
  ConvAlgorithm algorithm_;
};

class PreparedDense : public PreparedLayer {
 public:
  PreparedDense(Floats kernel, OptionalFloats bias, const std::string& activation, float alpha)
      : PreparedLayer("dense", std::move(kernel), std::move(bias), activation, alpha) {
    if (kernel_dims().size() != 2 || kernel_dims()[0] < 1 || kernel_dims()[1] < 1) {
      throw std::invalid_argument("dense: kernel expects shape (features, units), got " + dims_text(kernel_dims()));
    }
  }

 private:
  ConvShape shape_for(const Dims& x, Dims& y) const override {
    const int64_t features = kernel_dims()[0], units = kernel_dims()[1];
    if (x.empty() || x.back() != features) {
      throw std::invalid_argument(
          "dense: kernel expects shape (features, units) with as many features as x has on its "
          "last axis, got x: " +
          dims_text(x) + ", kernel: " + dims_text(kernel_dims()));
    }
    y = x;
    y.back() = units;
    return dense_shape(checked_size(x) / features, features, units);
  }
};

}  // namespace

void bind_prepared(py::module_& module) {
  py::class_<PreparedLayer>(module, "PreparedLayer")
      .def("__call__", &PreparedLayer::call, py::arg("x").noconvert())
      .def("algorithm", &PreparedLayer::algorithm, py::arg("x_shape"))
      .def_property_readonly("forms", &PreparedLayer::forms);
  py::class_<PreparedConvolution, PreparedLayer>(module, "PreparedConvolution")
      .def(py::init<const std::string&, size_t, Floats, OptionalFloats, const py::object&, const py::object&,
                    const py::object&, int64_t, const std::string&, float, bool, const std::string&>(),
           py::arg("op"), py::arg("rank"), py::arg("kernel").noconvert(), py::arg("bias").noconvert(),
           py::arg("strides"), py::arg("padding"), py::arg("dilation_rate"), py::arg("groups"), py::arg("activation"),
           py::arg("alpha"), py::arg("flip_kernel") = false, py::arg("algorithm") = "auto");
  py::class_<PreparedDense, PreparedLayer>(module, "PreparedDense")
      .def(py::init<Floats, OptionalFloats, const std::string&, float>(), py::arg("kernel").noconvert(),
           py::arg("bias").noconvert(), py::arg("activation"), py::arg("alpha"));
}

}  // namespace cnnfast
