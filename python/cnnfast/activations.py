"""Activation functions by name, as layers take them.

>>> get("relu") is relu
True

ReLU is the one to try first, then its leaky form or `cnnfast.ops.maxout`, sometimes tanh. Sigmoid between layers is a
poor choice: it saturates at both ends, where its gradient vanishes, and its outputs are never centred on zero. Its
place is the output of a yes-or-no classifier.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from cnnfast import configured, ops
from cnnfast.autograd import to_float32
from cnnfast.ops import (
    celu,
    elu,
    glu,
    hard_shrink,
    hard_sigmoid,
    hard_silu,
    hard_tanh,
    leaky_relu,
    log_sigmoid,
    log_softmax,
    mish,
    relu6,
    selu,
    sigmoid,
    silu,
    soft_shrink,
    softmax,
    softplus,
    softsign,
    sparse_plus,
    sparse_sigmoid,
    sparsemax,
    squareplus,
    tanh,
    tanh_shrink,
    threshold,
)
from cnnfast.registration import get_registered_object

Activation = Callable[[Any], Any]

__all__ = [
    "celu", "deserialize", "elu", "exponential", "gelu", "get", "glu", "hard_shrink", "hard_sigmoid", "hard_silu",
    "hard_swish", "hard_tanh", "leaky_relu", "linear", "log_sigmoid", "log_softmax", "mish", "relu", "relu6", "selu",
    "serialize", "sigmoid", "silu", "soft_shrink", "softmax", "softplus", "softsign", "sparse_plus", "sparse_sigmoid",
    "sparsemax", "squareplus", "swish", "tanh", "tanh_shrink", "threshold",
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


hard_swish, swish = hard_silu, silu

_BY_NAME: dict[str, Activation] = {
    name: globals()[name] for name in __all__ if name not in ("get", "serialize", "deserialize")
}

# What gives another shape than it is given.
_RESHAPING = (glu,)

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
        found: Activation | None = _BY_NAME.get(identifier) or get_registered_object(identifier)
        if found is None:
            raise ValueError(f"activation {identifier!r} is not known; there are {', '.join(sorted(_BY_NAME))}")
        return found
    if not callable(identifier):
        raise TypeError(f"activation expects a name or a function, got {identifier!r}")
    return identifier


def serialize(activation: Activation) -> Any:
    """The name of an activation, or the configuration of an object that has one.

    Raises:
        TypeError: a function that is not known by a name.

    Example:
        >>> serialize(relu)
        'relu'
    """
    return configured.serialize(activation, "an activation")


def deserialize(config: Any, custom_objects: Mapping[str, Any] | None = None) -> Activation:
    """The activation function of a name that `serialize` returned.

    Args:
        config: the name.
        custom_objects: functions by name, for those that are not known here.

    Raises:
        ValueError: no activation has that name.
        TypeError: neither a name nor a function.

    Example:
        >>> deserialize("mish") is mish
        True
    """
    if isinstance(config, str) and config in (custom_objects or {}):
        return get((custom_objects or {})[config])
    return get(config)


def keeps_shape(activation: Activation) -> bool:
    """Whether an activation is known to return what has the shape of its input.

    Example:
        >>> keeps_shape(relu), keeps_shape(glu)
        (True, False)
    """
    return activation not in _RESHAPING and activation in _BY_NAME.values()


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
