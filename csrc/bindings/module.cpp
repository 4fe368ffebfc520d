// The extension module cnnfast._core: only a list of what it is made of.
#include <pybind11/pybind11.h>

#include "bindings/bind.h"
#include "dispatch.h"

PYBIND11_MODULE(_core, module, pybind11::mod_gil_not_used()) {
  try {
    cnnfast::select_isa_from_environment();
  } catch (const std::invalid_argument& error) {
    throw pybind11::import_error(error.what());
  }
  cnnfast::bind_runtime(module);
  cnnfast::bind_activation(module);
  cnnfast::bind_norm(module);
  cnnfast::bind_row_norm(module);
  cnnfast::bind_local_response(module);
  cnnfast::bind_prelu(module);
  cnnfast::bind_elementwise(module);
  cnnfast::bind_conv(module);
  cnnfast::bind_dense(module);
  cnnfast::bind_prepared(module);
  cnnfast::bind_softmax(module);
  cnnfast::bind_pool(module);
  cnnfast::bind_conv_pool(module);
  cnnfast::bind_adaptive_pool(module);
  cnnfast::bind_chain(module);
  cnnfast::bind_columns(module);
  cnnfast::bind_maxout(module);
  cnnfast::bind_random(module);
  cnnfast::bind_updates(module);
}
