"""Batch normalisation, in training and in inference; a residual and an activation are fused in where asked."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from cnnfast import _core
from cnnfast.autograd import ArrayLike, FloatArray, Tensor, record, to_float32

_OP = "batch_normalization"
_ACTIVATIONS = (None, "linear", "relu", "relu6")


def fused_batch_norm(
    x: ArrayLike,
    gamma: ArrayLike | None,
    beta: ArrayLike | None,
    moving_mean: ArrayLike,
    moving_variance: ArrayLike,
    *,
    training: bool = False,
    epsilon: float = 1e-3,
    activation: str | None = None,
    residual: ArrayLike | None = None,
) -> Any:
    """Bring each channel to mean 0 and variance 1, then scale and shift it: Ioffe and Szegedy, 2015.

    y = gamma * (x - mean) / sqrt(variance + epsilon) + beta, where mean and variance are those of x over every axis but
    the last in training, and the moving ones in inference. Normalises over the last axis only: move the channels there
    first (`ops.moveaxis`) if they are elsewhere.

    Args:
        x: (..., C), any real dtype, computed in float32.
        gamma: (C,), or None for ones.
        beta: (C,), or None for zeros.
        moving_mean: (C,), what inference subtracts.
        moving_variance: (C,), what inference divides by the root of.
        training: whether to normalise with the statistics of x itself.
        epsilon: added to the variance; at least 0.
        activation: "relu" or "relu6", applied in the same pass; else None or "linear".
        residual: of x's shape, or None: added before the activation in the same pass, as blocks with a shortcut do.

    Returns:
        In inference y, float32 of x's shape. In training (y, mean, variance): the mean and the biased variance of x,
        (C,) arrays for the moving statistics, which carry no gradient; those given where x is empty.

    Raises:
        TypeError: an argument is not made of real numbers.
        ValueError: a parameter has other than C values, x has no channels, residual has another shape than x, epsilon
            is negative or activation unknown.

    Example:
        >>> y, mean, variance = fused_batch_norm([[1.0], [3.0]], None, None, [0.0], [1.0], training=True, epsilon=0)
        >>> y.ravel(), mean, variance
        (array([-1.,  1.], dtype=float32), array([2.], dtype=float32), array([1.], dtype=float32))
    """
    if activation not in _ACTIVATIONS:
        raise ValueError(f"{_OP}: activation expects None, 'linear', 'relu' or 'relu6', got {activation!r}")
    array = to_float32(x, _OP)
    scale = None if gamma is None else to_float32(gamma, _OP, "gamma")
    shift = None if beta is None else to_float32(beta, _OP, "beta")
    mean = to_float32(moving_mean, _OP, "moving_mean")
    variance = to_float32(moving_variance, _OP, "moving_variance")
    added = None if residual is None else to_float32(residual, _OP, "residual")
    kind = activation or "linear"
    _require_one_per_channel(array, moving_mean=mean, moving_variance=variance)
    if training:
        known = getattr(x, "_moments", None) if isinstance(x, Tensor) else None
        mean, variance = known or (_core.batch_moments(array) if array.size else (mean.copy(), variance.copy()))
    y = _core.batch_norm_forward(array, mean, variance, scale, shift, epsilon, kind, added)
    # What was added before a bend moved the value: only the result tells where the gradient stops.
    bent = y if added is not None and kind != "linear" else None

    def vjp(dy: FloatArray, needs: Sequence[bool]) -> Sequence[FloatArray | None]:
        dy = to_float32(dy, _OP, "dy")
        dx, dgamma, dbeta, d_residual = _core.batch_norm_backward(
            array, dy, mean, variance, scale, shift, epsilon, kind, training, needs[0], bent
        )
        dmean = dvariance = None
        if not training:
            weight = 1 / (variance + np.float32(epsilon))
            ones = np.ones_like(variance) if scale is None else scale
            dmean = -dbeta * ones * np.sqrt(weight)
            dvariance = -0.5 * dgamma * ones * weight
        gradients = [dx, dgamma, dbeta, dmean, dvariance]
        if added is not None:
            gradients.append(dy if d_residual is None else d_residual)
        return [g if need else None for g, need in zip(gradients, needs, strict=True)]

    inputs = (x, gamma, beta, moving_mean, moving_variance)
    result = record(_OP, y, inputs if residual is None else (*inputs, residual), vjp)
    return (result, mean, variance) if training else result


def _require_one_per_channel(x: FloatArray, **statistics: FloatArray) -> None:
    for name, values in statistics.items():
        if x.ndim and values.shape != x.shape[-1:]:
            raise ValueError(f"{_OP}: {name} expects shape {x.shape[-1:]}, got {values.shape}")
