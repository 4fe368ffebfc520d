// Window arguments as Python gives them: `strides=2` or `strides=(2, 1)`; `padding="same"`, 1 or [(0, 1), (2, 0)].
#pragma once

#include <pybind11/pybind11.h>

#include <cstdint>
#include <string>

#include "ops/axis.h"

namespace cnnfast {

// How many spatial axes x has: 1, 2 or 3 between the images and the channels.
size_t spatial_axes(const std::string& op, const Dims& x_dims);

// One integer, or a sequence of `axes` of them; an integer counts for every axis. Throws TypeError for what is no
// integer and ValueError for another number of values.
Dims values_per_axis(const std::string& op, const std::string& argument, const pybind11::handle& value, size_t axes);

// "valid", "same", an integer (before and after every axis) or one (before, after) pair per axis.
Padding padding_from_python(const std::string& op, const pybind11::handle& value, size_t axes);

}  // namespace cnnfast
