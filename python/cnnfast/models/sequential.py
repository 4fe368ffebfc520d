"""A plain stack of layers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from cnnfast.layers.base import Layer, Shape
from cnnfast.layers.core import InputLayer
from cnnfast.models.trainer import Trainer


class Sequential(Trainer, Layer):
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

    _names_errors = False

    def __init__(self, layers: Iterable[Layer] | None = None, trainable: bool = True, name: str | None = None) -> None:
        super().__init__(trainable=trainable, name=name)
        self._layers: list[Layer] = []
        # The shape that enters each layer, and last the one that leaves the model; empty while not known.
        self._shapes: list[Shape] = []
        for layer in layers or ():
            self.add(layer)
        if not trainable:
            self.trainable = False

    # The stack

    @property
    def layers(self) -> list[Layer]:
        """The layers, without an `Input`."""
        return [layer for layer in self._layers if not isinstance(layer, InputLayer)]

    def add(self, layer: Layer) -> None:
        """Put a layer on top.

        Raises:
            TypeError: not a layer.
            ValueError: its name is taken, it is an `Input` above another layer, or it does not fit what is below.
        """
        if not isinstance(layer, Layer):
            raise TypeError(f"{self.name}.add expects a layer, got {layer!r}")
        if any(layer.name == other.name for other in self._layers):
            raise ValueError(f"{self.name}.add: there is a layer named {layer.name!r} already; names must be unique")
        if isinstance(layer, InputLayer) and self._layers:
            raise ValueError(f"{self.name}.add: Input must be the first entry, and there are {len(self._layers)}")
        self._layers.append(layer)
        if self._shapes:
            try:
                self._append_shape(layer)
            except (ValueError, TypeError):
                self._layers.pop()
                raise
        elif len(self._layers) == 1 and (shape := _starting_shape(layer)) is not None:
            self._build_once(shape)

    def pop(self) -> Layer:
        """Take the last layer off and return it.

        Raises:
            ValueError: there is none.
        """
        if not self.layers:
            raise ValueError(f"{self.name}.pop: there are no layers")
        layer = self._layers.pop()
        if self._shapes:
            self._shapes.pop()
        if not self._layers:
            self._shapes, self.built = [], False
        return layer

    def get_layer(self, name: str | None = None, index: int | None = None) -> Layer:
        """The layer of that name, or at that index among `layers`.

        Raises:
            ValueError: there is none, or not exactly one of `name` and `index` is given.
        """
        if (name is None) == (index is None):
            raise ValueError(f"{self.name}.get_layer expects either a name or an index")
        if index is not None:
            if not -len(self.layers) <= index < len(self.layers):
                raise ValueError(f"{self.name}.get_layer: index {index} of {len(self.layers)} layers")
            return self.layers[index]
        for layer in self._layers:
            if layer.name == name:
                return layer
        raise ValueError(f"{self.name}.get_layer: no layer {name!r}; there are {[la.name for la in self._layers]}")

    # Shapes and computing

    def build(self, input_shape: Sequence[int | None]) -> None:
        """Make all weights for inputs of this shape (the batch first, None for sizes that may vary).

        Raises:
            ValueError: the model has other input sizes already, or a layer cannot take what comes from below.
        """
        shape: Shape = (None, *input_shape[1:])
        if self._shapes:
            if shape != self._shapes[0]:
                raise ValueError(f"{self.name}.build: the model is built for {self._shapes[0]}, got {shape}")
            return
        self._shapes = [shape]
        try:
            for layer in self._layers:
                self._append_shape(layer)
        except (ValueError, TypeError):
            self._shapes = []
            raise
        self.built = True

    def _append_shape(self, layer: Layer) -> None:
        """Build a layer on what leaves the one below it."""
        shape = self._shapes[-1]
        try:
            output_shape = layer.compute_output_shape(shape)
            layer._build_once(shape)
        except (ValueError, TypeError) as error:
            if not layer._names_errors or type(error) not in (ValueError, TypeError):
                raise
            raise type(error)(f"{type(layer).__name__} {layer.name!r}: {error}") from error
        self._shapes.append(output_shape)

    def call(self, x: Any, training: bool = False) -> Any:
        """Send x through all layers."""
        for layer in self._layers:
            x = layer(x, training=training)
        return x

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

    @property
    def input_shape(self) -> Shape:
        """The shape that enters the first layer, the batch first."""
        return self._known_shapes()[0]

    @property
    def output_shape(self) -> Shape:
        """The shape that leaves the last layer, the batch first."""
        return self._known_shapes()[-1]

    def layer_shapes(self) -> list[tuple[Layer, Shape, Shape]]:
        """Each of `layers` with the shapes that enter and leave it.

        Raises:
            ValueError: the model is not built.
        """
        shapes = self._known_shapes()
        rows = zip(self._layers, shapes[:-1], shapes[1:], strict=True)
        return [row for row in rows if not isinstance(row[0], InputLayer)]

    def _known_shapes(self) -> list[Shape]:
        if not self._shapes:
            raise ValueError(f"{self.name} is not built: put an Input first, call build, or give it data")
        return self._shapes

    def summary(self, print_fn: Any = None) -> None:
        """Print a table of the layers: output shapes, parameters, multiply-adds for one example.

        Args:
            print_fn: called with the text; `print` by default.

        Raises:
            ValueError: the model is not built.
        """
        from cnnfast.models.summary import summary_text

        (print_fn or print)(summary_text(self))

    # Configuration and files

    def get_config(self) -> dict[str, Any]:
        """The layers' classes and configurations, and the input's shape where it is known."""
        layers = [{"class_name": type(layer).__name__, "config": layer.get_config()} for layer in self._layers]
        shape = list(self._shapes[0]) if self._shapes else None
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

    def save(self, path: Any, metadata: Mapping[str, Any] | None = None, include_optimizer: bool = True) -> None:
        """Write the model to one .safetensors file; see `cnnfast.models.save_model`."""
        from cnnfast.models.saving import save_model

        save_model(self, path, metadata, include_optimizer)


def _starting_shape(layer: Layer) -> Shape | None:
    if layer.given_input_shape is not None:
        return layer.given_input_shape
    if isinstance(layer, Sequential) and layer._shapes:
        return layer._shapes[0]
    return None
