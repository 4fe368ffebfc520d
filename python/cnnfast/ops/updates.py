"""Steps of optimisers, in place and over all variables at once. Nothing here is differentiable.

The formulas are those of Keras 3, term by term, so that a training run can be compared with one there.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from cnnfast import _core
from cnnfast.autograd import ArrayLike, FloatArray, Variable, to_float32
from cnnfast.tensor import is_float32

__all__ = ["adam_update", "sgd_update"]

# Where an optimiser keeps what it remembers about a variable.
Slot = Variable | FloatArray


def _checked(
    op: str, variables: Sequence[Variable], gradients: Sequence[ArrayLike], slots: dict[str, Sequence[Slot]]
) -> list[FloatArray]:
    """The gradients as arrays; everything is checked before the first variable counts as overwritten."""
    for name, arrays in {"gradients": gradients, **slots}.items():
        if len(arrays) != len(variables):
            raise ValueError(
                f"{op}: {name} expects one array for each of the {len(variables)} variables, got {len(arrays)}"
            )
    converted = []
    for i, variable in enumerate(variables):
        if not isinstance(variable, Variable):
            raise TypeError(f"{op}: variables expects Variables, got {type(variable).__name__} (number {i})")
        given = gradients[i]
        gradient = given if is_float32(given) else to_float32(given, op, f"the gradient of {variable.name}")
        converted.append(gradient)
        _require_shape(op, "gradients", gradient.shape, variable)
        for name, arrays in slots.items():
            slot = arrays[i]
            _require_shape(op, name, slot.shape if isinstance(slot, np.ndarray) else np.shape(slot), variable)
    return converted


def _require_shape(op: str, name: str, shape: tuple[int, ...], variable: Variable) -> None:
    if shape != variable._value.shape:
        raise ValueError(f"{op}: {name} expects shape {variable.shape} for {variable.name}, got {shape}")


def _writable(op: str, variables: Sequence[Slot]) -> list[FloatArray]:
    return [
        x if is_float32(x) else x.updated_in_place() if isinstance(x, Variable) else _writable_array(op, x)
        for x in variables
    ]


def _writable_array(op: str, x: FloatArray) -> FloatArray:
    if not isinstance(x, np.ndarray) or x.dtype != np.float32 or not x.flags.c_contiguous or not x.flags.aligned:
        kind = f"{x.dtype} array" if isinstance(x, np.ndarray) else type(x).__name__
        raise TypeError(f"{op}: expected a Variable or a contiguous float32 array to update, got a {kind}")
    return x


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
    slots = {"velocities": velocities} if momentum != 0 else {}
    arrays = _checked("sgd_update", variables, gradients, slots)
    velocity_arrays = _writable("sgd_update", velocities) if momentum != 0 else []
    _core.sgd_update(_writable("sgd_update", variables), arrays, velocity_arrays, learning_rate, momentum, nesterov)


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
    arrays = _checked("adam_update", variables, gradients, {"m": m, "v": v})
    means, squares = _writable("adam_update", m), _writable("adam_update", v)
    weights = _writable("adam_update", variables)
    _core.adam_update(weights, arrays, means, squares, step, learning_rate, beta_1, beta_2, epsilon)
