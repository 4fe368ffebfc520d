"""Cross-entropies element by element and along an axis, without a mean over them: what losses are made of."""

from __future__ import annotations

from typing import Any

import numpy as np

from cnnfast.autograd import ArrayLike, Tensor, is_recorded, to_float32
from cnnfast.ops.activations import softplus
from cnnfast.ops.indexing import as_integers
from cnnfast.ops.math import add, clip, divide, multiply, subtract
from cnnfast.ops.reductions import normalize_axes, sum
from cnnfast.ops.shaping import moveaxis
from cnnfast.ops.softmax import log_softmax, logits_of, softmax_cross_entropy
from cnnfast.ops.unary import log, negative

_EPSILON = 1e-7


def binary_crossentropy(target: ArrayLike, output: ArrayLike, from_logits: bool = False) -> Any:
    """`-(target * log(p) + (1 - target) * log(1 - p))`, element by element.

    Args:
        target: 0 or 1, or probabilities.
        output: of the same shape: probabilities p (kept 1e-7 off 0 and 1), or logits, of which p is the sigmoid.
        from_logits: whether `output` holds logits.

    Raises:
        TypeError: an argument is not made of real numbers.
        ValueError: the shapes differ.

    Example:
        >>> binary_crossentropy([1.0, 0.0], [0.5, 0.25]).round(4)
        array([0.6931, 0.2877], dtype=float32)
    """
    _require_same_shape("binary_crossentropy", target, output)
    if from_logits:
        return add(multiply(target, softplus(negative(output))), multiply(subtract(1.0, target), softplus(output)))
    p = clip(output, _EPSILON, 1 - _EPSILON)
    likelihood = add(multiply(target, log(p)), multiply(subtract(1.0, target), log(subtract(1.0, p))))
    return negative(likelihood)


def categorical_crossentropy(target: ArrayLike, output: ArrayLike, from_logits: bool = False, axis: int = -1) -> Any:
    """`-sum(target * log(p))` along an axis.

    Args:
        target: one-hot rows, or other probabilities.
        output: of the same shape: probabilities p, which are divided by their sum and kept 1e-7 off 0 and 1, or logits,
            of which p is the softmax. Probabilities that come straight from `softmax` are computed with as logits.
        from_logits: whether `output` holds logits.
        axis: the classes' axis.

    Returns:
        float32, without that axis.

    Raises:
        TypeError: an argument is not made of real numbers.
        ValueError: the shapes differ or the axis is out of range.

    Example:
        >>> categorical_crossentropy([[0.0, 1.0]], [[0.5, 0.5]])
        array([0.6931472], dtype=float32)
    """
    op = "categorical_crossentropy"
    shape = _require_same_shape(op, target, output)
    (a,) = normalize_axes(op, axis, shape)
    logits = output if from_logits else _known_logits(output)
    if logits is not None and a == len(shape) - 1 and not is_recorded(target):
        return softmax_cross_entropy(target, logits)
    log_p = log(_normalized(output, a)) if logits is None else log_softmax(logits, axis=a)
    return negative(sum(multiply(target, log_p), axis=a))


def sparse_categorical_crossentropy(target: Any, output: ArrayLike, from_logits: bool = False, axis: int = -1) -> Any:
    """`-log(p[target])` along an axis.

    Args:
        target: class numbers, of the shape of `output` without the axis, or with length 1 there.
        output: probabilities or logits, as in `categorical_crossentropy`.
        from_logits: whether `output` holds logits.
        axis: the classes' axis.

    Returns:
        float32, of the shape of `output` without the axis.

    Raises:
        TypeError: `target` is not made of integers, or `output` not of real numbers.
        ValueError: the shapes do not fit, a target is no class number or the axis is out of range.

    Example:
        >>> sparse_categorical_crossentropy([1], [[0.5, 0.5]])
        array([0.6931472], dtype=float32)
    """
    op = "sparse_categorical_crossentropy"
    shape = to_float32(output, op, "output").shape
    (a,) = normalize_axes(op, axis, shape)
    labels = np.asarray(target)
    if labels.dtype.kind == "f" and np.array_equal(labels, np.trunc(labels)):
        labels = labels.astype(np.int64)
    labels = as_integers(op, "target", labels)
    if labels.ndim == len(shape) and labels.shape[a] == 1:
        labels = np.squeeze(labels, a)
    if labels.shape != (*shape[:a], *shape[a + 1 :]):
        raise ValueError(f"{op}: target expects the shape of output without axis {axis}, {shape}, got {labels.shape}")
    logits = output if from_logits else _known_logits(output)
    if logits is None:
        # The softmax of log(p) is p again where the sum is 1: the fused operation serves here too.
        logits = log(_normalized(output, a))
    return softmax_cross_entropy(labels, logits if a == len(shape) - 1 else moveaxis(logits, a, -1))


def _known_logits(output: Any) -> Any:
    """The logits, where `output` is a softmax of them that was just computed."""
    return logits_of(output) if isinstance(output, Tensor) else None


def _normalized(output: ArrayLike, axis: int) -> Any:
    return clip(divide(output, sum(output, axis=axis, keepdims=True)), _EPSILON, 1 - _EPSILON)


def _require_same_shape(op: str, target: Any, output: Any) -> tuple[int, ...]:
    found, expected = to_float32(target, op, "target").shape, to_float32(output, op, "output").shape
    if found != expected:
        raise ValueError(f"{op}: target expects the shape of output, {expected}, got {found}")
    return expected
