"""Models: graphs of layers between symbolic inputs and outputs, or subclasses with a `call` of their own."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from cnnfast.autograd import to_float32
from cnnfast.layers.base import Layer
from cnnfast.layers.operation import OperationLayer
from cnnfast.models.graph import Graph
from cnnfast.models.sharing import numbering
from cnnfast.models.trainer import Trainer
from cnnfast.registration import get_registered_name
from cnnfast.structure import map_leaves
from cnnfast.symbolic import Shape, SymbolicArgumentError, has_symbolic, is_shape

if TYPE_CHECKING:
    from cnnfast.models.profiling import LayerProfile


class Model(Trainer, Layer):
    """A network: what lies between symbolic inputs and outputs, or what a subclass computes in `call`.

    Args:
        inputs: tensors from `Input` (or from layers called on them, to cut a model out of another): one, or a list,
            tuple or dict of them.
        outputs: the tensors that layers and operations made of them, in any such structure.
        trainable: whether training changes the weights.
        name: the model's name.
        **kwargs: for subclasses, what `Layer` takes.

    Raises:
        TypeError: an input or output is not a symbolic tensor.
        ValueError: an output depends on something else than the inputs, or two layers have the same name.

    Example:
        >>> from cnnfast import layers
        >>> x = layers.Input((8, 8, 1))
        >>> y = layers.Dense(10)(layers.Flatten()(x))
        >>> Model(x, y).count_params()
        650
        >>> class Twice(Model):
        ...     def __init__(self):
        ...         super().__init__()
        ...         self.dense = layers.Dense(2)
        ...
        ...     def call(self, x):
        ...         return self.dense(x) * 2.0
        >>> Twice()(np.zeros((5, 3))).shape
        (5, 2)
    """

    _names_errors = False
    _locked_when_built = False
    _parts_decide = True
    _graph: Graph | None = None
    built_for: Any = None  # the inputs' shapes, of a subclass that made its weights from them

    def __init__(
        self,
        inputs: Any = None,
        outputs: Any = None,
        *,
        trainable: bool = True,
        name: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(trainable=trainable, name=name, **kwargs)
        if (inputs is None) != (outputs is None):
            raise ValueError(f"{type(self).__name__}: expects inputs and outputs, or neither of them")
        if inputs is not None:
            self._set_graph(inputs, outputs)
        if not trainable:
            self.trainable = False

    def _set_graph(self, inputs: Any, outputs: Any) -> None:
        self._graph = Graph(inputs, outputs, self.name)
        self._graph_layers = self._graph.layers
        self.built = True

    def _known_graph(self) -> Graph:
        if self._graph is None:
            raise ValueError(f"{self.name} is not made of symbolic tensors, so its structure is not known")
        return self._graph

    # Layers and shapes

    @property
    def layers(self) -> list[Layer]:
        """The layers, those near the inputs first; for a subclass, those in its attributes."""
        return [layer for layer in dict.fromkeys(self.sublayers()) if not isinstance(layer, OperationLayer)]

    def get_layer(self, name: str | None = None, index: int | None = None) -> Layer:
        """The layer of that name, or at that index among `layers`.

        Raises:
            ValueError: there is none, or not exactly one of `name` and `index` is given.
        """
        if (name is None) == (index is None):
            raise ValueError(f"{self.name}.get_layer expects either a name or an index")
        layers = self.layers
        if index is not None:
            if not -len(layers) <= index < len(layers):
                raise ValueError(f"{self.name}.get_layer: index {index} of {len(layers)} layers")
            return layers[index]
        for layer in layers:
            if layer.name == name:
                return layer
        raise ValueError(f"{self.name}.get_layer: no layer {name!r}; there are {[la.name for la in layers]}")

    @property
    def inputs(self) -> list[Any]:
        """The symbolic tensors that the model takes."""
        return list(self._known_graph().inputs)

    @property
    def outputs(self) -> list[Any]:
        """The symbolic tensors that it computes."""
        return list(self._known_graph().outputs)

    @property
    def input(self) -> Any:
        """The symbolic inputs, in the structure they were given in."""
        return self._known_graph().input_structure

    @property
    def output(self) -> Any:
        """The symbolic outputs, in the structure they were given in."""
        return self._known_graph().output_structure

    @property
    def input_names(self) -> list[str]:
        """The names of the inputs."""
        return [tensor.name for tensor in self._known_graph().inputs]

    @property
    def output_names(self) -> list[str]:
        """The names of the layers that make the outputs."""
        return [tensor.node.layer.name if tensor.node else tensor.name for tensor in self._known_graph().outputs]

    @property
    def input_shape(self) -> Any:
        """The shape of the input, the batch first; for several inputs their shapes, in their structure."""
        return map_leaves(lambda tensor: tensor.shape, self.input)

    @property
    def output_shape(self) -> Any:
        """The shape of the output, the batch first; for several outputs their shapes, in their structure."""
        return map_leaves(lambda tensor: tensor.shape, self.output)

    def layer_shapes(self) -> list[tuple[Layer, Any, Any]]:
        """Each call of a layer, in the order of computing, with the shapes that enter and leave it.

        Raises:
            ValueError: the model is not built from symbolic tensors.
        """
        return self._known_graph().layer_calls()

    # Computing

    def build(self, input_shape: Any) -> None:
        """Make all weights for inputs of this shape (the batch first).

        A subclass with layers in its attributes is run once on zeros.
        """
        if self._graph is None and not self.built:
            self.built, self.built_for = True, input_shape
            try:
                map_leaves(np.shape, self.call(_zeros(input_shape)))
            except BaseException:
                self.built, self.built_for = False, None
                raise

    def _prepared(self, x: Any) -> Any:
        graph = self._graph_if_known()
        if graph is None or graph.dtypes is None:
            return super()._prepared(x)
        if has_symbolic(x):
            raise SymbolicArgumentError(f"{self.name}: a symbolic tensor has no value")
        return x  # the graph knows the type of each input

    def call(self, x: Any, training: bool | None = None) -> Any:
        """Compute the outputs; what subclasses define."""
        graph = self._known_graph()
        return graph.run(graph.values_of(x), training)

    def infer(self, x: Any) -> Any:
        """The outputs in inference, as `predict` computes them.

        In functional models batch normalization is folded into the convolution or dense layer before it, so that
        results differ from those of `model(x)` by rounding: relative to the largest value by about 1e-6 for each layer.

        Args:
            x: an array with the batch first, or several in the structure of the inputs.
        """
        if not self.built or type(self).call is not Model.call:
            return self(x, training=False)
        graph = self._known_graph()
        values = graph.values_of(x)
        if graph.dtypes is None:
            values = [to_float32(value, self.name) for value in values]
        return graph.run(values, training=False, steps=graph.inference_steps())

    def compute_output_shape(self, input_shape: Any) -> Any:
        """The outputs' shapes for the inputs' shapes, both with the batch first."""
        if self._graph is None:
            return super().compute_output_shape(input_shape)
        return self._graph.shapes(_shape_leaves(input_shape))

    def multiply_adds(self, input_shape: Any) -> int:
        """The multiplications with a weight, each with its addition, of all layers for one example."""
        return sum(layer.multiply_adds(shape) for layer, shape, _ in self._known_graph().layer_calls())

    def summary(
        self,
        line_length: int | None = None,
        positions: Any = None,
        print_fn: Any = None,
        expand_nested: bool = False,
        show_trainable: bool = False,
        layer_range: Any = None,
    ) -> None:
        """Print a table of the layers: output shapes, parameters, multiply-adds and memory for one example.

        Args:
            line_length: not supported: columns are as wide as what is in them.
            positions: not supported, likewise.
            print_fn: called with the text; `print` by default.
            expand_nested: whether the layers of models in the model are listed too.
            show_trainable: whether a column tells which layers training changes.
            layer_range: names (or patterns) of the first and the last layer to list.

        Raises:
            ValueError: the model is not built, or an argument cannot be honoured.
        """
        from cnnfast.models.summary import summary_text

        if line_length is not None or positions is not None:
            raise ValueError("summary: line_length and positions cannot be honoured: columns fit what is in them")
        (print_fn or print)(summary_text(self, expand_nested, show_trainable, layer_range))

    def profile(self, x: Any, training: bool = False, repeats: int = 5, print_fn: Any = print) -> list[LayerProfile]:
        """Measure how long each layer takes, and print a table of it.

        Args:
            x: a batch of the size to measure with.
            training: whether to measure gradients too, and layers as in training.
            repeats: how many times everything is computed; the best time of each layer counts.
            print_fn: called with the table's text; None for no table.

        Returns:
            One `LayerProfile` for each call of a layer: seconds, multiply-adds, GFLOP/s of a direct computation, their
            share of the measured peak of the processor, the algorithm, bytes of output and weights.

        Raises:
            ValueError: the model is not built from symbolic tensors.

        Example:
            >>> from cnnfast import layers
            >>> x = layers.Input((8, 8, 3))
            >>> rows = Model(x, layers.Conv2D(4, 3, name="c")(x)).profile(np.zeros((2, 8, 8, 3)), print_fn=None)
            >>> rows[0].name, rows[0].output_shape, rows[0].multiply_adds
            ('c', (2, 6, 6, 4), 7776)
        """
        from cnnfast.models.profiling import profile_model, profile_text

        rows = profile_model(self, x, training, repeats)
        if print_fn is not None:
            print_fn(profile_text(rows))
        return rows

    # Configuration and files

    def get_config(self) -> dict[str, Any]:
        """The layers' configurations and the calls between them; of a subclass, the constructor's arguments."""
        from cnnfast.models.graph_config import graph_config

        if self._graph is None or type(self).__init__ is not Model.__init__:
            return super().get_config()
        return {"name": self.name, "trainable": self._trainable, **graph_config(self._graph)}

    @classmethod
    def from_config(cls, config: Mapping[str, Any], custom_objects: Mapping[str, Any] | None = None) -> Any:
        """Make a model (with fresh weights) from what `get_config` returned.

        Args:
            config: the configuration.
            custom_objects: layer classes by name, beside the built-in ones.
        """
        from cnnfast.models.graph_config import graph_from_config

        if "input_layers" not in config:
            return super().from_config(config)
        inputs, outputs = graph_from_config(config, custom_objects)
        model = cls(inputs, outputs, name=config.get("name"))
        model._trainable = bool(config.get("trainable", True))
        return model

    def save(
        self,
        filepath: Any,
        overwrite: bool = True,
        *,
        metadata: Mapping[str, Any] | None = None,
        include_optimizer: bool = True,
    ) -> None:
        """Write the model to a file, in the format that its suffix names; see `cnnfast.models.save_model`."""
        from cnnfast.models.formats import save_model

        own = {} if metadata is None else {"metadata": metadata}
        save_model(self, filepath, overwrite, include_optimizer=include_optimizer, **own)

    def export(
        self,
        filepath: Any,
        format: str = "onnx",
        verbose: bool | None = None,
        input_signature: Any = None,
        **kwargs: Any,
    ) -> None:
        """Write the model for other programs to run; see `cnnfast.interop.export_onnx`.

        Args:
            filepath: where.
            format: "onnx", the only one.
            verbose: whether to print where the file is.
            input_signature: not supported: the model's inputs tell the shapes.
            **kwargs: those of `export_onnx`: `opset`, `data_format`, `overwrite`, `metadata`.

        Raises:
            ValueError: another format, or what `export_onnx` raises.
        """
        from cnnfast.models.formats import export_model

        if format != "onnx" or input_signature is not None:
            raise ValueError(f"export: only format 'onnx' without input_signature, got {format!r}")
        export_model(self, filepath, **kwargs)
        if verbose:
            print(f"The model was written to {filepath}")

    def save_weights(self, filepath: Any, overwrite: bool = True) -> None:
        """Write the weights alone, by the names of their layers, in the format that the path's suffix names.

        Raises:
            ValueError: the model is not built, or no format has that suffix.
            FileExistsError: there is such a file, and `overwrite` is False.
        """
        from cnnfast.models.formats import function_for

        function_for(filepath, "save_weights")(self, filepath, overwrite)

    def load_weights(self, filepath: Any, skip_mismatch: bool = False, by_name: bool | None = None) -> None:
        """Read weights that `save_weights` (or `save`) wrote, or Keras.

        Args:
            filepath: the file.
            skip_mismatch: whether to leave alone, with a warning, what the file does not have or has in another shape.
            by_name: for `.h5` files: whether each layer gets what the file has under its name, others staying as they
                are, in the place of going by the order of the layers.

        Raises:
            FileNotFoundError: there is no such file.
            ValueError: the model is not built, no format has that suffix, or the file is damaged or does not fit;
                then no weight is changed.
        """
        from cnnfast.models.formats import load_weights

        load_weights(self, filepath, skip_mismatch, by_name)

    def to_json(self, **kwargs: Any) -> str:
        """The architecture as JSON, for `cnnfast.models.model_from_json`; `kwargs` are those of `json.dumps`."""
        with numbering(self):
            return json.dumps({"class_name": get_registered_name(type(self)), "config": self.get_config()}, **kwargs)


def _zeros(shapes: Any) -> Any:
    """One example of zeros for every input, 32 where a size is open."""
    if is_shape(shapes):
        return np.zeros([1, *(32 if n is None else n for n in shapes[1:])], np.float32)
    if isinstance(shapes, dict):
        return {key: _zeros(part) for key, part in shapes.items()}
    return type(shapes)(_zeros(part) for part in shapes)


def _shape_leaves(shapes: Any) -> list[Shape]:
    if is_shape(shapes):
        return [tuple(shapes)]
    parts = shapes.values() if isinstance(shapes, dict) else shapes
    return [shape for part in parts for shape in _shape_leaves(part)]
