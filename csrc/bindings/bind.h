// What each bind_*.cpp adds to the extension module.
#pragma once

#include <pybind11/pybind11.h>

namespace cnnfast {

void bind_activation(pybind11::module_& module);
void bind_chain(pybind11::module_& module);
void bind_columns(pybind11::module_& module);
void bind_norm(pybind11::module_& module);
void bind_row_norm(pybind11::module_& module);
void bind_local_response(pybind11::module_& module);
void bind_prelu(pybind11::module_& module);
void bind_elementwise(pybind11::module_& module);
void bind_conv(pybind11::module_& module);
void bind_conv_pool(pybind11::module_& module);
void bind_dense(pybind11::module_& module);
void bind_softmax(pybind11::module_& module);
void bind_prepared(pybind11::module_& module);
void bind_pool(pybind11::module_& module);
void bind_adaptive_pool(pybind11::module_& module);
void bind_maxout(pybind11::module_& module);
void bind_random(pybind11::module_& module);
void bind_updates(pybind11::module_& module);
void bind_runtime(pybind11::module_& module);

}  // namespace cnnfast
