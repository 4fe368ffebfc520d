"""Elementwise activations.

All keep the shape of `x`, compute in float32 and hand NaN on. At -inf and +inf they give their limits, so an input
masked with -inf gives 0 rather than NaN from `gelu` and `silu`.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from typing import Any

from cnnfast import _core
from cnnfast.autograd import ArrayLike, FloatArray, record, to_float32
from cnnfast.ops.softmax import log_softmax, softmax

__all__ = [
    "activation",
    "elu",
    "gelu",
    "leaky_relu",
    "linear",
    "relu",
    "relu6",
    "selu",
    "sigmoid",
    "silu",
    "softplus",
    "tanh",
]


def _apply(op: str, kind: str, x: ArrayLike, alpha: float = 0.0) -> Any:
    array = to_float32(x, op)
    y = _core.activation_forward(kind, array, alpha)
    saved = y if _core.activation_uses_output(kind) else array

    def vjp(dy: FloatArray, needs: Sequence[bool]) -> Sequence[FloatArray | None]:
        return (_core.activation_backward(kind, saved, to_float32(dy), alpha),)

    return record(op, y, (x,), vjp)


def _checked_scale(op: str, name: str, value: float) -> float:
    # A negative one would make the output's sign, which the gradient goes by, ambiguous.
    if not 0 <= value < math.inf:
        raise ValueError(f"{op}: {name} expects a finite number >= 0, got {value}")
    return float(value)


def linear(x: ArrayLike) -> Any:
    """The identity: what a layer without an activation applies.

    Example:
        >>> linear([-1, 2])
        array([-1.,  2.], dtype=float32)
    """
    return _apply("linear", "linear", x)


def relu(x: ArrayLike) -> Any:
    """The rectified linear unit, `max(x, 0)`; its gradient at 0 is 0.

    Args:
        x: an array of any shape.

    Example:
        >>> relu([-1, 0, 2])
        array([0., 0., 2.], dtype=float32)
    """
    return _apply("relu", "relu", x)


def relu6(x: ArrayLike) -> Any:
    """The rectified linear unit that saturates at 6, `min(max(x, 0), 6)`; its gradient at 0 and at 6 is 0.

    From A. Howard et al., "MobileNets: Efficient Convolutional Neural Networks for Mobile Vision Applications" (2017).

    Args:
        x: an array of any shape.

    Example:
        >>> relu6([-1, 2, 9])
        array([0., 2., 6.], dtype=float32)
    """
    return _apply("relu6", "relu6", x)


def leaky_relu(x: ArrayLike, negative_slope: float = 0.2) -> Any:
    """`x` where it is positive, `negative_slope * x` elsewhere; its gradient at 0 is `negative_slope`.

    Args:
        x: an array of any shape.
        negative_slope: the slope left of zero; 0 makes this `relu`.

    Raises:
        ValueError: `negative_slope` is negative or not finite.

    Example:
        >>> leaky_relu([-1, 0, 2], negative_slope=0.5)
        array([-0.5,  0. ,  2. ], dtype=float32)
    """
    return _apply("leaky_relu", "leaky_relu", x, _checked_scale("leaky_relu", "negative_slope", negative_slope))


def elu(x: ArrayLike, alpha: float = 1.0) -> Any:
    """The exponential linear unit: `x` where it is positive, `alpha * (exp(x) - 1)` elsewhere.

    From D.-A. Clevert et al., "Fast and Accurate Deep Network Learning by Exponential Linear Units" (2016).

    Args:
        x: an array of any shape.
        alpha: the negative of the limit at -inf.

    Raises:
        ValueError: `alpha` is negative or not finite.

    Example:
        >>> elu([-1, 0, 2]).round(3)
        array([-0.632,  0.   ,  2.   ], dtype=float32)
    """
    return _apply("elu", "elu", x, _checked_scale("elu", "alpha", alpha))


def selu(x: ArrayLike) -> Any:
    """The scaled exponential linear unit, which keeps mean 0 and variance 1 through deep dense networks.

    `1.0507 * elu(x, alpha=1.67326)`, from G. Klambauer et al., "Self-Normalizing Neural Networks" (2017).

    Example:
        >>> selu([-1, 0, 2]).round(3)
        array([-1.111,  0.   ,  2.101], dtype=float32)
    """
    return _apply("selu", "selu", x)


def sigmoid(x: ArrayLike) -> Any:
    """`1 / (1 + exp(-x))`, between 0 and 1.

    As a hidden layer's activation it is a poor choice: its gradient is at most 1/4 and vanishes away from 0. Use it for
    outputs that are probabilities.

    Example:
        >>> sigmoid([-2, 0, 2]).round(3)
        array([0.119, 0.5  , 0.881], dtype=float32)
    """
    return _apply("sigmoid", "sigmoid", x)


def tanh(x: ArrayLike) -> Any:
    """The hyperbolic tangent, between -1 and 1.

    Example:
        >>> tanh([-100, 0, 100])
        array([-1.,  0.,  1.], dtype=float32)
    """
    return _apply("tanh", "tanh", x)


def softplus(x: ArrayLike) -> Any:
    """`log(1 + exp(x))`, a smooth `relu`, without overflow.

    Example:
        >>> softplus([-1, 0, 100]).round(3)
        array([  0.313,   0.693, 100.   ], dtype=float32)
    """
    return _apply("softplus", "softplus", x)


def gelu(x: ArrayLike, approximate: bool = True) -> Any:
    """The Gaussian error linear unit, `x * P(X <= x)` for a standard normal X.

    From D. Hendrycks and K. Gimpel, "Gaussian Error Linear Units" (2016).

    Args:
        x: an array of any shape.
        approximate: whether to use the paper's tanh form, within 5e-4 of it. As in Keras, this is the default here, but
            not in `cnnfast.activations` and by name.

    Example:
        >>> gelu([-1, 0, 2]).round(4)
        array([-0.1588,  0.    ,  1.9546], dtype=float32)
        >>> gelu([-1, 0, 2], approximate=False).round(4)
        array([-0.1587,  0.    ,  1.9545], dtype=float32)
    """
    return _apply("gelu", "gelu_tanh" if approximate else "gelu", x)


def silu(x: ArrayLike) -> Any:
    """`x * sigmoid(x)`, also known as swish.

    Example:
        >>> silu([-1, 0, 2]).round(3)
        array([-0.269,  0.   ,  1.762], dtype=float32)
    """
    return _apply("silu", "silu", x)


_ACTIVATIONS: dict[str, Callable[..., Any]] = {
    "linear": linear,
    "relu": relu,
    "relu6": relu6,
    "leaky_relu": leaky_relu,
    "sigmoid": sigmoid,
    "tanh": tanh,
    "elu": elu,
    "selu": selu,
    "softplus": softplus,
    "gelu": functools.partial(gelu, approximate=False),
    "silu": silu,
    "swish": silu,
    "softmax": softmax,
    "log_softmax": log_softmax,
}


def activation(x: ArrayLike, name: str | None, **params: Any) -> Any:
    """Apply the activation called `name`.

    Args:
        x: an array.
        name: "linear", "relu", "relu6", "leaky_relu", "sigmoid", "tanh", "elu", "selu", "softplus", "gelu", "silu"
            (or "swish"), "softmax" or "log_softmax"; None is "linear".
        **params: the named function's own arguments, such as `negative_slope`.

    Raises:
        ValueError: there is no such activation.

    Example:
        >>> activation([-1, 2], "leaky_relu", negative_slope=0.5)
        array([-0.5,  2. ], dtype=float32)
    """
    function = _ACTIVATIONS.get("linear" if name is None else name)
    if function is None:
        raise ValueError(f"activation: unknown activation {name!r}; known: {', '.join(_ACTIVATIONS)}")
    return function(x, **params)
