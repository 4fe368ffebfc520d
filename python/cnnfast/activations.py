"""Activation functions by name, as layers take them.

>>> get("relu") is relu
True

ReLU is the one to try first, then its leaky form or `cnnfast.ops.maxout`, sometimes tanh. Sigmoid between layers is a
poor choice: it saturates at both ends, where its gradient vanishes, and its outputs are never centred on zero. Its
place is the output of a yes-or-no classifier.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from cnnfast import ops
from cnnfast.autograd import to_float32
from cnnfast.ops import elu, leaky_relu, log_softmax, relu6, selu, sigmoid, silu, softmax, softplus, tanh

Activation = Callable[[Any], Any]

__all__ = [
    "elu", "exponential", "gelu", "get", "hard_sigmoid", "leaky_relu", "linear", "log_softmax", "relu", "relu6", "selu",
    "sigmoid", "silu", "softmax", "softplus", "softsign", "tanh",
]  # fmt: skip


def linear(x: Any) -> Any:
    """Return x as it is.

    Example:
        >>> linear(3.0)
        3.0
    """
    return x


def relu(x: Any, negative_slope: float = 0.0, max_value: float | None = None, threshold: float = 0.0) -> Any:
    """Rectified linear unit: `max(x, 0)`, or its general form.

    Args:
        x: array of any shape.
        negative_slope: slope below the threshold.
        max_value: where the output saturates, or None.
        threshold: below it the output is `negative_slope * (x - threshold)`.

    Example:
        >>> relu([-1.0, 2.0])
        array([0., 2.], dtype=float32)
        >>> relu([-1.0, 2.0, 9.0], negative_slope=0.5, max_value=6.0)
        array([-0.5,  2. ,  6. ], dtype=float32)
    """
    if threshold == 0.0:
        if max_value == 6.0 and not negative_slope:
            return ops.relu6(x)
        y = ops.leaky_relu(x, negative_slope=negative_slope) if negative_slope else ops.relu(x)
    else:
        below = ops.multiply(ops.subtract(x, threshold), negative_slope)
        y = ops.where(to_float32(x, "relu") >= threshold, x, below)
    return y if max_value is None else ops.minimum(y, max_value)


def gelu(x: Any, approximate: bool = False) -> Any:
    """The Gaussian error linear unit, `x * P(X <= x)` for a standard normal X; see `ops.gelu`.

    Args:
        x: array of any shape.
        approximate: whether to use the tanh form.

    Example:
        >>> gelu([-1.0, 0.0, 2.0]).round(4)
        array([-0.1587,  0.    ,  1.9545], dtype=float32)
    """
    return ops.gelu(x, approximate)


def exponential(x: Any) -> Any:
    """`exp(x)`.

    Example:
        >>> exponential([0.0])
        array([1.], dtype=float32)
    """
    return ops.exp(x)


def softsign(x: Any) -> Any:
    """`x / (1 + |x|)`.

    Example:
        >>> softsign([-1.0, 3.0])
        array([-0.5 ,  0.75], dtype=float32)
    """
    return ops.divide(x, ops.add(ops.abs(x), 1.0))


def hard_sigmoid(x: Any) -> Any:
    """Sigmoid made of three straight lines: `relu6(x + 3) / 6`.

    Example:
        >>> hard_sigmoid([-4.0, 0.0, 4.0])
        array([0. , 0.5, 1. ], dtype=float32)
    """
    return ops.divide(relu6(ops.add(x, 3.0)), 6.0)


_BY_NAME: dict[str, Activation] = {
    "linear": linear,
    "relu": relu,
    "relu6": relu6,
    "leaky_relu": leaky_relu,
    "elu": elu,
    "selu": selu,
    "gelu": gelu,
    "silu": silu,
    "swish": silu,
    "sigmoid": sigmoid,
    "hard_sigmoid": hard_sigmoid,
    "tanh": tanh,
    "softplus": softplus,
    "softsign": softsign,
    "softmax": softmax,
    "log_softmax": log_softmax,
    "exponential": exponential,
}

# What convolutions and dense layers apply while they write their output, in these functions' default forms.
_FUSED: dict[Any, str] = {relu: "relu", relu6: "relu6", leaky_relu: "leaky_relu", sigmoid: "sigmoid", tanh: "tanh"}


def get(identifier: str | Activation | None) -> Activation:
    """The activation function that an argument means.

    Args:
        identifier: a name, a function, or None for `linear`.

    Raises:
        ValueError: no activation has that name.
        TypeError: neither a name nor a function.

    Example:
        >>> get(None) is linear
        True
    """
    if identifier is None:
        return linear
    if isinstance(identifier, str):
        if identifier not in _BY_NAME:
            raise ValueError(f"activation {identifier!r} is not known; there are {', '.join(sorted(_BY_NAME))}")
        return _BY_NAME[identifier]
    if not callable(identifier):
        raise TypeError(f"activation expects a name or a function, got {identifier!r}")
    return identifier


def split_fused(activation: Activation) -> tuple[str | None, Activation | None]:
    """Divide an activation into the name an operation can apply itself and the function to apply after it.

    Example:
        >>> split_fused(relu)
        ('relu', None)
        >>> split_fused(softmax) == (None, softmax)
        True
    """
    if activation is linear:
        return None, None
    try:
        name = _FUSED.get(activation)
    except TypeError:  # callable objects need not be hashable
        name = None
    return (name, None) if name else (None, activation)
