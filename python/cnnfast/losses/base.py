"""The base of all losses: one value per example or element, weighed and reduced to the number that is minimised."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from cnnfast import ops
from cnnfast.autograd import Value
from cnnfast.configured import Configured
from cnnfast.losses.shapes import as_value, same_rank
from cnnfast.naming import unique_name
from cnnfast.ops.softmax import mean_softmax_cross_entropy

REDUCTIONS = ("sum_over_batch_size", "mean", "mean_with_sample_weight", "sum", "none")
EPSILON = 1e-7  # probabilities are kept this far from 0 and 1 before their logarithm is taken, norms this far from 0

LossFunction = Callable[..., Any]
Counted = Callable[..., "npt.NDArray[np.bool_] | None"]

# For functions some of whose values may count for nothing: what tells which do count, from (y_true, y_pred, values).
_counted: dict[LossFunction, Counted] = {}


def counting(rule: Counted) -> Callable[[LossFunction], LossFunction]:
    """Decorate a loss function some of whose values count for nothing, not in a mean's number of values either.

    Args:
        rule: called with (y_true, y_pred, values) and the function's own arguments; returns booleans of the values'
            shape that are true where they count, or None where all do.
    """

    def decorate(function: LossFunction) -> LossFunction:
        _counted[function] = rule
        return function

    return decorate


# For functions whose mean can be one operation: what makes it, see `averaging`.
_averaging: dict[LossFunction, LossFunction] = {}
_MEANS = ("sum_over_batch_size", "mean", "mean_with_sample_weight")  # where nothing is weighed


def averaging(rule: LossFunction) -> Callable[[LossFunction], LossFunction]:
    """Decorate a loss function whose mean over all values one operation can compute.

    Args:
        rule: called with (y_true, y_pred), a function and the function's own arguments; returns what that function,
            `mean_softmax_cross_entropy` or one of its arguments, makes of labels and logits whose mean is wanted, or
            None where the values are to be computed.
    """

    def decorate(function: LossFunction) -> LossFunction:
        _averaging[function] = rule
        return function

    return decorate


def counted(function: Any, y_true: Any, y_pred: Any, values: Any, **arguments: Any) -> npt.NDArray[np.bool_] | None:
    """Where the values of a loss function count, or None where all do.

    Example:
        >>> counted(abs, None, None, np.ones(3)) is None
        True
    """
    rule = _rule(_counted, function)
    return None if rule is None else rule(y_true, y_pred, values, **arguments)


def _rule(rules: dict[LossFunction, Any], function: Any) -> Any:
    try:
        return rules.get(function)
    except TypeError:  # a callable that cannot be hashed
        return None


class Loss(Configured):
    """Base: a function of labels and predictions, reduced over the examples.

    Args:
        name: shown in messages; made from the class's name by default.
        reduction: "sum_over_batch_size" or "mean": the sum of all values, weighed, by their number;
            "mean_with_sample_weight": by the sum of the weights instead; "sum"; "none" or None: the values.
        dtype: None or "float32".

    Raises:
        ValueError: the reduction is not known, or the dtype cannot be honoured.

    Example:
        >>> class Worst(Loss):
        ...     def call(self, y_true, y_pred):
        ...         return ops.max(ops.abs(y_pred - y_true), axis=-1)
        >>> float(Worst()(np.zeros((2, 3)), np.ones((2, 3))))
        1.0
    """

    def __init__(self, name: str | None = None, reduction: str | None = "sum_over_batch_size", dtype: Any = None):
        owner = type(self).__name__
        if reduction is not None and reduction not in REDUCTIONS:
            raise ValueError(f"{owner}: reduction expects {', '.join(REDUCTIONS)} or None, got {reduction!r}")
        if dtype is not None and dtype != "float32" and dtype is not np.float32:
            raise ValueError(f"{owner}: dtype={dtype!r} cannot be honoured: everything is computed in float32")
        self.name = name or unique_name(owner)
        self.reduction = reduction

    dtype = "float32"

    def __repr__(self) -> str:
        return f"<{type(self).__name__} name={self.name}>"

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """One value per example or element; what subclasses define."""
        raise NotImplementedError(f"{type(self).__name__} defines no call()")

    def counted(self, y_true: Any, y_pred: Any, values: Any) -> npt.NDArray[np.bool_] | None:
        """Where the values count, as booleans of their shape; None where all do."""
        return None

    def _is_mean(self) -> bool:
        """Whether the loss is a mean, without weights, that `_at_once` may know a quicker way to."""
        return False

    def _is_mean_of_logits(self, from_softmax: bool) -> bool:
        """Whether `_at_once` knows the mean for logits, or for what softmax made of them, whatever the labels are."""
        return False

    def _at_once(self, y_true: Any, y_pred: Any, mean: LossFunction) -> Any:
        """What `mean` makes of labels and logits; None where the values are to be computed."""

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments as values that JSON can hold, and the name, also one that was made up."""
        config = super().get_config()
        return config | {"name": self.name} if "name" in config else config

    def __call__(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Any:
        """The reduced loss.

        Args:
            y_true: labels.
            y_pred: predictions.
            sample_weight: what each value is multiplied by: one number per example, or an array or tensor of a shape
                that broadcasts to that of the values (a last axis of size 1 may be missing or too much).

        Returns:
            one number, or the values of `call`, weighed, where the reduction is none.

        Raises:
            ValueError: the shapes do not fit.
        """
        y_true, y_pred = _converted(y_true), _converted(y_pred)
        if sample_weight is None and self._is_mean():
            mean = self._at_once(y_true, y_pred, mean_softmax_cross_entropy)
            if mean is not None:
                return mean
        values = self.call(y_true, y_pred)
        mask = self.counted(y_true, y_pred, values)
        return reduced(self.name, values, self.reduction, sample_weight, mask)


def _converted(x: Any) -> Any:
    return np.asarray(x) if isinstance(x, (list, tuple)) and not any(isinstance(item, Value) for item in x) else x


def reduced(
    name: str, values: Any, reduction: str | None, sample_weight: Any = None, mask: npt.NDArray[np.bool_] | None = None
) -> Any:
    """Weigh values and reduce them.

    Args:
        name: who asks, for the message.
        values: an array or tensor.
        reduction: as for `Loss`.
        sample_weight: an array or tensor; None for weights of 1.
        mask: booleans of the values' shape: what is false counts for nothing.

    Raises:
        ValueError: the weights do not fit the values.

    Example:
        >>> reduced("loss", np.array([1.0, 2.0]), "sum", [1.0, 10.0])
        array(21., dtype=float32)
    """
    weights = None if sample_weight is None else as_value(name, sample_weight, "sample_weight")
    if mask is not None:
        share = mask.astype(np.float32)
        if reduction in ("mean", "sum_over_batch_size"):
            # The mean is to be over what counts, but divides by the number of all values.
            share *= np.float32(mask.size / max(1, int(np.count_nonzero(mask))))
        if weights is None:
            weights = share
        else:
            share, weights = fitting_weights(name, share, weights)
            weights = ops.multiply(weights, share)
    if weights is not None:
        values, weights = fitting_weights(name, values, weights)
        values = ops.multiply(values, weights)
    if reduction is None or reduction == "none" or values.shape == ():
        return values
    size = math.prod(values.shape)
    if reduction == "sum" or size == 0:
        return ops.sum(values)
    if reduction == "mean_with_sample_weight" and weights is not None:
        return _by_sum_of_weights(values, weights)
    return ops.mean(values)


def _by_sum_of_weights(values: Any, weights: Any) -> Any:
    total = ops.sum(weights)
    return ops.multiply(ops.sum(values), np.float32(0)) if float(total) == 0 else ops.divide(ops.sum(values), total)


def fitting_weights(name: str, values: Any, weights: Any) -> tuple[Any, Any]:
    """Values and weights of shapes that broadcast.

    Weights that are fewer axes and have the sizes of the values' first ones belong to those: one number per example
    weighs everything of its example.

    Raises:
        ValueError: the shapes do not fit.

    Example:
        >>> fitting_weights("loss", np.zeros((2, 3)), np.ones(2))[1].shape
        (2, 1)
    """
    values, fitted = same_rank(values, weights)
    shape, given = values.shape, fitted.shape
    if 0 < len(given) < len(shape) and given == shape[: len(given)]:
        return values, ops.reshape(fitted, given + (1,) * (len(shape) - len(given)))
    try:
        np.broadcast_shapes(shape, given)
    except ValueError:
        raise ValueError(f"{name}: sample_weight expects shape {shape}, got {weights.shape}") from None
    return values, fitted


class LossFunctionWrapper(Loss):
    """A loss made of a function of (y_true, y_pred).

    Args:
        fn: called with labels and predictions; returns one value per example or element.
        reduction: as for `Loss`.
        name: as for `Loss`; the function's name by default.
        dtype: as for `Loss`.
        **kwargs: further arguments of the function.

    Example:
        >>> loss = LossFunctionWrapper(lambda y, p, scale: ops.mean(ops.abs(p - y), axis=-1) * scale, scale=2.0)
        >>> float(loss([[1.0]], [[3.0]]))
        4.0
    """

    def __init__(
        self,
        fn: LossFunction,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = None,
        dtype: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(name or getattr(fn, "__name__", None), reduction, dtype)
        self.fn = fn
        self._function_arguments = kwargs

    def _is_mean(self) -> bool:
        cls = type(self)
        own = cls.call is not LossFunctionWrapper.call or cls.counted is not LossFunctionWrapper.counted
        return not own and self.reduction in _MEANS and _rule(_averaging, self.fn) is not None

    def _is_mean_of_logits(self, from_softmax: bool) -> bool:
        arguments = self._function_arguments
        fits = bool(arguments.get("from_logits")) != from_softmax and arguments.get("ignore_class") is None
        return fits and self._is_mean()

    def _at_once(self, y_true: Any, y_pred: Any, mean: LossFunction) -> Any:
        return _averaging[self.fn](y_true, y_pred, mean, **self._function_arguments)

    def call(self, y_true: Any, y_pred: Any) -> Any:  # noqa: D102
        return self.fn(y_true, y_pred, **self._function_arguments)

    def counted(self, y_true: Any, y_pred: Any, values: Any) -> npt.NDArray[np.bool_] | None:  # noqa: D102
        return counted(self.fn, y_true, y_pred, values, **self._function_arguments)
