"""What the handler of an operator is given, and how it finds its operator."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np

from cnnfast.interop.channels_first import Arranged
from cnnfast.interop.onnx.budget import Budget
from cnnfast.interop.onnx.reading import NodeData, Unsupported
from cnnfast.interop.onnx.tensors import Array
from cnnfast.layers.base import Layer, initial_weights_from
from cnnfast.symbolic import KerasTensor

Handler = Callable[["Call"], Any]

# Operators with tensors among their inputs, and those that compute with constants alone.
HANDLERS: dict[str, Handler] = {}
FOLDERS: dict[str, Handler] = {}


class UnsupportedError(ValueError):
    """An operator, or an argument of one, that is not taken over."""


class NotConstantError(ValueError):
    """A value is needed when a model is read that is known only when it computes.

    Args:
        message: what is needed.
        inputs: the model's inputs that it is computed from.
    """

    def __init__(self, message: str, inputs: tuple[str, ...]) -> None:
        super().__init__(message)
        self.inputs = inputs


def operator(*names: str) -> Callable[[Handler], Handler]:
    """Let a function take over the operators of these names."""

    def noted(handler: Handler) -> Handler:
        HANDLERS.update(dict.fromkeys(names, handler))
        return handler

    return noted


def folder(*names: str) -> Callable[[Handler], Handler]:
    """Let a function compute these operators where all inputs are constant."""

    def noted(handler: Handler) -> Handler:
        FOLDERS.update(dict.fromkeys(names, handler))
        return handler

    return noted


class Call:
    """One node with the values of its inputs.

    Args:
        node: the node.
        inputs: arrays where they are constant, `Arranged` tensors where they are not, None where left out.
        dtypes: the inputs' element types in the file.
        origins: which of the model's inputs each input is computed from.
        name: what to call the layer.
        budget: what the file may still ask for.
        shared: the layers that were made, by what they were made of.
        read: the names of all values that somebody reads.
    """

    def __init__(
        self,
        node: NodeData,
        inputs: list[Any],
        dtypes: list[np.dtype[Any] | None],
        origins: list[tuple[str, ...]],
        name: str,
        budget: Budget,
        shared: dict[Any, tuple[Any, Any]],
        read: set[str],
    ) -> None:
        self.budget, self.shared, self.read = budget, shared, read
        self.node, self.inputs, self.dtypes, self.origins, self.name = node, inputs, dtypes, origins, name
        self.opset = node.opset
        self.dtype: np.dtype[Any] | None = None  # of the outputs, where a handler knows better

    def __str__(self) -> str:
        return f"{self.node.op_type} {self.node.name!r} (opset {self.opset})"

    # Inputs

    def has(self, index: int) -> bool:
        """Whether an input is given."""
        return index < len(self.inputs) and self.inputs[index] is not None

    def given(self, index: int) -> Any:
        """An input, constant or not.

        Raises:
            ValueError: it is missing.
        """
        if not self.has(index):
            raise ValueError(f"{self}: input {index} is missing")
        return self.inputs[index]

    def tensor(self, index: int = 0) -> Arranged:
        """An input to compute with: layers and operations take constant arrays as they take tensors."""
        value = self.given(index)
        if isinstance(value, Arranged):
            return value
        array: Any = self.weight(index)
        return Arranged(array)

    def is_constant(self, index: int) -> bool:
        """Whether an input is given and constant."""
        return self.has(index) and isinstance(self.inputs[index], np.ndarray)

    def constant(self, index: int) -> Array:
        """An input that must be known now.

        Raises:
            NotConstantError: it is computed.
        """
        value = self.given(index)
        if isinstance(value, Arranged):
            names = self.origins[index]
            raise NotConstantError(f"{self}: input {index} must be constant; it depends on {', '.join(names)}", names)
        array: Array = value
        if array.dtype == object and not all(isinstance(n, (int, np.integer)) for n in array.ravel()):
            raise UnsupportedError(f"{self}: input {index} depends on open sizes; give input_shapes that fix them")
        return array

    def weight(self, index: int) -> Array:
        """A constant input as float32."""
        return np.asarray(self.constant(index), np.float32)

    def integers(self, index: int) -> list[int]:
        """A constant input as Python integers."""
        return [int(n) for n in self.constant(index).ravel()]

    def scalar(self, index: int) -> Any:
        """A constant input of one element."""
        array = self.constant(index)
        if array.size != 1:
            raise ValueError(f"{self}: input {index} expects one value, got shape {array.shape}")
        return array.reshape(()).item()

    # Attributes

    def attribute(self, name: str, default: Any = None) -> Any:
        """An attribute's value."""
        value = self.node.attributes.get(name, default)
        if isinstance(value, Unsupported):
            raise UnsupportedError(value.reason)
        return value

    def required(self, name: str) -> Any:
        """An attribute's value.

        Raises:
            ValueError: it is missing.
        """
        value = self.attribute(name)
        if value is None:
            raise ValueError(f"{self}: attribute {name} is missing")
        return value

    def integers_of(self, index: int, name: str) -> list[int] | None:
        """Integers that are an input or, in older opsets, an attribute."""
        if self.has(index):
            return self.integers(index)
        value = self.attribute(name)
        return None if value is None else [int(n) for n in value]

    def refuse(self, name: str, expected: Any) -> None:
        """Check that an attribute has the one value that is supported.

        Raises:
            UnsupportedError: it has another.
        """
        value = self.attribute(name, expected)
        if value != expected:
            raise self.unsupported(f"{name}={value!r} is not supported")

    def unsupported(self, reason: str) -> UnsupportedError:
        """An error that names the node."""
        return UnsupportedError(f"{self}: {reason}")

    @property
    def outputs(self) -> int:
        """The number of outputs, up to the last one that somebody reads."""
        return max((place + 1 for place, name in enumerate(self.node.outputs) if name in self.read), default=0)

    # Results

    def layer(self, layer: Layer, tensor: Any, weights: Iterable[Array] = ()) -> KerasTensor:
        """Call a layer on a tensor, with these values for its weights in the order in which it makes them.

        Nodes with the same weights are calls of one layer, so that training changes them together.
        """
        key = self._identity(layer, tensor)
        if key in self.shared:
            again: KerasTensor = self.shared[key][0](tensor)
            return again
        self.shared[key] = layer, self.inputs  # which keeps the numbers of the inputs from being given to others
        weights = list(weights)
        self.budget.make(self, sum(array.size * 4 for array in weights))
        given: Iterator[Array] = iter(weights)
        with initial_weights_from(lambda shape: next(given)):
            result: KerasTensor = layer(tensor)
        return result

    def _identity(self, layer: Layer, tensor: Any) -> Any:
        """What tells layers apart: the arrays their weights are made of, how these are used, and the input's shape."""
        first = self.given(0)
        lying = (first.order, first.joined) if isinstance(first, Arranged) else None
        settings = {key: value for key, value in layer.get_config().items() if key != "name"}
        group = layer.name.removeprefix(self.name)  # of several layers for one node
        arrays = tuple(id(value) for value in self.inputs[1:])
        return type(layer), group, arrays, tensor.shape[1:], lying, repr(settings), repr(self.node.attributes)
