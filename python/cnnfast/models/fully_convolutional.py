"""Classifiers turned into convolutions that slide over larger images."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from cnnfast import layers
from cnnfast.layers.base import Layer, initial_weights_from
from cnnfast.layers.operation import OperationLayer
from cnnfast.models.graph import Graph
from cnnfast.models.model import Model
from cnnfast.ops.image import extract_patches
from cnnfast.structure import leaves, map_leaves
from cnnfast.symbolic import KerasTensor

# What computes every value for itself.
_POINTWISE = (
    layers.Activation, layers.ActivityRegularization, layers.AlphaDropout, layers.Dropout, layers.ELU,
    layers.GaussianDropout, layers.GaussianNoise, layers.Identity, layers.LeakyReLU, layers.ReLU, layers.Rescaling,
    layers.Add, layers.Average, layers.Maximum, layers.Minimum, layers.Multiply, layers.Subtract,
)  # fmt: skip
_POINTWISE_OPERATIONS = {
    "abs", "absolute", "add", "cast", "clip", "divide", "elu", "exp", "expm1", "gelu", "hard_sigmoid", "hard_silu",
    "leaky_relu", "log", "log1p", "maximum", "minimum", "mish", "multiply", "negative", "power", "reciprocal", "relu",
    "relu6", "rsqrt", "selu", "sigmoid", "silu", "softplus", "softsign", "sqrt", "square", "subtract", "tanh",
    "true_divide",
}  # fmt: skip
_OPERATIONS_ALONG = {"concatenate", "flip", "softmax"}
# What computes with the channels of a place, along the axis that it is told.
_ALONG_CHANNELS = (
    layers.BatchNormalization, layers.Concatenate, layers.LayerNormalization, layers.Softmax, layers.UnitNormalization,
)  # fmt: skip
_POOLING = {
    layers.GlobalAveragePooling2D: layers.AveragePooling2D,
    layers.GlobalMaxPooling2D: layers.MaxPooling2D,
    layers.AdaptiveAveragePooling2D: layers.AveragePooling2D,
    layers.AdaptiveMaxPooling2D: layers.MaxPooling2D,
}
_GLOBAL = (layers.GlobalAveragePooling2D, layers.GlobalMaxPooling2D)
# What looks at the whole image, or depends on its size.
_WHOLE = (
    layers.GroupNormalization, layers.Resizing, layers.CenterCrop, layers.RandomCrop, layers.Permute,
    layers.RepeatVector, layers.Dot, layers.Whitening, layers.SpectralNormalization, layers.TimeDistributed,
)  # fmt: skip

_IMAGE, _FLAT, _VECTOR = "an image", "a flattened image", "a vector"


class _State(NamedTuple):
    """What has become of a tensor: always images, (N, H, W, C), whatever it was before."""

    tensor: KerasTensor
    was: str
    size: tuple[int, int] = (1, 1)  # of what was flattened: how many places of the tensor an example covers


def to_fully_convolutional(model: Model) -> Model:
    """A copy of a classifier that takes larger images too, and gives scores for every place of them.

    `Flatten` and the dense layer behind it become a convolution whose window is as large as what was flattened, global
    pooling becomes pooling in such windows, and later dense layers become convolutions of one pixel (J. Long,
    E. Shelhamer and T. Darrell, "Fully Convolutional Networks for Semantic Segmentation", 2015). Where another layer,
    such as normalization, comes between the two, it gets the windows as vectors (`ops.image.extract_patches`), which
    takes as many times the image's memory as a window has places. The numbers are the
    same: an image of the original size gives one place with the original scores. A larger one gives the scores of the
    original model sliding over it, in steps of the product of all strides, at a fraction of the cost; exactly so where
    nothing before pads, as a border of zeros is only at the edge of the larger image.

    Args:
        model: a `Sequential` or functional model of one input of fixed size, (N, H, W, C), and one output; models in it
            are converted too. It is not changed, and shares no weights with the copy.

    Returns:
        A model from (N, H', W', C) to (N, H'', W'', outputs). Constraints on the kernels of dense layers are left out:
        they are about axes that the convolutions do not have.

    Raises:
        ValueError: the model has other inputs or outputs, or a layer that cannot slide; the message names it.

    Example:
        >>> from cnnfast import models
        >>> model = models.Sequential(
        ...     [layers.Input((8, 8, 1)), layers.Conv2D(4, 3), layers.Flatten(), layers.Dense(10)]
        ... )
        >>> sliding = to_fully_convolutional(model)
        >>> sliding(np.zeros((1, 8, 8, 1))).shape, sliding(np.zeros((1, 12, 9, 1))).shape
        ((1, 1, 1, 10), (1, 5, 2, 10))
    """
    graph = model._known_graph()
    if len(graph.inputs) != 1 or len(graph.outputs) != 1 or len(graph.inputs[0].shape) != 4:
        raise ValueError(
            f"to_fully_convolutional expects a model of one input, (N, H, W, C), and one output; {model.name} takes "
            f"{[t.shape for t in graph.inputs]} and gives {[t.shape for t in graph.outputs]}"
        )
    channels = graph.inputs[0].shape[-1]
    image = layers.Input((None, None, channels), name=graph.inputs[0].name)
    with initial_weights_from(lambda shape: np.zeros(shape, np.float32)):
        output = _converted(graph, _State(image, _IMAGE))
    if output.was == _FLAT:
        raise ValueError(f"to_fully_convolutional: {model.name} ends with a flattened image: there is no head")
    return Model(image, output.tensor, name=f"{model.name}_fully_convolutional")


def _converted(graph: Graph, given: _State) -> _State:
    """What the graph's output becomes where its input has become `given`."""
    states = {id(graph.inputs[0]): given}
    copies: dict[tuple[Layer, str], Layer] = {}
    for node in graph.nodes:
        inputs = [states[id(tensor)] for tensor in node.inputs]
        outputs = leaves(node.outputs)
        if len(outputs) != 1:
            raise _refusal(node.layer, "it has several outputs")
        if len({(state.was, state.size) for state in inputs}) > 1:
            raise _refusal(node.layer, f"it joins {' and '.join(sorted({state.was for state in inputs}))}")
        call = _Call(node, inputs[0], states, copies)
        states[id(outputs[0])] = call.converted()
    return states[id(graph.outputs[0])]


class _Call:
    """One call of a layer, and what it is converted to."""

    def __init__(
        self, node: Any, state: _State, states: dict[int, _State], copies: dict[tuple[Layer, str], Layer]
    ) -> None:
        self._node, self._layer, self._state = node, node.layer, state
        self._states, self._copies = states, copies
        self._shape = node.inputs[0].shape  # as it was

    def converted(self) -> _State:
        layer, was = self._layer, self._state.was
        if getattr(layer, "data_format", "channels_last") != "channels_last":
            raise _refusal(layer, "it has the channels first")
        if isinstance(layer, Model):
            return self._model()
        if type(layer) in (layers.Flatten, layers.Reshape):
            return self._flattened()
        if type(layer) is layers.Dense and was != _IMAGE:
            return self._dense()
        along = type(layer) in (*_ALONG_CHANNELS, layers.PReLU, layers.Activation)
        if was == _FLAT and along and not _is_pointwise(layer):
            self._spread()
            was = _VECTOR
        if was == _IMAGE:
            return self._pooled() if type(layer) in _POOLING else self._on_images()
        if type(layer) in _ALONG_CHANNELS and was == _VECTOR:
            return _State(self._called(self._along_last), was)
        if type(layer) is layers.PReLU and was == _VECTOR:
            return _State(self._called(lambda prelu: _clone(prelu, shared_axes=_behind_image(prelu))), was)
        one_pixel = type(layer) is layers.Conv2D and set(layer.kernel_size) == set(layer.strides) == {1}
        if _is_pointwise(layer) or (was == _VECTOR and (one_pixel or type(layer) is layers.Activation)):
            return self._state._replace(tensor=self._called(_clone))
        raise _refusal(layer, f"it computes with {was}")

    def _model(self) -> _State:
        shape = self._state.tensor.shape
        graph = self._layer._known_graph()
        if len(graph.inputs) != 1 or len(graph.outputs) != 1:
            raise _refusal(self._layer, "it is a model of several inputs or outputs")
        image = layers.Input(shape[1:])
        inner = _converted(graph, self._state._replace(tensor=image))
        part = Model(image, inner.tensor, name=self._layer.name)
        part._trainable = self._layer.trainable
        return inner._replace(tensor=part(self._state.tensor))

    def _flattened(self) -> _State:
        """Flatten and Reshape change nothing but what the tensor is taken for."""
        before, after = self._shape[1:], leaves(self._node.outputs)[0].shape[1:]
        if len(after) != 1 or after[0] is None or None in before:
            raise _refusal(self._layer, f"it makes {after} of {before}")
        if self._state.was != _IMAGE:
            return self._state
        size = before[0], before[1]
        return self._state._replace(was=_VECTOR if size == (1, 1) else _FLAT, size=size)

    def _spread(self) -> None:
        """Put what was flattened side by side in the channels of each place, for what treats each number on its own."""
        spread = {
            id(tensor): _State(extract_patches(self._states[id(tensor)].tensor, self._state.size, 1), _VECTOR)
            for tensor in self._node.inputs
        }
        self._states = self._states | spread
        self._state = spread[id(self._node.inputs[0])]

    def _dense(self) -> _State:
        size = self._state.size
        return _State(self._called(lambda layer: _convolution(layer, size), key=f"{size}"), _VECTOR)

    def _pooled(self) -> _State:
        """Pooling to a fixed size, as pooling in windows of a fixed size."""
        layer, sizes = self._layer, self._shape[1:3]
        target = (1, 1) if type(layer) in _GLOBAL else layer.output_size
        if None in sizes or any(n % m for n, m in zip(sizes, target, strict=True)):
            raise _refusal(layer, f"it pools {sizes} to {target}, which are no equal windows")
        window = tuple(n // m for n, m in zip(sizes, target, strict=True))
        tensor = self._state.tensor
        if window != (1, 1):
            strides = 1 if target == (1, 1) else window
            tensor = _POOLING[type(layer)](window, strides, name=layer.name)(tensor)
        return _State(tensor, _VECTOR if target == (1, 1) else _IMAGE)

    def _on_images(self) -> _State:
        layer = self._layer
        if type(layer) in _WHOLE:
            raise _refusal(layer, "it looks at the whole image")
        if type(layer) is layers.PReLU and not {1, 2} <= set(layer.shared_axes):
            raise _refusal(layer, "it has a slope for every place; shared_axes=[1, 2] has one for each channel")
        axis = getattr(layer, "axis", -1)
        if type(layer) in _ALONG_CHANNELS and axis not in (-1, 3, (-1,), [-1], (3,), [3]):
            raise _refusal(layer, f"axis={axis} is not that of the channels")
        if isinstance(layer, OperationLayer) and not (_is_pointwise(layer) or self._operates_along_channels()):
            raise _refusal(layer, "it may look further than one place")
        tensor = self._called(_clone)
        if len(tensor.shape) != 4 or tensor.shape[1:3] != (None, None):
            raise _refusal(layer, f"its output, {tensor.shape}, does not grow with the image")
        return _State(tensor, _IMAGE)

    def _operates_along_channels(self) -> bool:
        """Whether this is an operation along the last axis."""
        given = self._node.kwargs.get("axis", *self._node.args[1:2] or (-1,))
        return self._layer.function in _OPERATIONS_ALONG and given in (-1, len(self._shape) - 1)

    def _along_last(self, layer: Layer) -> Layer:
        axis = getattr(layer, "axis", -1)
        axis = axis[0] if isinstance(axis, (tuple, list)) and len(axis) == 1 else axis
        if axis not in (-1, len(self._shape) - 1):
            raise _refusal(layer, f"axis={axis} is not the last")
        return _clone(layer, axis=-1)

    def _called(self, copied: Any, key: str = "") -> KerasTensor:
        """The call with a copy of its layer and what its inputs have become."""
        copy = self._copies.get((self._layer, key))
        if copy is None:
            copy = self._copies[self._layer, key] = copied(self._layer)

        def replaced(leaf: Any) -> Any:
            return self._states[id(leaf)].tensor if isinstance(leaf, KerasTensor) else leaf

        y: KerasTensor = copy(*map_leaves(replaced, self._node.args), **map_leaves(replaced, self._node.kwargs))
        for new, old in zip(copy.weights, self._layer.weights, strict=True):
            new.assign(old.numpy().reshape(new.shape))
        return y


def _is_pointwise(layer: Layer) -> bool:
    if isinstance(layer, layers.Activation):
        return getattr(layer.activation, "__name__", "") not in ("softmax", "log_softmax", "sparsemax", "glu")
    if isinstance(layer, OperationLayer):
        return layer.function in _POINTWISE_OPERATIONS
    return type(layer) in _POINTWISE


def _clone(layer: Layer, **changes: Any) -> Layer:
    made: Layer = type(layer).from_config(layer.get_config() | changes)
    return made


def _behind_image(layer: layers.PReLU) -> tuple[int, ...]:
    """The axes along which a slope for vectors is one slope for images of them."""
    return (1, 2, 3) if layer.shared_axes else (1, 2)


def _convolution(layer: Any, size: tuple[int, int]) -> Layer:
    """The convolution that computes what a dense layer does."""
    config = layer.get_config()
    for key in ("units", "kernel_constraint", "input_shape"):
        config.pop(key, None)
    return layers.Conv2D.from_config(config | {"filters": layer.units, "kernel_size": size})


def _refusal(layer: Layer, why: str) -> ValueError:
    return ValueError(f"to_fully_convolutional: {type(layer).__name__} {layer.name!r} cannot slide over images: {why}")
