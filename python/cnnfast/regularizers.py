"""Penalties on weights and activations, by class or by name; models add them to their loss.

A regularizer is a function of an array that returns one number. Layers take them as `kernel_regularizer`,
`bias_regularizer` and so on, and as `activity_regularizer` for their output, whose penalty is divided by the number of
examples.

>>> L2(0.5)([1.0, 2.0])
array(2.5, dtype=float32)
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from cnnfast import configured, ops
from cnnfast.arguments import real
from cnnfast.autograd import Value, to_float32
from cnnfast.configured import Configured

__all__ = [
    "L1",
    "L1L2",
    "L2",
    "OrthogonalRegularizer",
    "Regularizer",
    "deserialize",
    "get",
    "l1",
    "l1_l2",
    "l2",
    "orthogonal_regularizer",
    "serialize",
]


class Regularizer(Configured):
    """Base: a penalty on an array. Subclasses define `__call__` with `cnnfast.ops`, so that gradients follow.

    Example:
        >>> class Largest(Regularizer):
        ...     def __call__(self, x):
        ...         return 0.5 * ops.max(ops.abs(x))
        >>> float(Largest()([1.0, -3.0]))
        1.5
    """

    def __call__(self, x: Any) -> Any:
        """The penalty on `x`: one number."""
        return 0.0


class L1(Regularizer):
    """`l1 * sum(|x|)`, which makes many weights zero.

    Args:
        l1: the factor, not negative; 0.01 for None.

    Raises:
        ValueError: the factor is negative or not finite.

    Example:
        >>> L1(0.5)([1.0, -2.0])
        array(1.5, dtype=float32)
    """

    def __init__(self, l1: float | None = 0.01) -> None:
        self.l1 = _factor("L1", "l1", 0.01 if l1 is None else l1)

    def __call__(self, x: Any) -> Any:  # noqa: D102
        return ops.l1_l2_penalty(x, self.l1, 0.0)


class L2(Regularizer):
    """`l2 * sum(x^2)`, which keeps weights small.

    Args:
        l2: the factor, not negative; 0.01 for None.

    Raises:
        ValueError: the factor is negative or not finite.

    Example:
        >>> L2(0.5)([1.0, -2.0])
        array(2.5, dtype=float32)
    """

    def __init__(self, l2: float | None = 0.01) -> None:
        self.l2 = _factor("L2", "l2", 0.01 if l2 is None else l2)

    def __call__(self, x: Any) -> Any:  # noqa: D102
        return ops.l1_l2_penalty(x, 0.0, self.l2)


class L1L2(Regularizer):
    """`l1 * sum(|x|) + l2 * sum(x^2)`.

    Args:
        l1: the first factor, not negative; 0 for None.
        l2: the second factor.

    Raises:
        ValueError: a factor is negative or not finite.

    Example:
        >>> L1L2(l1=0.5, l2=0.25)([1.0, -2.0])
        array(2.75, dtype=float32)
    """

    def __init__(self, l1: float | None = 0.0, l2: float | None = 0.0) -> None:
        self.l1 = _factor("L1L2", "l1", 0.0 if l1 is None else l1)
        self.l2 = _factor("L1L2", "l2", 0.0 if l2 is None else l2)

    def __call__(self, x: Any) -> Any:  # noqa: D102
        return ops.l1_l2_penalty(x, self.l1, self.l2)


class OrthogonalRegularizer(Regularizer):
    """`factor` times the mean absolute cosine between a matrix's rows (or columns), which makes them orthogonal.

    A. Brock et al., "Neural photo editing with introspective adversarial networks", 2017, is one use of it.

    Args:
        factor: not negative.
        mode: "rows" or "columns".

    Raises:
        ValueError: the factor is negative or not finite, or `mode` is another word; on a call, there are not two axes.

    Example:
        >>> round(float(OrthogonalRegularizer(0.5)([[1.0, 0.0], [1.0, 1.0]])), 4)
        0.3536
    """

    def __init__(self, factor: float = 0.01, mode: str = "rows") -> None:
        self.factor = _factor("OrthogonalRegularizer", "factor", factor)
        if mode not in ("rows", "columns"):
            raise ValueError(f"OrthogonalRegularizer: mode expects rows or columns, got {mode!r}")
        self.mode = mode

    def __call__(self, x: Any) -> Any:  # noqa: D102
        x = x if isinstance(x, Value) else to_float32(x, "OrthogonalRegularizer")
        if len(x.shape) != 2:
            raise ValueError(f"OrthogonalRegularizer: expects a matrix, got shape {tuple(x.shape)}")
        rows = x if self.mode == "rows" else ops.transpose(x)
        count = rows.shape[0]
        if count < 2:
            return ops.sum(rows) * 0.0  # nothing that could be orthogonal to it
        # A row of zeros stays one.
        rows = rows * ops.rsqrt(ops.maximum(ops.sum(ops.square(rows), axis=1, keepdims=True), _SMALLEST))
        cosines = ops.abs(ops.matmul(rows, ops.transpose(rows)))
        between = ops.sum(cosines * (1.0 - np.eye(count, dtype=np.float32)))
        return between * (self.factor / (count * (count - 1)))


# The square of the smallest norm that a row is divided by.
_SMALLEST = 1e-14


def _factor(owner: str, name: str, value: float) -> float:
    number = real(owner, name, value, 0.0)
    if math.isinf(number):
        raise ValueError(f"{owner}: {name} expects a finite number, got {value}")
    return number


def _both(l1: float | None = 0.01, l2: float | None = 0.01) -> L1L2:
    """What the name without numbers means."""
    return L1L2(l1, l2)


l1, l2, l1_l2, orthogonal_regularizer = L1, L2, L1L2, OrthogonalRegularizer

RegularizerLike = Regularizer | Callable[[Any], Any] | str | Mapping[str, Any] | None

_BY_NAME: dict[str, Callable[..., Any]] = {
    "L1": L1,
    "L1L2": _both,
    "L2": L2,
    "OrthogonalRegularizer": OrthogonalRegularizer,
    "l1": L1,
    "l1_l2": _both,
    "l1l2": _both,
    "l2": L2,
    "orthogonal_regularizer": OrthogonalRegularizer,
}


def get(identifier: RegularizerLike) -> Callable[[Any], Any] | None:
    """The regularizer that an argument means.

    Args:
        identifier: None, a name such as "l2" or "L1L2", a class, an object or any function of an array, or a dict of
            `class_name` and `config`.

    Raises:
        ValueError: no regularizer has that name.
        TypeError: nothing that can be a regularizer.

    Example:
        >>> get("l2").l2
        0.01
    """
    return None if identifier is None else configured.look_up("regularizer", identifier, _BY_NAME)


def serialize(regularizer: Regularizer) -> dict[str, Any]:
    """A regularizer as a dict of `class_name` and `config` that JSON can hold.

    Example:
        >>> serialize(L2(0.5))
        {'class_name': 'L2', 'config': {'l2': 0.5}}
    """
    entry: dict[str, Any] = configured.serialize(regularizer, "the regularizer")
    return entry


def deserialize(config: Mapping[str, Any], custom_objects: Mapping[str, Any] | None = None) -> Any:
    """The regularizer that `serialize` made a dict of; `custom_objects` names classes of your own.

    Raises:
        ValueError: no regularizer has that name.

    Example:
        >>> deserialize(serialize(L2(0.5))).l2
        0.5
    """
    return configured.look_up("regularizer", config, {**_BY_NAME, **(custom_objects or {})})
