"""Steps of optimisers, in place and over all variables at once. Nothing here is differentiable.

The formulas are those of Keras 3, term by term, so that a training run can be compared with one there.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from cnnfast import _core
from cnnfast.autograd import ArrayLike, FloatArray, Tensor, Variable, to_float32
from cnnfast.tensor import is_float32

__all__ = ["adam_update", "sgd_update"]

# Where an optimiser keeps what it remembers about a variable.
Slot = Variable | FloatArray

_VARIABLE = frozenset({Variable})


def _update(
    op: str,
    engine: Callable[..., None],
    variables: Sequence[Variable],
    gradients: Sequence[ArrayLike],
    slots: dict[str, Sequence[Slot]],
) -> None:
    """Let the engine overwrite the variables and slots; tapes that captured a variable's value notice.

    The engine checks every array before it writes to the first. Only where it refuses one is it asked here which: these
    checks know the variables' names, but would take as long as the update of a small network.
    """
    if not _VARIABLE.issuperset(map(type, variables)):
        _require_variables(op, variables)
    _require_count(op, "gradients", gradients, variables)
    arrays = [
        g._value if type(g) is Tensor else to_float32(g, op, f"the gradient of {v.name}")
        for g, v in zip(gradients, variables, strict=True)
    ]
    values = [[x if type(x) is np.ndarray else _array(x) for x in each] for each in slots.values()]
    refused = False
    try:
        engine([v._value for v in variables], arrays, *values)
    except (TypeError, ValueError):
        refused = True
        _require_fit(op, variables, arrays, slots)
        raise
    finally:  # also where the user interrupts: the engine has written by then
        if not refused:
            _note_updates(variables, slots)


def _require_variables(op: str, variables: Sequence[Any]) -> None:
    for i, variable in enumerate(variables):
        if not isinstance(variable, Variable):
            raise TypeError(f"{op}: variables expects Variables, got {type(variable).__name__} (number {i})")


def _array(x: Slot) -> FloatArray:
    return x._value if isinstance(x, Variable) else x


def _note_updates(variables: Sequence[Variable], slots: dict[str, Sequence[Slot]]) -> None:
    for variable in variables:
        variable._version += 1  # as `updated_in_place` does
        variable._changes += 1
    for each in slots.values():
        for x in each:
            if type(x) is not np.ndarray and isinstance(x, Variable):
                x.updated_in_place()


def _require_count(op: str, name: str, arrays: Sequence[Any], variables: Sequence[Variable]) -> None:
    if len(arrays) != len(variables):
        raise ValueError(
            f"{op}: {name} expects one array for each of the {len(variables)} variables, got {len(arrays)}"
        )


def _require_fit(
    op: str, variables: Sequence[Variable], gradients: list[FloatArray], slots: dict[str, Sequence[Slot]]
) -> None:
    """Raise for the first array that the engine cannot update, or update with."""
    for name, arrays in slots.items():
        _require_count(op, name, arrays, variables)
    for i, variable in enumerate(variables):
        for name, shape in {"gradients": gradients[i].shape, **{n: np.shape(a[i]) for n, a in slots.items()}}.items():
            if shape != variable.shape:
                raise ValueError(f"{op}: {name} expects shape {variable.shape} for {variable.name}, got {shape}")
    for arrays in slots.values():
        for x in arrays:
            if not isinstance(x, Variable) and not is_float32(x):
                kind = f"{x.dtype} array" if isinstance(x, np.ndarray) else type(x).__name__
                raise TypeError(f"{op}: expected a Variable or a contiguous float32 array to update, got a {kind}")


def sgd_update(
    variables: Sequence[Variable],
    gradients: Sequence[ArrayLike],
    velocities: Sequence[Slot],
    learning_rate: float,
    momentum: float = 0.0,
    nesterov: bool = False,
) -> None:
    """One step of gradient descent: `w -= learning_rate * g`, or with momentum.

    `velocity = momentum * velocity - learning_rate * g`, then `w += velocity`; with Nesterov's momentum
    `w += momentum * velocity - learning_rate * g`.

    Args:
        variables: what to update.
        gradients: for each variable, an array of its shape.
        velocities: for each variable, a variable or writable float32 array of its shape, zero before the first step;
            updated too. Not used, and may be empty, where `momentum` is 0.
        learning_rate: the step size.
        momentum: the part of the velocity that is kept from step to step.
        nesterov: whether to look ahead along the velocity.

    Raises:
        ValueError: shapes or numbers of arrays do not agree, or an array cannot be written to.
        TypeError: an array has the wrong type.

    Example:
        >>> w = Variable([1.0, 2.0])
        >>> sgd_update([w], [[1.0, -1.0]], [], learning_rate=0.5)
        >>> w.numpy()
        array([0.5, 2.5], dtype=float32)
    """

    def engine(*arrays: Any) -> None:
        weights, slopes, *rest = arrays
        _core.sgd_update(weights, slopes, rest[0] if rest else [], learning_rate, momentum, nesterov)

    _update("sgd_update", engine, variables, gradients, {"velocities": velocities} if momentum != 0 else {})


def adam_update(
    variables: Sequence[Variable],
    gradients: Sequence[ArrayLike],
    m: Sequence[Slot],
    v: Sequence[Slot],
    step: int,
    learning_rate: float = 0.001,
    beta_1: float = 0.9,
    beta_2: float = 0.999,
    epsilon: float = 1e-7,
) -> None:
    """One step of Adam (D. P. Kingma and J. Ba, 2015).

    `m += (g - m) * (1 - beta_1)`, `v += (g^2 - v) * (1 - beta_2)`, `w -= alpha * m / (sqrt(v) + epsilon)` with
    `alpha = learning_rate * sqrt(1 - beta_2^step) / (1 - beta_1^step)`.

    Args:
        variables: what to update.
        gradients: for each variable, an array of its shape.
        m: for each variable, its mean gradient: a variable or writable float32 array of its shape, zero before the
            first step; updated too.
        v: likewise its mean squared gradient.
        step: which step this is, from 1.
        learning_rate: the step size.
        beta_1: the part of `m` that is kept from step to step.
        beta_2: the part of `v` that is kept from step to step.
        epsilon: keeps the division from exploding.

    Raises:
        ValueError: shapes or numbers of arrays do not agree, an array cannot be written to, or `step` is below 1.
        TypeError: an array has the wrong type.

    Example:
        >>> w, m, v = Variable([1.0, 2.0]), Variable([0.0, 0.0]), Variable([0.0, 0.0])
        >>> adam_update([w], [[10.0, -0.1]], [m], [v], step=1, learning_rate=0.5)
        >>> w.numpy().round(4)
        array([0.5, 2.5], dtype=float32)
    """

    def engine(*arrays: Any) -> None:
        weights, slopes, means, squares = arrays
        _core.adam_update(weights, slopes, means, squares, step, learning_rate, beta_1, beta_2, epsilon)

    _update("adam_update", engine, variables, gradients, {"m": m, "v": v})
