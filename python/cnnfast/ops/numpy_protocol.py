"""What NumPy's own functions do with a tensor or variable.

Where there is a differentiable function here, NumPy's is routed to it, whether a tape records or not. Functions whose
results have no gradient (comparisons, `argmax`, `isnan`, ...) read the value. All others raise TypeError instead of
losing the gradient: `np.asarray(tensor)` says that the value alone is wanted.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from cnnfast.autograd import Value
from cnnfast.ops import indexing, math, products, reductions, shaping, unary


class _Route(NamedTuple):
    """A function of this library in place of one of NumPy's."""

    function: Callable[..., Any]
    positional: tuple[str, ...]  # NumPy's names of the leading parameters, in this library's order
    keywords: tuple[str, ...] = ()  # further ones, which have the same name in both


_UFUNCS: dict[np.ufunc, Callable[..., Any]] = {
    np.add: math.add,
    np.subtract: math.subtract,
    np.multiply: math.multiply,
    np.true_divide: math.divide,
    np.power: math.power,
    np.maximum: math.maximum,
    np.minimum: math.minimum,
    np.matmul: products.matmul,
    np.negative: unary.negative,
    np.exp: unary.exp,
    np.expm1: unary.expm1,
    np.log: unary.log,
    np.log1p: unary.log1p,
    np.sqrt: unary.sqrt,
    np.square: unary.square,
    np.reciprocal: unary.reciprocal,
    np.absolute: unary.abs,
    np.fabs: unary.abs,
    np.sign: unary.sign,
    np.sin: unary.sin,
    np.cos: unary.cos,
}

_READING_UFUNCS = {
    np.less,
    np.less_equal,
    np.greater,
    np.greater_equal,
    np.equal,
    np.not_equal,
    np.isnan,
    np.isinf,
    np.isfinite,
    np.signbit,
    np.logical_and,
    np.logical_or,
    np.logical_xor,
    np.logical_not,
}

_FUNCTIONS: dict[Callable[..., Any], _Route] = {
    np.sum: _Route(reductions.sum, ("a", "axis"), ("keepdims",)),
    np.mean: _Route(reductions.mean, ("a", "axis"), ("keepdims",)),
    np.var: _Route(reductions.var, ("a", "axis"), ("keepdims",)),
    np.std: _Route(reductions.std, ("a", "axis"), ("keepdims",)),
    np.prod: _Route(reductions.prod, ("a", "axis"), ("keepdims",)),
    np.max: _Route(reductions.max, ("a", "axis"), ("keepdims",)),
    np.min: _Route(reductions.min, ("a", "axis"), ("keepdims",)),
    np.amax: _Route(reductions.max, ("a", "axis"), ("keepdims",)),
    np.amin: _Route(reductions.min, ("a", "axis"), ("keepdims",)),
    np.clip: _Route(math.clip, ("a", "a_min", "a_max")),
    np.reshape: _Route(shaping.reshape, ("a", "shape")),
    np.ravel: _Route(shaping.ravel, ("a",)),
    np.transpose: _Route(shaping.transpose, ("a", "axes")),
    np.moveaxis: _Route(shaping.moveaxis, ("a", "source", "destination")),
    np.swapaxes: _Route(shaping.swapaxes, ("a", "axis1", "axis2")),
    np.squeeze: _Route(shaping.squeeze, ("a", "axis")),
    np.expand_dims: _Route(shaping.expand_dims, ("a", "axis")),
    np.broadcast_to: _Route(shaping.broadcast_to, ("array", "shape")),
    np.concatenate: _Route(shaping.concatenate, ("arrays", "axis")),
    np.stack: _Route(shaping.stack, ("arrays", "axis")),
    np.split: _Route(indexing.split, ("ary", "indices_or_sections", "axis")),
    np.flip: _Route(shaping.flip, ("m", "axis")),
    np.pad: _Route(shaping.pad, ("array", "pad_width", "mode"), ("constant_values",)),
    np.take: _Route(indexing.take, ("a", "indices", "axis")),
    np.where: _Route(indexing.where, ("condition", "x", "y")),
}

_READING_FUNCTIONS = {
    np.all,
    np.allclose,
    np.any,
    np.argmax,
    np.argmin,
    np.argsort,
    np.argwhere,
    np.array2string,
    np.array_equal,
    np.array_repr,
    np.array_str,
    np.count_nonzero,
    np.empty_like,
    np.full_like,
    np.isclose,
    np.may_share_memory,
    np.ndim,
    np.nonzero,
    np.ones_like,
    np.save,
    np.savetxt,
    np.savez,
    np.savez_compressed,
    np.searchsorted,
    np.shape,
    np.shares_memory,
    np.size,
    np.zeros_like,
}


def _value_of(x: Any) -> Any:
    """`x` with the values of the tensors in it."""
    if isinstance(x, Value):
        return np.asarray(x)
    if isinstance(x, (list, tuple)):
        return type(x)(_value_of(item) for item in x)
    return x


def _refuse(name: str, why: str) -> TypeError:
    return TypeError(
        f"{name}: {why}; use a function of cnnfast.ops, or np.asarray(tensor) if the value alone is wanted"
    )


def _array_ufunc(self: Value, ufunc: np.ufunc, method: str, *inputs: Any, **options: Any) -> Any:
    name = f"np.{ufunc.__name__}"
    if "out" in options:
        raise _refuse(name, "writing the result into an array would lose the gradient of a tensor")
    if ufunc in _READING_UFUNCS:
        return getattr(ufunc, method)(*_value_of(inputs), **_value_of_options(options))
    if ufunc not in _UFUNCS:
        raise _refuse(name, "the gradient of a tensor cannot follow this function")
    if method != "__call__":
        raise _refuse(f"{name}.{method}", "the gradient of a tensor cannot follow this method")
    if options:
        raise _refuse(name, f"the gradient of a tensor cannot follow the option {next(iter(options))}")
    return _UFUNCS[ufunc](*inputs)


def _array_function(
    self: Value, function: Callable[..., Any], types: Any, args: tuple[Any, ...], options: dict[str, Any]
) -> Any:
    name = f"np.{function.__name__}"
    if function in _READING_FUNCTIONS:
        return function(*_value_of(args), **_value_of_options(options))
    route = _FUNCTIONS.get(function)
    if route is None:
        raise _refuse(name, "the gradient of a tensor cannot follow this function")
    if len(args) > len(route.positional):
        raise _refuse(name, f"with a tensor it takes {len(route.positional)} positional arguments, got {len(args)}")
    arguments = list(args)
    remaining = dict(options)
    for parameter in route.positional[len(args) :]:
        if parameter not in remaining:
            break
        arguments.append(remaining.pop(parameter))
    for option in remaining:
        if option not in route.keywords:
            raise _refuse(name, f"the gradient of a tensor cannot follow the option {option}")
    return route.function(*arguments, **remaining)


def _value_of_options(options: dict[str, Any]) -> dict[str, Any]:
    return {key: _value_of(option) for key, option in options.items()}


Value.__array_ufunc__ = _array_ufunc
Value.__array_function__ = _array_function
