"""A loss for embeddings: examples of one class close together, those of different classes apart."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from cnnfast import ops
from cnnfast.arguments import real
from cnnfast.losses.base import LossFunctionWrapper, counting
from cnnfast.losses.shapes import as_value


@counting(lambda y_true, y_pred, values, **_: np.asarray(values) > 0)
def circle(
    y_true: Any,
    y_pred: Any,
    ref_labels: Any = None,
    ref_embeddings: Any = None,
    remove_diagonal: bool = True,
    gamma: float = 80.0,
    margin: float = 0.4,
) -> Any:
    """The circle loss of every example: how far those of its class are, and how near the others.

    Y. Sun and others, "Circle Loss: A Unified Perspective of Pair Similarity Optimization", 2020. An example that has
    nobody else of its class, or nobody of another, has a loss of 0; a loss object's mean leaves these out.

    Args:
        y_true: class numbers, (N,) or (N, 1).
        y_pred: embeddings of length 1, (N, D).
        ref_labels: class numbers of what they are compared with, (M,) or (M, 1); `y_true` by default.
        ref_embeddings: what they are compared with, (M, D); `y_pred` by default.
        remove_diagonal: whether the nth example is not compared with the nth reference as one of its class.
        gamma: how sharply the hardest pairs are looked at.
        margin: how far apart pairs are to be.

    Raises:
        ValueError: the shapes do not fit.

    Example:
        >>> circle([0, 0, 1], [[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]]).round(4)
        array([0., 0., 0.], dtype=float32)
    """
    embeddings = as_value("circle", y_pred, "y_pred")
    references = embeddings if ref_embeddings is None else as_value("circle", ref_embeddings, "ref_embeddings")
    labels = _labels("y_true", y_true, embeddings.shape)
    others = labels if ref_labels is None else _labels("ref_labels", ref_labels, references.shape)
    if len(embeddings.shape) != 2 or references.shape[1:] != embeddings.shape[1:] or len(others) != len(references):
        raise ValueError(
            f"circle: y_pred, ref_embeddings and ref_labels expect shapes (N, D), (M, D) and (M,), got "
            f"{embeddings.shape}, {references.shape} and {others.shape}"
        )
    same = labels[:, None] == others
    different = ~same
    if remove_diagonal:
        same &= np.eye(*same.shape) == 0

    distances = ops.maximum(ops.subtract(1.0, ops.matmul(embeddings, ops.transpose(references))), 0.0)
    pull = ops.multiply(ops.add(distances, margin), ops.subtract(distances, margin))
    push = ops.multiply(ops.maximum(ops.subtract(1.0 + margin, distances), 0.0), ops.subtract(1.0 - margin, distances))
    return ops.softplus(
        ops.add(_log_sum_exp(ops.multiply(pull, gamma), same), _log_sum_exp(ops.multiply(push, gamma), different))
    )


def _labels(name: str, given: Any, embeddings: tuple[int, ...]) -> npt.NDArray[Any]:
    labels = np.asarray(given)
    if labels.ndim == 2 and labels.shape[1] == 1:
        labels = labels[:, 0]
    if labels.shape != embeddings[:1]:
        raise ValueError(f"circle: {name} expects class numbers of shape {embeddings[:1]}, got shape {labels.shape}")
    return labels


def _log_sum_exp(x: Any, chosen: npt.NDArray[np.bool_]) -> Any:
    """`log(sum(exp(x)))` of each row's chosen elements; -inf where there are none."""
    largest = np.max(np.asarray(x), axis=1, where=chosen, initial=-np.inf, keepdims=True)
    largest = np.where(np.isfinite(largest), largest, np.float32(0))
    shifted = ops.where(chosen, ops.subtract(x, largest), -np.inf)
    return ops.add(ops.log(ops.sum(ops.exp(shifted), axis=1)), largest[:, 0])


class Circle(LossFunctionWrapper):
    """The circle loss of embeddings of length 1 and their class numbers; the arguments are those of `circle`.

    Example:
        >>> loss = Circle()([0, 0, 1], [[1.0, 0.0], [0.0, 1.0], [1.0, 0.0]])
        >>> bool(loss > 10)
        True
    """

    def __init__(
        self,
        gamma: float = 80.0,
        margin: float = 0.4,
        remove_diagonal: bool = True,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "circle",
        dtype: Any = None,
    ) -> None:
        self.gamma, self.margin = real("Circle", "gamma", gamma), real("Circle", "margin", margin)
        self.remove_diagonal = bool(remove_diagonal)
        super().__init__(
            circle,
            reduction,
            name,
            dtype,
            gamma=self.gamma,
            margin=self.margin,
            remove_diagonal=self.remove_diagonal,
        )
