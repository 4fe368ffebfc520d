"""Losses between distributions: Kullback-Leibler divergence and the Poisson likelihood."""

from __future__ import annotations

from typing import Any

from cnnfast import ops
from cnnfast.losses.base import EPSILON, LossFunctionWrapper
from cnnfast.losses.shapes import matched


def kl_divergence(y_true: Any, y_pred: Any) -> Any:
    """`sum(y log(y / p))` over the last axis, with y and p held between 1e-7 and 1.

    S. Kullback and R. A. Leibler, "On Information and Sufficiency", 1951.

    Raises:
        ValueError: the shapes do not broadcast (a last axis of size 1 may be missing).

    Example:
        >>> kl_divergence([[0.0, 1.0]], [[0.5, 0.5]]).round(4)
        array([0.6931], dtype=float32)
    """
    labels, y_pred = matched("kl_divergence", y_true, y_pred)
    labels, p = ops.clip(labels, EPSILON, 1.0), ops.clip(y_pred, EPSILON, 1.0)
    return ops.sum(ops.multiply(ops.log(ops.divide(labels, p)), labels), axis=-1)


def poisson(y_true: Any, y_pred: Any) -> Any:
    """The mean over the last axis of `y_pred - y_true log(y_pred)`, for counts and the rates that are predicted.

    Raises:
        ValueError: the shapes do not broadcast (a last axis of size 1 may be missing).

    Example:
        >>> poisson([[1.0, 1.0]], [[1.0, 3.0]]).round(4)
        array([1.4507], dtype=float32)
    """
    labels, y_pred = matched("poisson", y_true, y_pred)
    return ops.mean(ops.subtract(y_pred, ops.multiply(ops.log(ops.add(y_pred, EPSILON)), labels)), axis=-1)


class KLDivergence(LossFunctionWrapper):
    """The sum of `y_true log(y_true / y_pred)`.

    Example:
        >>> round(float(KLDivergence()([[0.5, 0.5]], [[0.5, 0.5]])), 4)
        0.0
    """

    def __init__(
        self, reduction: str | None = "sum_over_batch_size", name: str | None = "kl_divergence", dtype: Any = None
    ) -> None:
        super().__init__(kl_divergence, reduction, name, dtype)


class Poisson(LossFunctionWrapper):
    """The mean of `y_pred - y_true log(y_pred)`.

    Example:
        >>> round(float(Poisson()([[1.0]], [[1.0]])), 4)
        1.0
    """

    def __init__(
        self, reduction: str | None = "sum_over_batch_size", name: str | None = "poisson", dtype: Any = None
    ) -> None:
        super().__init__(poisson, reduction, name, dtype)
