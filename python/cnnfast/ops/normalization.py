"""Batch normalisation, in training and in inference, with a ReLU fused in where asked."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from cnnfast import _core
from cnnfast.autograd import ArrayLike, FloatArray, record, to_float32

_OP = "batch_normalization"


def batch_normalization(
    x: ArrayLike,
    gamma: ArrayLike | None,
    beta: ArrayLike | None,
    moving_mean: ArrayLike,
    moving_variance: ArrayLike,
    *,
    training: bool = False,
    epsilon: float = 1e-3,
    activation: str | None = None,
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
        activation: "relu" for max(y, 0) in the same pass, else None or "linear".

    Returns:
        In inference y, float32 of x's shape. In training (y, mean, variance): the mean and the biased variance of x,
        (C,) arrays for the moving statistics, which carry no gradient; those given where x is empty.

    Raises:
        TypeError: an argument is not made of real numbers.
        ValueError: a parameter has other than C values, x has no channels, epsilon is negative or activation unknown.

    Example:
        >>> y, mean, variance = batch_normalization([[1.0], [3.0]], None, None, [0.0], [1.0], training=True, epsilon=0)
        >>> y.ravel(), mean, variance
        (array([-1.,  1.], dtype=float32), array([2.], dtype=float32), array([1.], dtype=float32))
    """
    if activation not in (None, "linear", "relu"):
        raise ValueError(f"{_OP}: activation expects None, 'linear' or 'relu', got {activation!r}")
    array = to_float32(x, _OP)
    scale = None if gamma is None else to_float32(gamma, _OP, "gamma")
    shift = None if beta is None else to_float32(beta, _OP, "beta")
    mean = to_float32(moving_mean, _OP, "moving_mean")
    variance = to_float32(moving_variance, _OP, "moving_variance")
    relu = activation == "relu"
    _require_one_per_channel(array, moving_mean=mean, moving_variance=variance)
    if training:
        mean, variance = _core.batch_moments(array) if array.size else (mean.copy(), variance.copy())
    y = _core.batch_norm_forward(array, mean, variance, scale, shift, epsilon, relu)

    def vjp(dy: FloatArray, needs: Sequence[bool]) -> Sequence[FloatArray | None]:
        dy = to_float32(dy, _OP, "dy")
        dx, dgamma, dbeta = _core.batch_norm_backward(
            array, dy, mean, variance, scale, shift, epsilon, relu, training, needs[0]
        )
        dmean = dvariance = None
        if not training:
            weight = 1 / (variance + np.float32(epsilon))
            ones = np.ones_like(variance) if scale is None else scale
            dmean = -dbeta * ones * np.sqrt(weight)
            dvariance = -0.5 * dgamma * ones * weight
        gradients = (dx, dgamma, dbeta, dmean, dvariance)
        return [g if need else None for g, need in zip(gradients, needs, strict=True)]

    result = record(_OP, y, (x, gamma, beta, moving_mean, moving_variance), vjp)
    return (result, mean, variance) if training else result


def _require_one_per_channel(x: FloatArray, **statistics: FloatArray) -> None:
    for name, values in statistics.items():
        if x.ndim and values.shape != x.shape[-1:]:
            raise ValueError(f"{_OP}: {name} expects shape {x.shape[-1:]}, got {values.shape}")
