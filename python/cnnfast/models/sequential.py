"""A plain stack of layers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from cnnfast.layers.base import Layer, Shape
from cnnfast.layers.core import InputLayer
from cnnfast.models.graph import Graph
from cnnfast.models.model import Model
from cnnfast.models.sharing import layer_entry
from cnnfast.symbolic import KerasTensor, is_shape


class Sequential(Model):
    """A stack of layers, each fed by the one before.

    The shape of one example comes from an `Input` as first entry, from the first layer's `input_shape`, from `build`,
    or from the first data the model sees; only then are there weights.

    Args:
        layers: the layers, or none to begin with.
        trainable: whether training changes the weights.
        name: the model's name.

    Raises:
        TypeError: an entry is no layer.
        ValueError: two layers have the same name.

    Example:
        >>> from cnnfast.layers import Dense, Flatten, Input
        >>> model = Sequential([Input((8, 8, 1)), Flatten(), Dense(10, activation="softmax")])
        >>> model.count_params(), model.output_shape
        (650, (None, 10))
    """

    def __init__(
        self, layers: Iterable[Layer | KerasTensor] | None = None, trainable: bool = True, name: str | None = None
    ) -> None:
        super().__init__(trainable=trainable, name=name)
        self._layers: list[Layer] = []
        # What enters each layer, and last what leaves the model; empty while the input's shape is not known.
        self._between: list[KerasTensor] = []
        for layer in layers or ():
            self.add(layer)
        if not trainable:
            self.trainable = False

    # The stack

    @property
    def layers(self) -> list[Layer]:
        """The layers, without an `Input`."""
        return [layer for layer in self._layers if not isinstance(layer, InputLayer)]

    def add(self, layer: Layer | KerasTensor, rebuild: bool = True) -> None:
        """Put a layer on top, or first of all an `Input`.

        Args:
            layer: the layer, or an `Input`.
            rebuild: makes no difference: a model is built as soon as it can be.

        Raises:
            TypeError: not a layer.
            ValueError: its name is taken, it is an `Input` above another layer, or it does not fit what is below.
        """
        if isinstance(layer, KerasTensor) and layer.node is not None and isinstance(layer.node.layer, InputLayer):
            layer = layer.node.layer
        if not isinstance(layer, Layer):
            raise TypeError(f"{self.name}.add expects a layer, got {layer!r}")
        if any(layer.name == other.name for other in self._layers):
            raise ValueError(f"{self.name}.add: there is a layer named {layer.name!r} already; names must be unique")
        if isinstance(layer, InputLayer) and self._layers:
            raise ValueError(f"{self.name}.add: Input must be the first entry, and there are {len(self._layers)}")
        self._layers.append(layer)
        self._graph = None
        if self._between:
            try:
                self._between.append(layer(self._between[-1]))
            except (ValueError, TypeError):
                self._layers.pop()
                raise
        elif len(self._layers) == 1 and (shape := _starting_shape(layer)) is not None:
            self._build_once(shape)

    def pop(self, rebuild: bool = True) -> Layer:
        """Take the last layer off and return it; `rebuild` makes no difference.

        Raises:
            ValueError: there is none.
        """
        if not self.layers:
            raise ValueError(f"{self.name}.pop: there are no layers")
        layer = self._layers.pop()
        self._graph = None
        if self._between:
            self._between.pop()
        if not self._layers:
            self._between, self.built = [], False
        return layer

    # Shapes and computing

    def build(self, input_shape: Sequence[int | None]) -> None:
        """Make all weights for inputs of this shape (the batch first, None for sizes that may vary).

        Raises:
            ValueError: the model has other input sizes already, or a layer cannot take what comes from below.
        """
        shape: Shape = (None, *input_shape[1:])
        if self._between:
            if shape != self._between[0].shape:
                raise ValueError(f"{self.name}.build: the model is built for {self._between[0].shape}, got {shape}")
            return
        layers = self._layers
        first = layers[0] if layers and isinstance(layers[0], InputLayer) else InputLayer(shape[1:])
        between = [first.output]
        for layer in layers:
            between.append(between[-1] if layer is first else layer(between[-1]))
        self._between = between
        self.built = True

    def _build_for(self, input_shape: Any) -> None:
        self._build_once(input_shape)

    def _known_graph(self) -> Graph:
        if not self._between:
            raise ValueError(f"{self.name} is not built: put an Input first, call build, or give it data")
        if self._graph is None:
            self._graph = Graph(self._between[0], self._between[-1], self.name)
        return self._graph

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """The shape that leaves the last layer for an input's shape, both with the batch first."""
        shape = tuple(input_shape)
        for layer in self._layers:
            shape = layer.compute_output_shape(shape)
        return shape

    def multiply_adds(self, input_shape: Shape) -> int:
        """The multiplications with a weight, each with its addition, of all layers for one example."""
        total, shape = 0, tuple(input_shape)
        for layer in self._layers:
            total += layer.multiply_adds(shape)
            shape = layer.compute_output_shape(shape)
        return total

    # Configuration and files

    def get_config(self) -> dict[str, Any]:
        """The layers' classes and configurations, and the input's shape where it is known."""
        layers = [layer_entry(layer) for layer in self._layers]
        shape = list(self._between[0].shape) if self._between else None
        return {"name": self.name, "trainable": self._trainable, "layers": layers, "build_input_shape": shape}

    @classmethod
    def from_config(cls, config: Mapping[str, Any], custom_objects: Mapping[str, Any] | None = None) -> Sequential:
        """Make a model with these layers (and fresh weights).

        Args:
            config: what `get_config` returned.
            custom_objects: layer classes by name, beside the built-in ones.
        """
        from cnnfast.models.saving import layer_from_config

        model = cls(name=config.get("name"))
        for entry in config["layers"]:
            model.add(layer_from_config(entry, custom_objects))
        if config.get("build_input_shape") is not None:
            model.build(config["build_input_shape"])
        model._trainable = bool(config.get("trainable", True))
        return model


def _starting_shape(layer: Layer) -> Shape | None:
    if layer.given_input_shape is not None:
        return layer.given_input_shape
    if isinstance(layer, Model) and layer.built and is_shape(layer.input_shape):
        return tuple(layer.input_shape)
    return None
