"""Layers that are functions without weights: Identity, ActivityRegularization and Lambda."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from cnnfast import activations, ops, regularizers
from cnnfast.arguments import refuse_unsupported
from cnnfast.configured import serialize
from cnnfast.layers.base import Layer, SameShape


class Identity(Layer):
    """The input as it is, also several inputs.

    Args:
        **kwargs: `name`.

    Example:
        >>> Identity()([[1.0, 2.0]])
        array([[1., 2.]], dtype=float32)
    """

    def call(self, x: Any) -> Any:  # noqa: D102
        return x

    def compute_output_shape(self, input_shape: Any) -> Any:  # noqa: D102
        return input_shape


class ActivityRegularization(SameShape):
    """The input as it is, with a penalty on it that models add to their loss, divided by the number of examples.

    Args:
        l1: the weight of the sum of the absolute values.
        l2: the weight of the sum of the squares.
        **kwargs: `name`.

    Raises:
        ValueError: a weight is negative.

    Example:
        >>> layer = ActivityRegularization(l1=0.5)
        >>> y = layer([[1.0, -2.0]])
        >>> [float(loss) for loss in layer.losses]
        [1.5]
    """

    def __init__(self, l1: float = 0.0, l2: float = 0.0, **kwargs: Any) -> None:
        super().__init__(activity_regularizer=regularizers.L1L2(l1, l2), **kwargs)

    def call(self, x: Any) -> Any:  # noqa: D102
        return x

    def get_config(self) -> dict[str, Any]:  # noqa: D102
        return {key: value for key, value in super().get_config().items() if key != "activity_regularizer"}


class Lambda(Layer):
    """A function as a layer.

    A model with it can be saved where the function has a name: one of `cnnfast.ops` or `cnnfast.activations`, or one of
    your own, which `load_model` is then given in `custom_objects`. A lambda expression has none. Code is never read
    from a file.

    Args:
        function: takes the input, or the list of them, and `training` where it has such a parameter.
        output_shape: the shape of what it returns for an example, without the batch, or a function of the input's
            shape; found by calling the function with zeros by default.
        mask: only None is supported.
        arguments: more arguments for the function.
        **kwargs: `name`.

    Raises:
        TypeError: `function` cannot be called.

    Example:
        >>> Lambda(lambda x: x * 2.0)([[1.0, 2.0]])
        array([[2., 4.]], dtype=float32)
    """

    def __init__(
        self,
        function: Callable[..., Any],
        output_shape: Sequence[int | None] | Callable[..., Any] | None = None,
        mask: Any = None,
        arguments: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        refuse_unsupported("Lambda", {"mask": mask})
        if not callable(function):
            raise TypeError(f"Lambda: function expects a function, got {function!r}")
        self.function = function
        self.output_shape = output_shape
        self.arguments = dict(arguments or {})
        self._function_takes_training = "training" in inspect.signature(function).parameters

    def call(self, x: Any, training: bool = False) -> Any:  # noqa: D102
        more = {"training": training} if self._function_takes_training else {}
        return self.function(x, **self.arguments, **more)

    def compute_output_shape(self, input_shape: Any) -> Any:  # noqa: D102
        if self.output_shape is None:
            return super().compute_output_shape(input_shape)
        if callable(self.output_shape):
            return tuple(self.output_shape(input_shape))
        first = input_shape
        while isinstance(first, (list, tuple, dict)):
            first = next(iter(first.values() if isinstance(first, dict) else first))
        return (first, *self.output_shape)

    def get_config(self) -> dict[str, Any]:
        """The arguments, with the name of the function.

        Raises:
            TypeError: the function has no name to be found by again.
        """
        shape = self.output_shape
        return {
            "name": self.name,
            "trainable": self.trainable,
            "function": _name_of(self.function, "Lambda: function"),
            "output_shape": _name_of(shape, "Lambda: output_shape") if callable(shape) else serialize(shape, "shape"),
            "arguments": serialize(self.arguments, "Lambda: arguments"),
            **self._penalty_config(),
        }

    @classmethod
    def from_config(cls, config: Mapping[str, Any], custom_objects: Mapping[str, Any] | None = None) -> Any:
        """Make the layer from what `get_config` returned.

        Args:
            config: the configuration.
            custom_objects: functions by name, for those that the library does not have.

        Raises:
            ValueError: a function is unknown, or the configuration holds code.
        """
        config = dict(config)
        for key in ("function", "output_shape"):
            if isinstance(config.get(key), (str, Mapping)):
                config[key] = _function_called(config[key], custom_objects or {})
        return cls(**config)


_OWN = {"cnnfast.ops": ops, "cnnfast.activations": activations}


def _name_of(function: Any, what: str) -> str:
    """The name by which a function is found again: with its module where it is the library's own."""
    name = getattr(function, "__name__", "<")
    for module, holder in _OWN.items():
        if name in holder.__all__ and getattr(holder, name) is function:
            return f"{module}.{name}"
    if "<" in getattr(function, "__qualname__", "<"):
        raise TypeError(f"{what} cannot be saved: {function!r} is not known by a name")
    return str(name)


def _function_called(name: Any, custom_objects: Mapping[str, Any]) -> Any:
    if not isinstance(name, str):
        raise ValueError("Lambda: the configuration holds a function's code, which is not run; make the layer yourself")
    module, _, own = name.rpartition(".")
    if module in _OWN and own in _OWN[module].__all__:
        return getattr(_OWN[module], own)
    if callable(custom_objects.get(name)):
        return custom_objects[name]
    raise ValueError(f"Lambda: unknown function {name!r}; pass it in custom_objects={{{name!r}: ...}}")
