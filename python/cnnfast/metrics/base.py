"""The base of all metrics, and how the weights of examples meet values."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from cnnfast import initializers
from cnnfast.autograd import Variable
from cnnfast.configured import Configured
from cnnfast.naming import unique_name

Doubles = npt.NDArray[np.float64]


class Metric(Configured):
    """Base: gathers something over batches until it is asked for the result.

    Subclasses define `update_state` and `result`. They may keep what they gather in variables made by `add_variable`,
    which `reset_state` sets to zero, or in attributes of their own, with a `reset_state` of their own.

    Args:
        dtype: None or "float32". Sums are kept in double precision.
        name: the key in logs and histories; made from the class's name by default.

    Raises:
        ValueError: the dtype cannot be honoured.

    Example:
        >>> class Largest(Metric):
        ...     def __init__(self, name="largest", **kwargs):
        ...         super().__init__(name=name, **kwargs)
        ...         self.largest = self.add_variable(name="largest", initializer="zeros")
        ...
        ...     def update_state(self, y_true, y_pred, sample_weight=None):
        ...         self.largest.assign(max(float(self.largest), np.max(np.abs(y_true - y_pred))))
        ...
        ...     def result(self):
        ...         return float(self.largest)
        >>> Largest()(np.zeros(3), np.ones(3))
        1.0
    """

    dtype = "float32"
    _direction: str | None = None  # "up" where more is better, "down" where less is, None where that is not known

    def __init__(self, dtype: Any = None, name: str | None = None) -> None:
        if dtype is not None and dtype not in ("float32", np.float32):
            raise ValueError(
                f"{type(self).__name__}: dtype={dtype!r} cannot be honoured: values are computed in float32 and added "
                "up in double precision"
            )
        self.name = name or unique_name(type(self).__name__)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} name={self.name}>"

    def add_variable(
        self,
        shape: Sequence[int] = (),
        initializer: initializers.InitializerLike = "zeros",
        dtype: Any = None,
        aggregation: str = "sum",
        name: str | None = None,
    ) -> Variable:
        """Make a variable that belongs to the metric; `reset_state` sets it to zero.

        Args:
            shape: its shape.
            initializer: its initial value.
            dtype: None or "float32".
            aggregation: how several machines' values would be joined; there is one.
            name: shown in messages.

        Raises:
            ValueError: the dtype cannot be honoured.
        """
        if dtype is not None and dtype not in ("float32", np.float32):
            raise ValueError(f"{type(self).__name__}: dtype={dtype!r} cannot be honoured: variables are float32")
        make = initializers.get("zeros" if initializer is None else initializer)
        return Variable(make(tuple(shape)), trainable=False, name=name or "variable")

    def add_weight(
        self,
        shape: Sequence[int] = (),
        initializer: initializers.InitializerLike = None,
        dtype: Any = None,
        name: str | None = None,
    ) -> Variable:
        """Make a variable, as `add_variable` does; zeros by default."""
        return self.add_variable(shape, initializer, dtype, name=name)

    @property
    def variables(self) -> list[Variable]:
        """The variables that the metric and the metrics in its attributes hold."""
        found: list[Variable] = []
        for value in _held(vars(self).values()):
            found += [value] if isinstance(value, Variable) else value.variables
        return found

    def update_state(self, *args: Any, **kwargs: Any) -> None:
        """Take a batch in; what subclasses define."""
        raise NotImplementedError(f"{type(self).__name__} defines no update_state()")

    def result(self) -> Any:
        """The metric over all batches since the last reset."""
        raise NotImplementedError(f"{type(self).__name__} defines no result()")

    def reset_state(self) -> None:
        """Forget all batches."""
        for variable in self.variables:
            variable.assign(np.zeros(variable.shape, np.float32))

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Take a batch in and return the result so far."""
        self.update_state(*args, **kwargs)
        return self.result()

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments as values that JSON can hold, and the name, also one that was made up."""
        config = super().get_config()
        return config | {"name": self.name} if "name" in config else config


def _held(values: Any) -> Iterator[Any]:
    for value in values:
        if isinstance(value, (Variable, Metric)):
            yield value
        elif isinstance(value, (list, tuple)):
            yield from _held(value)


def weights_like(name: str, sample_weight: Any, shape: tuple[int, ...]) -> Doubles:
    """Weights in the shape of values: they belong to the values' first axes.

    Args:
        name: who asks, for the message.
        sample_weight: one weight per example, or per position, or an array of sizes of 1 or those of the values; a last
            axis of size 1 may be too much.
        shape: that of the values.

    Raises:
        ValueError: the weights do not fit.

    Example:
        >>> weights_like("mean", [1.0, 2.0], (2, 2))
        array([[1., 1.],
               [2., 2.]])
    """
    weights = np.asarray(sample_weight, np.float64)
    fitted = weights
    if weights.ndim == len(shape) + 1 and weights.shape[-1] == 1:
        fitted = weights[..., 0]
    if fitted.ndim <= len(shape):
        try:
            return np.broadcast_to(fitted.reshape(fitted.shape + (1,) * (len(shape) - fitted.ndim)), shape)
        except ValueError:
            pass
    raise ValueError(f"{name}: sample_weight expects shape {shape}, got {weights.shape}")


def share(part: Any, whole: Any) -> Any:
    """`part / whole`, and 0 where the whole is 0.

    Example:
        >>> share(np.array([1.0, 0.0]), np.array([2.0, 0.0]))
        array([0.5, 0. ])
    """
    part, whole = np.asarray(part, np.float64), np.asarray(whole, np.float64)
    return np.divide(part, whole, out=np.zeros(np.broadcast_shapes(part.shape, whole.shape)), where=whole != 0)
