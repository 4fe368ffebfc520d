"""Bounds on weights, by class or by name; optimizers bring weights back into them after every step.

A constraint is a function of an array that returns one of the same shape. Layers take them as `kernel_constraint`,
`bias_constraint` and so on.

>>> NonNeg()([1.0, -2.0])
array([1., 0.], dtype=float32)
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from cnnfast import configured
from cnnfast.arguments import integer, real
from cnnfast.autograd import ArrayLike, FloatArray, to_float32
from cnnfast.configured import Configured

__all__ = [
    "Constraint",
    "MaxNorm",
    "MinMaxNorm",
    "NonNeg",
    "UnitNorm",
    "deserialize",
    "get",
    "max_norm",
    "min_max_norm",
    "non_neg",
    "serialize",
    "unit_norm",
]

# Added to norms that are divided by.
_EPSILON = np.float32(1e-7)


class Constraint(Configured):
    """Base: a function that brings weights back to where they may be. Subclasses define `__call__`.

    Example:
        >>> class Capped(Constraint):
        ...     def __call__(self, w):
        ...         return np.minimum(np.asarray(w), 1.0)
        >>> Capped()([0.5, 2.0])
        array([0.5, 1. ])
    """

    def __call__(self, w: Any) -> Any:
        """The weights as they may be; here, as they are."""
        return w


class NonNeg(Constraint):
    """Negative weights become 0.

    Example:
        >>> NonNeg()([1.0, -2.0])
        array([1., 0.], dtype=float32)
    """

    def __call__(self, w: ArrayLike) -> FloatArray:  # noqa: D102
        return np.maximum(to_float32(w, "NonNeg", "w"), np.float32(0.0))


class _OfNorms(Constraint):
    """Base of those that scale vectors, which lie along one axis or fill several."""

    axis: int | tuple[int, ...]

    def _set_axis(self, axis: int | Sequence[int]) -> None:
        owner = type(self).__name__
        several = isinstance(axis, (list, tuple))
        self.axis = tuple(integer(owner, "axis", a) for a in axis) if several else integer(owner, "axis", axis)  # type: ignore[union-attr]

    def _norms(self, w: FloatArray) -> FloatArray:
        if w.ndim == 0:
            return np.abs(w)
        with np.errstate(all="ignore"):
            squares = np.add.reduce(w * w, axis=self.axis, dtype=np.float64, keepdims=True)
            return np.sqrt(squares).astype(np.float32)


class MaxNorm(_OfNorms):
    """Vectors of weights that are longer than a bound are scaled down to it.

    N. Srivastava et al., "Dropout: a simple way to prevent neural networks from overfitting", 2014, section 5.1.

    Args:
        max_value: the bound, not negative.
        axis: the axis, or axes, along which a vector lies: 0 for the weights that enter a unit of a dense layer,
            [0, 1, 2] for those of a filter of Conv2D.

    Raises:
        ValueError: the bound is negative.

    Example:
        >>> MaxNorm(1.0)([[3.0, 0.5], [4.0, 0.0]]).round(3)
        array([[0.6, 0.5],
               [0.8, 0. ]], dtype=float32)
    """

    def __init__(self, max_value: float = 2, axis: int | Sequence[int] = 0) -> None:
        self.max_value = real("MaxNorm", "max_value", max_value, 0.0)
        self._set_axis(axis)

    def __call__(self, w: ArrayLike) -> FloatArray:  # noqa: D102
        array = to_float32(w, "MaxNorm", "w")
        norms = self._norms(array)
        scaled: FloatArray = array * (np.minimum(norms, np.float32(self.max_value)) / (_EPSILON + norms))
        return scaled


class UnitNorm(_OfNorms):
    """Vectors of weights are scaled to length 1.

    Args:
        axis: the axis, or axes, along which a vector lies, as for `MaxNorm`.

    Example:
        >>> UnitNorm()([[3.0], [4.0]]).round(3)
        array([[0.6],
               [0.8]], dtype=float32)
    """

    def __init__(self, axis: int | Sequence[int] = 0) -> None:
        self._set_axis(axis)

    def __call__(self, w: ArrayLike) -> FloatArray:  # noqa: D102
        array = to_float32(w, "UnitNorm", "w")
        scaled: FloatArray = array / (_EPSILON + self._norms(array))
        return scaled


class MinMaxNorm(_OfNorms):
    """Vectors of weights are scaled to a length between two bounds, or towards it.

    Args:
        min_value: the lower bound, not negative.
        max_value: the upper bound.
        rate: which part of the way to the nearest bound is gone at once, from 0 to 1.
        axis: the axis, or axes, along which a vector lies, as for `MaxNorm`.

    Raises:
        ValueError: a bound is negative, the lower one is above the upper one, or the rate is out of range.

    Example:
        >>> MinMaxNorm(1.0, 2.0)([[3.0, 0.5], [4.0, 0.0]]).round(3)
        array([[1.2, 1. ],
               [1.6, 0. ]], dtype=float32)
    """

    def __init__(
        self, min_value: float = 0.0, max_value: float = 1.0, rate: float = 1.0, axis: int | Sequence[int] = 0
    ) -> None:
        self.min_value = real("MinMaxNorm", "min_value", min_value, 0.0)
        self.max_value = real("MinMaxNorm", "max_value", max_value, 0.0)
        if self.min_value > self.max_value:
            raise ValueError(f"MinMaxNorm: max_value expects a number from min_value={min_value}, got {max_value}")
        self.rate = real("MinMaxNorm", "rate", rate, 0.0, 1.0)
        self._set_axis(axis)

    def __call__(self, w: ArrayLike) -> FloatArray:  # noqa: D102
        array = to_float32(w, "MinMaxNorm", "w")
        norms, rate = self._norms(array), np.float32(self.rate)
        wanted = rate * np.clip(norms, np.float32(self.min_value), np.float32(self.max_value))
        wanted += (np.float32(1.0) - rate) * norms
        scaled: FloatArray = array * (wanted / (_EPSILON + norms))
        return scaled


max_norm, min_max_norm, non_neg, unit_norm = MaxNorm, MinMaxNorm, NonNeg, UnitNorm

ConstraintLike = Constraint | Callable[[Any], Any] | str | Mapping[str, Any] | None

_BY_NAME: dict[str, Callable[..., Any]] = {
    "MaxNorm": MaxNorm,
    "MinMaxNorm": MinMaxNorm,
    "NonNeg": NonNeg,
    "UnitNorm": UnitNorm,
    "max_norm": MaxNorm,
    "min_max_norm": MinMaxNorm,
    "non_neg": NonNeg,
    "unit_norm": UnitNorm,
}


def get(identifier: ConstraintLike) -> Callable[[Any], Any] | None:
    """The constraint that an argument means.

    Args:
        identifier: None, a name such as "max_norm" or "NonNeg", a class, an object or any function of an array, or a
            dict of `class_name` and `config`.

    Raises:
        ValueError: no constraint has that name.
        TypeError: nothing that can be a constraint.

    Example:
        >>> get("max_norm").max_value
        2.0
    """
    return None if identifier is None else configured.look_up("constraint", identifier, _BY_NAME)


def serialize(constraint: Constraint) -> dict[str, Any]:
    """A constraint as a dict of `class_name` and `config` that JSON can hold.

    Example:
        >>> serialize(MaxNorm(3))["config"]
        {'max_value': 3, 'axis': 0}
    """
    entry: dict[str, Any] = configured.serialize(constraint, "the constraint")
    return entry


def deserialize(config: Mapping[str, Any], custom_objects: Mapping[str, Any] | None = None) -> Any:
    """The constraint that `serialize` made a dict of; `custom_objects` names classes of your own.

    Raises:
        ValueError: no constraint has that name.

    Example:
        >>> deserialize(serialize(MaxNorm(3))).max_value
        3.0
    """
    return configured.look_up("constraint", config, {**_BY_NAME, **(custom_objects or {})})
