#include <pybind11/stl.h>

#include <utility>

#include "bindings/arrays.h"
#include "bindings/bind.h"
#include "bindings/padding.h"
#include "ops/activation.h"
#include "ops/chain.h"
#include "ops/max_pool.h"

namespace cnnfast {
namespace {

using Arrays = std::vector<Floats>;

// Which arrays a link takes among those of the chain.
struct Weighted {
  size_t link;
  Dims kernel;
  bool has_bias;
  int64_t bias;
};

// A chain as Python holds it, made link after link for inputs of one shape.
class LayerChain {
 public:
  explicit LayerChain(Dims x_dims) : x_dims_(std::move(x_dims)), dims_(x_dims_) {}

  const Dims& x_dims() const { return x_dims_; }
  const Dims& y_dims() const { return dims_; }
  int64_t kept_size() const { return chain_.kept_size(); }

  void convolution(const Dims& kernel, const py::object& strides, const py::object& padding, const py::object& dilation,
                   int64_t groups, bool has_bias, const std::string& activation, float alpha) {
    const size_t axes = spatial_axes("conv", dims_);
    ChainLink link;
    link.conv = conv_shape("conv", dims_, kernel, values_per_axis("conv", "strides", strides, axes),
                           padding_from_python("conv", padding, axes),
                           values_per_axis("conv", "dilation_rate", dilation, axes), groups, false);
    weighted(link, kernel, has_bias, activation, alpha);
    dims_ = link.conv.y_dims();
  }

  void dense(const Dims& kernel, bool has_bias, const std::string& activation, float alpha) {
    if (kernel.size() != 2 || dims_.empty() || dims_.back() != kernel[0] || kernel[0] == 0 || kernel[1] == 0) {
      throw std::invalid_argument("dense: kernel " + dims_text(kernel) + " does not fit x " + dims_text(dims_));
    }
    ChainLink link;
    link.conv.rank = 1;
    link.conv.images = checked_size(dims_) / kernel[0];
    link.conv.in_channels = kernel[0];
    link.conv.out_channels = kernel[1];
    weighted(link, kernel, has_bias, activation, alpha);
    dims_.back() = kernel[1];
  }

  void pooling(bool largest, const py::object& window, const py::object& strides, const py::object& padding) {
    const size_t axes = spatial_axes("pool", dims_);
    ChainLink link;
    link.kind = largest ? ChainLink::Kind::max_pooling : ChainLink::Kind::average_pooling;
    link.pool = make_pool_shape("pool", dims_, values_per_axis("pool", "pool_size", window, axes),
                                values_per_axis("pool", "strides", strides, axes),
                                padding_from_python("pool", padding, axes), Dims(axes, 1));
    chain_.add(link);
    dims_ = link.pool.y_dims;
  }

  void reshape(const Dims& dims) {
    if (checked_size(dims) != checked_size(dims_)) {
      throw std::invalid_argument("reshape: " + dims_text(dims_) + " does not fill " + dims_text(dims));
    }
    dims_ = dims;
  }

  py::tuple forward(const Floats& x, const Arrays& arrays) const {
    require_same_shape("chain", "x", dims_of(x), "the chain's x", x_dims_);
    const std::vector<ChainWeights> weights = weights_of(arrays);
    py::array_t<float> y = new_floats(dims_), kept = new_floats({chain_.kept_size()});
    const float* from = x.data();
    float *to = y.mutable_data(), *kept_to = kept.mutable_data();
    {
      const py::gil_scoped_release release_gil;
      chain_.forward(from, weights.data(), kept_to, to);
    }
    return py::make_tuple(y, kept);
  }

  // The gradients to x and to the arrays, None where they are not needed.
  py::list backward(const Floats& x, const Arrays& arrays, const Floats& kept, const Floats& y, const Floats& dy,
                    const std::vector<bool>& needs) const {
    require_same_shape("chain", "x", dims_of(x), "the chain's x", x_dims_);
    require_same_shape("chain", "y", dims_of(y), "the chain's y", dims_);
    require_same_shape("chain", "dy", dims_of(dy), "y", dims_);
    require_same_shape("chain", "kept", dims_of(kept), "what forward returned", {chain_.kept_size()});
    const std::vector<ChainWeights> weights = weights_of(arrays);
    if (needs.size() != arrays.size() + 1) throw std::invalid_argument("chain: needs expects a flag for every input");
    py::list found;
    float* dx = wanted(found, needs[0], x_dims_);
    std::vector<ChainGradients> gradients(chain_.size());
    size_t next = 1;
    for (const Weighted& w : weighted_) {
      gradients[w.link].kernel = wanted(found, needs[next++], w.kernel);
      if (w.has_bias) gradients[w.link].bias = wanted(found, needs[next++], {w.bias});
    }
    const float *x_from = x.data(), *kept_from = kept.data(), *y_from = y.data(), *dy_from = dy.data();
    {
      const py::gil_scoped_release release_gil;
      chain_.backward(x_from, weights.data(), kept_from, y_from, dy_from, gradients.data(), dx);
    }
    return found;
  }

 private:
  void weighted(ChainLink& link, const Dims& kernel, bool has_bias, const std::string& activation, float alpha) {
    link.activation = activation_from_name("chain", activation);
    link.alpha = alpha;
    chain_.add(link);
    weighted_.push_back({chain_.size() - 1, kernel, has_bias, link.conv.out_channels});
  }

  std::vector<ChainWeights> weights_of(const Arrays& arrays) const {
    if (chain_.size() == 0) throw std::invalid_argument("chain: there are no links that compute anything");
    std::vector<ChainWeights> weights(chain_.size());
    size_t next = 0;
    const auto take = [&](const Dims& dims) {
      if (next == arrays.size()) throw std::invalid_argument("chain: there are too few weights");
      const Floats& array = arrays[next++];
      if (static_cast<size_t>(array.ndim()) != dims.size() || !std::equal(dims.begin(), dims.end(), array.shape())) {
        require_same_shape("chain", "a weight", dims_of(array), "the chain's", dims);
      }
      return array.data();
    };
    for (const Weighted& w : weighted_) {
      weights[w.link].kernel = take(w.kernel);
      if (w.has_bias) weights[w.link].bias = take({w.bias});
    }
    if (next != arrays.size()) throw std::invalid_argument("chain: there are too many weights");
    return weights;
  }

  static float* wanted(py::list& found, bool need, const Dims& dims) {
    if (!need) {
      found.append(py::none());
      return nullptr;
    }
    py::array_t<float> array = new_floats(dims);
    found.append(array);
    return array.mutable_data();
  }

  Chain chain_;
  std::vector<Weighted> weighted_;
  Dims x_dims_, dims_;  // of the first link's input and of the last one's output
};

py::tuple as_tuple(const Dims& dims) { return py::tuple(py::cast(dims)); }

}  // namespace

void bind_chain(py::module_& module) {
  py::class_<LayerChain>(module, "LayerChain")
      .def(py::init<Dims>(), py::arg("x_shape"))
      .def_property_readonly("x_shape", [](const LayerChain& c) { return as_tuple(c.x_dims()); })
      .def_property_readonly("y_shape", [](const LayerChain& c) { return as_tuple(c.y_dims()); })
      .def_property_readonly("kept_size", &LayerChain::kept_size)
      .def("convolution", &LayerChain::convolution, py::arg("kernel_shape"), py::arg("strides"), py::arg("padding"),
           py::arg("dilation_rate"), py::arg("groups"), py::arg("has_bias"), py::arg("activation"), py::arg("alpha"))
      .def("dense", &LayerChain::dense, py::arg("kernel_shape"), py::arg("has_bias"), py::arg("activation"),
           py::arg("alpha"))
      .def("pooling", &LayerChain::pooling, py::arg("largest"), py::arg("pool_size"), py::arg("strides"),
           py::arg("padding"))
      .def("reshape", &LayerChain::reshape, py::arg("shape"))
      .def("forward", &LayerChain::forward, py::arg("x").noconvert(), py::arg("weights").noconvert())
      .def("backward", &LayerChain::backward, py::arg("x").noconvert(), py::arg("weights").noconvert(),
           py::arg("kept").noconvert(), py::arg("y").noconvert(), py::arg("dy").noconvert(), py::arg("needs"));
}

}  // namespace cnnfast
