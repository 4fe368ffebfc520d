"""Python's operators for tensors and variables, installed when the package is imported."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from cnnfast.autograd import Value, to_float32
from cnnfast.ops import indexing, math, products, reductions, rounding, shaping, unary

_Method = Callable[..., Any]


def _is_operand(x: Any) -> bool:
    return isinstance(x, (Value, np.ndarray, np.generic, int, float, list, tuple))


def _forward(function: _Method) -> _Method:
    def method(self: Value, other: Any) -> Any:
        return function(self, other) if _is_operand(other) else NotImplemented

    return method


def _reflected(function: _Method) -> _Method:
    def method(self: Value, other: Any) -> Any:
        return function(other, self) if _is_operand(other) else NotImplemented

    return method


def _comparison(compare: np.ufunc) -> _Method:
    def method(self: Value, other: Any) -> npt.NDArray[np.bool_]:
        if not _is_operand(other):
            return NotImplemented
        with math.quiet():
            return compare(self._value, to_float32(other, compare.__name__, "the other operand"))

    return method


def _iterate(self: Value) -> Iterator[Any]:
    if self.ndim == 0:
        raise TypeError(f"a {type(self).__name__} without axes cannot be iterated over")
    return (indexing.index(self, i) for i in range(self.shape[0]))


def _reshape(self: Value, *shape: Any) -> Any:
    """The same elements in another shape, given as integers or as one tuple of them."""
    return shaping.reshape(self, shape[0] if len(shape) == 1 else shape)


def _transpose(self: Value, *axes: Any) -> Any:
    """The axes in another order, given as integers or as one tuple of them; reversed by default."""
    if not axes:
        return shaping.transpose(self)
    return shaping.transpose(self, axes[0] if len(axes) == 1 and not isinstance(axes[0], int) else axes)


def _install() -> None:
    binary = {
        "add": math.add,
        "sub": math.subtract,
        "mul": math.multiply,
        "truediv": math.divide,
        "pow": math.power,
        "mod": rounding.mod,
        "floordiv": rounding.floor_divide,
        "matmul": products.matmul,
    }
    methods: dict[str, Any] = {}
    for name, function in binary.items():
        methods[f"__{name}__"] = _forward(function)
        methods[f"__r{name}__"] = _reflected(function)
    comparisons = {
        "lt": np.less,
        "le": np.less_equal,
        "gt": np.greater,
        "ge": np.greater_equal,
        "eq": np.equal,
        "ne": np.not_equal,
    }
    for name, compare in comparisons.items():
        methods[f"__{name}__"] = _comparison(compare)
    methods.update(
        __neg__=unary.negative,
        __pos__=shaping.convert_to_tensor,
        __abs__=unary.abs,
        __getitem__=indexing.index,
        __iter__=_iterate,
        reshape=_reshape,
        transpose=_transpose,
        T=property(shaping.transpose, doc="The axes in reverse order."),
    )
    for reduction in (reductions.sum, reductions.mean, reductions.max, reductions.min):
        methods[reduction.__name__] = reduction
    for name, method in methods.items():
        setattr(Value, name, method)


_install()
