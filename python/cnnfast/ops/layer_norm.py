"""Normalisation of every example by itself: over its last axes, over groups of channels, or by its mean square."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from cnnfast import _core
from cnnfast.autograd import ArrayLike, FloatArray, record, to_float32
from cnnfast.ops.reductions import Axes, normalize_axes

__all__ = ["group_normalization", "layer_normalization", "rms_normalization"]


def layer_normalization(
    x: ArrayLike,
    gamma: ArrayLike | None = None,
    beta: ArrayLike | None = None,
    axis: Axes = -1,
    epsilon: float = 1e-3,
) -> Any:
    """Bring each example to mean 0 and variance 1 over some axes, then scale and shift it.

    From J. L. Ba, J. R. Kiros and G. E. Hinton, "Layer Normalization" (2016).

    Args:
        x: real numbers of any shape.
        gamma: as many values as the axes have together, in their order, or None for ones.
        beta: as `gamma`, or None for zeros.
        axis: the axis or axes over which mean and variance are taken.
        epsilon: added to the variance.

    Returns:
        float32 of the shape of `x`.

    Raises:
        TypeError: an argument is not made of real numbers, or `axis` not of integers.
        ValueError: an axis is out of range or named twice, or a parameter has another number of values.

    Example:
        >>> layer_normalization([[1.0, 3.0], [10.0, 30.0]], epsilon=0.0)
        array([[-1.,  1.],
               [-1.,  1.]], dtype=float32)
    """
    return _over_axes("layer_normalization", x, gamma, beta, axis, epsilon, centred=True)


def rms_normalization(x: ArrayLike, scale: ArrayLike | None = None, axis: Axes = -1, epsilon: float = 1e-6) -> Any:
    """Divide each example by the root of its mean square over some axes, then scale it.

    From B. Zhang and R. Sennrich, "Root Mean Square Layer Normalization" (2019).

    Args:
        x: real numbers of any shape.
        scale: as many values as the axes have together, in their order, or None for ones.
        axis: the axis or axes over which the mean is taken.
        epsilon: added to the mean square.

    Returns:
        float32 of the shape of `x`.

    Raises:
        TypeError: an argument is not made of real numbers, or `axis` not of integers.
        ValueError: an axis is out of range or named twice, or `scale` has another number of values.

    Example:
        >>> rms_normalization([[1.0, 7.0]], epsilon=0.0)
        array([[0.2, 1.4]], dtype=float32)
    """
    return _over_axes("rms_normalization", x, scale, None, axis, epsilon, centred=False)


def _over_axes(
    op: str,
    x: ArrayLike,
    gamma: ArrayLike | None,
    beta: ArrayLike | None,
    axis: Axes,
    epsilon: float,
    centred: bool,
) -> Any:
    array = to_float32(x, op)
    axes = tuple(sorted(normalize_axes(op, axis, array.shape)))
    kept = [i for i in range(array.ndim) if i not in axes]
    # The engine normalises rows: other axes than the last ones are moved there first, which costs a copy each way.
    order = None if kept == list(range(len(kept))) else [*kept, *axes]
    turned = array if order is None else to_float32(array.transpose(order))
    rows = turned.reshape(math.prod(turned.shape[: len(kept)]), math.prod(turned.shape[len(kept) :]))
    scale, shift = (_parameter(op, n, v, rows.shape[1]) for n, v in (("gamma", gamma), ("beta", beta)))
    y, statistics = _core.row_norm_forward(rows, scale, shift, epsilon, centred)

    def back(found: FloatArray) -> FloatArray:
        found = found.reshape(turned.shape)
        return found if order is None else found.transpose(np.argsort(order))

    def vjp(dy: FloatArray, needs: Sequence[bool]) -> Sequence[FloatArray | None]:
        arrived = to_float32(dy if order is None else dy.transpose(order)).reshape(rows.shape)
        dx, dscale, dshift = _core.row_norm_backward(rows, arrived, statistics, scale, centred)
        return (
            back(dx),
            None if gamma is None else dscale.reshape(np.shape(gamma)),
            None if beta is None else dshift.reshape(np.shape(beta)),
        )

    return record(op, back(y), (x, gamma, beta), vjp)


def _parameter(op: str, name: str, values: ArrayLike | None, size: int) -> FloatArray | None:
    if values is None:
        return None
    array = to_float32(values, op, name)
    if array.size != size:
        raise ValueError(f"{op}: {name} expects {size} values, got shape {array.shape}")
    return array.reshape(size)


def group_normalization(
    x: ArrayLike,
    gamma: ArrayLike | None,
    beta: ArrayLike | None,
    groups: int,
    epsilon: float = 1e-3,
) -> Any:
    """Bring each image's groups of channels to mean 0 and variance 1, then scale and shift each channel.

    From Y. Wu and K. He, "Group Normalization" (2018). One group is layer normalisation of whole images, a group for
    every channel is instance normalisation.

    Args:
        x: (N, ..., C).
        gamma: (C,), or None for ones.
        beta: (C,), or None for zeros.
        groups: the number of groups, which divides C.
        epsilon: added to the variance.

    Returns:
        float32 of the shape of `x`.

    Raises:
        TypeError: an argument is not made of real numbers.
        ValueError: `x` has fewer than two axes, `groups` does not divide C, or a parameter has other than C values.

    Example:
        >>> group_normalization([[1.0, 3.0, 10.0, 30.0]], None, None, groups=2, epsilon=0.0)
        array([[-1.,  1., -1.,  1.]], dtype=float32)
    """
    op = "group_normalization"
    array = to_float32(x, op)
    if array.ndim < 2 or groups < 1 or array.shape[-1] % groups:
        raise ValueError(f"{op}: x expects (N, ..., C) with C a multiple of groups={groups}, got shape {array.shape}")
    channels = array.shape[-1]
    scale, shift = _parameter(op, "gamma", gamma, channels), _parameter(op, "beta", beta, channels)
    images = array.reshape(array.shape[0], math.prod(array.shape[1:-1]), channels)
    y, statistics = _core.group_norm_forward(images, scale, shift, epsilon, groups)

    def vjp(dy: FloatArray, needs: Sequence[bool]) -> Sequence[FloatArray | None]:
        arrived = to_float32(dy).reshape(images.shape)
        dx, dscale, dshift = _core.group_norm_backward(images, arrived, statistics, scale, groups)
        return (
            dx.reshape(array.shape),
            None if gamma is None else dscale.reshape(np.shape(gamma)),
            None if beta is None else dshift.reshape(np.shape(beta)),
        )

    return record(op, y.reshape(array.shape), (x, gamma, beta), vjp)
