"""Normalisation of every example by itself: over its last axes, over groups of channels, or by its mean square.

Rows are normalised block by block, so that what one step writes the next still finds in the cache. Groups are made of
the channels' moments, image by image: their sums and what is applied to each channel are the engine's.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from cnnfast import _core
from cnnfast.autograd import ArrayLike, FloatArray, record, to_float32
from cnnfast.ops.math import quiet
from cnnfast.ops.reductions import Axes, normalize_axes

__all__ = ["group_normalization", "layer_normalization", "rms_normalization"]

_BLOCK = 1 << 15  # elements, which with their intermediate results stay in a processor's own cache


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
    order = [*(i for i in range(array.ndim) if i not in axes), *axes]
    back = np.argsort(order)
    turned = array.transpose(order)
    size = math.prod(array.shape[i] for i in axes)
    rows = to_float32(turned).reshape(math.prod(turned.shape[: array.ndim - len(axes)]), size)
    scale, shift = _parameter(op, "gamma", gamma, size), _parameter(op, "beta", beta, size)
    y, mean, inverse = _normalized_rows(rows, scale, shift, epsilon, centred)

    def vjp(dy: FloatArray, needs: Sequence[bool]) -> Sequence[FloatArray | None]:
        arrived = to_float32(dy.transpose(order)).reshape(rows.shape)
        dx, dscale, dshift = _rows_gradient(rows, arrived, scale, mean, inverse, centred, needs)
        return (
            dx.reshape(turned.shape).transpose(back),
            None if gamma is None else dscale.reshape(np.shape(gamma)),
            None if beta is None else dshift.reshape(np.shape(beta)),
        )

    return record(op, y.reshape(turned.shape).transpose(back), (x, gamma, beta), vjp)


def _parameter(op: str, name: str, values: ArrayLike | None, size: int) -> FloatArray | None:
    if values is None:
        return None
    array = to_float32(values, op, name)
    if array.size != size:
        raise ValueError(f"{op}: {name} expects {size} values, got shape {array.shape}")
    return array.reshape(size)


def _blocks(rows: FloatArray) -> Iterator[slice]:
    step = max(1, _BLOCK // max(1, rows.shape[1]))
    return (slice(i, i + step) for i in range(0, rows.shape[0], step))


def _normalized_rows(
    rows: FloatArray, gamma: FloatArray | None, beta: FloatArray | None, epsilon: float, centred: bool
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """The result, and each row's mean (zero where it is not taken off) and scale."""
    y = np.empty_like(rows)
    mean, inverse = np.zeros((rows.shape[0], 1), np.float32), np.empty((rows.shape[0], 1), np.float32)
    # Sums of rows as products with a vector of ones, which take a fraction of the time of a reduction.
    share = np.full((rows.shape[1], 1), 1 / max(rows.shape[1], 1), np.float32)
    with quiet():
        for block in _blocks(rows):
            part = rows[block]
            if centred:
                mean[block] = part @ share
                part = part - mean[block]
            inverse[block] = 1 / np.sqrt(np.square(part) @ share + np.float32(epsilon))
            out = np.multiply(part, inverse[block], out=y[block])
            if gamma is not None:
                out *= gamma
            if beta is not None:
                out += beta
    return y, mean, inverse


def _rows_gradient(
    rows: FloatArray,
    dy: FloatArray,
    gamma: FloatArray | None,
    mean: FloatArray,
    inverse: FloatArray,
    centred: bool,
    needs: Sequence[bool],
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """The gradients to the rows and to both parameters."""
    dx = np.empty_like(rows)
    dgamma, dbeta = np.zeros(rows.shape[1]), np.zeros(rows.shape[1])
    share = np.full((rows.shape[1], 1), 1 / max(rows.shape[1], 1), np.float32)
    with quiet():
        for block in _blocks(rows):
            arrived = dy[block]
            normal = (rows[block] - mean[block] if centred else rows[block]) * inverse[block]
            product = arrived * normal
            ones = np.ones(len(arrived), np.float32)
            if needs[1]:
                dgamma += ones @ product
            if needs[2]:
                dbeta += ones @ arrived
            scaled, weights = arrived, share
            if gamma is not None:
                scaled, weights = arrived * gamma, share * gamma[:, np.newaxis]
            normal *= product @ weights
            out = np.subtract(scaled, normal, out=dx[block])
            if centred:
                out -= arrived @ weights
            out *= inverse[block]
    return dx, dgamma.astype(np.float32), dbeta.astype(np.float32)


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
    if array.size == 0:
        return record(op, np.zeros(array.shape, np.float32), (x, gamma, beta), _no_gradients(array, gamma, beta))
    statistics = [_group_moments(image, groups) for image in images]
    y = [
        _core.batch_norm_forward(image, mean, variance, scale, shift, epsilon, "linear")
        for image, (mean, variance) in zip(images, statistics, strict=True)
    ]

    def vjp(dy: FloatArray, needs: Sequence[bool]) -> Sequence[FloatArray | None]:
        arrived = to_float32(dy).reshape(images.shape)
        parts = [
            _group_gradient(image, part, mean, variance, scale, epsilon, groups)
            for image, part, (mean, variance) in zip(images, arrived, statistics, strict=True)
        ]
        dscale, dshift = (_sum_of([part[k] for part in parts]) for k in (1, 2))
        return (
            _core.concatenate([part[0] for part in parts], 0).reshape(array.shape) if needs[0] else None,
            None if gamma is None else dscale.reshape(np.shape(gamma)),
            None if beta is None else dshift.reshape(np.shape(beta)),
        )

    return record(op, _core.concatenate(y, 0).reshape(array.shape), (x, gamma, beta), vjp)


def _sum_of(parts: list[FloatArray]) -> FloatArray:
    return np.asarray(np.sum(parts, axis=0, dtype=np.float64), np.float32)


def _no_gradients(*inputs: ArrayLike | None) -> Any:
    shapes = [None if x is None else np.shape(x) for x in inputs]
    return lambda dy, needs: [None if shape is None else np.zeros(shape, np.float32) for shape in shapes]


def _group_moments(image: FloatArray, groups: int) -> tuple[FloatArray, FloatArray]:
    """Each channel's group's mean and variance, from the channels' own."""
    means, variances = (np.asarray(m, np.float64).reshape(groups, -1) for m in _core.batch_moments(image))
    with quiet():
        mean = means.mean(axis=1, keepdims=True)
        variance = (variances + np.square(means - mean)).mean(axis=1, keepdims=True)
        return _per_channel(mean, means.shape), _per_channel(variance, means.shape)


def _per_channel(values: Any, shape: tuple[int, ...]) -> FloatArray:
    return np.ascontiguousarray(np.broadcast_to(values, shape), np.float32).ravel()


def _group_gradient(
    image: FloatArray,
    dy: FloatArray,
    mean: FloatArray,
    variance: FloatArray,
    gamma: FloatArray | None,
    epsilon: float,
    groups: int,
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """The gradients to an image, to gamma and to beta."""
    zeros, ones = np.zeros_like(mean), np.ones_like(mean)
    _, dgamma, dbeta, _ = _core.batch_norm_backward(
        image, dy, mean, variance, gamma, None, epsilon, "linear", False, False
    )
    with quiet():
        inverse = 1 / np.sqrt(variance.astype(np.float64) + epsilon)
        scale = np.ones_like(inverse) if gamma is None else gamma.astype(np.float64)
        shape = groups, image.shape[1] // groups
        # What a group's mean and variance took from all of its elements goes back to each.
        count = image.shape[0] * shape[1]
        by_value = _group_sums(scale * dgamma, shape) * inverse * inverse / count
        by_mean = _group_sums(scale * dbeta, shape) * inverse / count
    back = _core.batch_norm_forward(
        image, mean, ones, _per_channel(-by_value, mean.shape), _per_channel(-by_mean, mean.shape), 0.0, "linear"
    )
    factor = _per_channel(scale * inverse, mean.shape)
    dx = _core.batch_norm_forward(dy, zeros, ones, factor, zeros, 0.0, "linear", back)
    return dx, dgamma, dbeta


def _group_sums(values: Any, shape: tuple[int, int]) -> Any:
    return np.repeat(values.reshape(shape).sum(axis=1), shape[1])
