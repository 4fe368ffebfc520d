"""Cross-entropies and divergences as metrics."""

from __future__ import annotations

from typing import Any

from cnnfast import losses
from cnnfast.arguments import integer, real
from cnnfast.metrics.reduction import MeanMetricWrapper


class KLDivergence(MeanMetricWrapper):
    """The mean of the Kullback-Leibler divergence; see `losses.kl_divergence`.

    Example:
        >>> KLDivergence()([[0.5, 0.5]], [[0.5, 0.5]])
        0.0
    """

    def __init__(self, name: str | None = "kl_divergence", dtype: Any = None) -> None:
        super().__init__(losses.kl_divergence, name, dtype)


class Poisson(MeanMetricWrapper):
    """The mean of `y_pred - y_true log(y_pred)`.

    Example:
        >>> round(Poisson()([[0.0]], [[2.0]]), 4)
        2.0
    """

    def __init__(self, name: str | None = "poisson", dtype: Any = None) -> None:
        super().__init__(losses.poisson, name, dtype)


class BinaryCrossentropy(MeanMetricWrapper):
    """The mean cross-entropy of yes-or-no labels; the arguments are those of `losses.binary_crossentropy`.

    Example:
        >>> round(BinaryCrossentropy()([[1.0]], [[0.5]]), 4)
        0.6931
    """

    def __init__(
        self,
        name: str | None = "binary_crossentropy",
        dtype: Any = None,
        from_logits: bool = False,
        label_smoothing: float = 0.0,
    ) -> None:
        self.from_logits = bool(from_logits)
        self.label_smoothing = real(type(self).__name__, "label_smoothing", label_smoothing, 0.0, 1.0)
        super().__init__(
            losses.binary_crossentropy,
            name,
            dtype,
            from_logits=self.from_logits,
            label_smoothing=self.label_smoothing,
        )


class CategoricalCrossentropy(MeanMetricWrapper):
    """The mean cross-entropy of one-hot rows; the arguments are those of `losses.categorical_crossentropy`.

    Example:
        >>> round(CategoricalCrossentropy()([[0.0, 1.0]], [[0.5, 0.5]]), 4)
        0.6931
    """

    def __init__(
        self,
        name: str | None = "categorical_crossentropy",
        dtype: Any = None,
        from_logits: bool = False,
        label_smoothing: float = 0.0,
        axis: int = -1,
    ) -> None:
        self.from_logits, self.axis = bool(from_logits), integer(type(self).__name__, "axis", axis)
        self.label_smoothing = real(type(self).__name__, "label_smoothing", label_smoothing, 0.0, 1.0)
        super().__init__(
            losses.categorical_crossentropy,
            name,
            dtype,
            from_logits=self.from_logits,
            label_smoothing=self.label_smoothing,
            axis=self.axis,
        )


class SparseCategoricalCrossentropy(MeanMetricWrapper):
    """The mean cross-entropy of class numbers; the arguments are those of `losses.sparse_categorical_crossentropy`.

    Labels of `ignore_class` count for nothing, with and without sample weights.

    Example:
        >>> round(SparseCategoricalCrossentropy(ignore_class=9)([1, 9], [[0.5, 0.5], [0.5, 0.5]]), 4)
        0.6931
    """

    def __init__(
        self,
        name: str | None = "sparse_categorical_crossentropy",
        dtype: Any = None,
        from_logits: bool = False,
        ignore_class: int | None = None,
        axis: int = -1,
    ) -> None:
        owner = type(self).__name__
        self.from_logits, self.axis = bool(from_logits), integer(owner, "axis", axis)
        self.ignore_class = None if ignore_class is None else integer(owner, "ignore_class", ignore_class)
        super().__init__(
            losses.sparse_categorical_crossentropy,
            name,
            dtype,
            from_logits=self.from_logits,
            ignore_class=self.ignore_class,
            axis=self.axis,
        )
