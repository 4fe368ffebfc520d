"""What the networks share: the arguments that they check alike, the input, the end, and weights from a file."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from cnnfast import activations, layers
from cnnfast.arguments import positive_int
from cnnfast.layers.base import initial_weights_from
from cnnfast.layers.core import InputLayer
from cnnfast.models import Model
from cnnfast.symbolic import KerasTensor, Shape

PathLike = str | os.PathLike[str]


class Arguments(NamedTuple):
    """The arguments that all networks take; `cnnfast.applications.VGG16` tells what they mean."""

    include_top: bool
    weights: PathLike | None
    input_tensor: KerasTensor | None
    input_shape: Sequence[int | None] | None
    pooling: str | None
    classes: int
    classifier_activation: Any


class Network:
    """One network while it is being built: where it begins, how it ends, and what becomes of it.

    Args:
        owner: the network's name, for messages.
        image: where it begins.
        inputs: what the model takes: `image`, or what that is computed from.
        arguments: what was asked for.

    Raises:
        ValueError: an argument is out of range.
    """

    def __init__(self, owner: str, image: KerasTensor, inputs: Any, arguments: Arguments) -> None:
        if arguments.pooling not in (None, "avg", "max"):
            raise ValueError(f"{owner}: pooling expects None, 'avg' or 'max', got {arguments.pooling!r}")
        self.owner, self.image, self._inputs = owner, image, inputs
        self.include_top, self._pooling = bool(arguments.include_top), arguments.pooling
        self.classes = positive_int(owner, "classes", arguments.classes)
        self.classifier_activation = arguments.classifier_activation
        self._weights = arguments.weights
        if self.include_top and self._weights is not None:
            _check_activation(owner, self.classifier_activation)

    def ended(self, x: Any, top: Callable[[Network, Any], Any], avg: str | None = None, max: str | None = None) -> Any:
        """The features with the network's top, or pooled, or as they are.

        Args:
            x: the features.
            top: makes the class scores of this network and them.
            avg: the name of the layer that takes the features' mean where there is no top.
            max: the name of the one that takes their maximum.
        """
        if self.include_top:
            return top(self, x)
        if self._pooling == "avg":
            return layers.GlobalAveragePooling2D(name=avg)(x)
        if self._pooling == "max":
            return layers.GlobalMaxPooling2D(name=max)(x)
        return x

    def classifier(self, x: Any, name: str = "predictions") -> Any:
        """The dense layer that gives every class its score."""
        return layers.Dense(self.classes, activation=self.classifier_activation, name=name)(x)

    def model(self, outputs: Any, name: str | None) -> Model:
        """The finished model, with the file's weights if one was given."""
        model = Model(self._inputs, outputs, name=name)
        if self._weights is not None:
            if self.include_top or not _is_from_torch(self._weights):
                model.load_weights(self._weights)
            else:
                _load_features(self.owner, model, self._weights)
        return model


def pooled_classifier(net: Network, x: Any, name: str = "predictions") -> Any:
    """The most usual top: the mean of every channel, and a dense layer for the class scores."""
    return net.classifier(layers.GlobalAveragePooling2D(name="avg_pool")(x), name)


@contextmanager
def building(
    owner: str, arguments: Arguments, *, size: int = 224, min_size: int = 32, channels: int = 3
) -> Iterator[Network]:
    """A block in which a network is built, on its input and with its arguments checked.

    Args:
        owner: the network's name, for messages.
        arguments: what was asked for.
        size: the side of its images where nothing else is said.
        min_size: the least that it can take.
        channels: the images' channels where nothing else is said.

    Raises:
        ValueError: an argument does not fit.
        TypeError: `input_tensor` is not a symbolic tensor, or `weights` is no path.
        FileNotFoundError: there is no file `weights`.
    """
    _check_weights(owner, arguments.weights)
    tensor, given = arguments.input_tensor, arguments.input_shape
    if tensor is None:
        image = inputs = layers.Input(_image_shape(owner, given, size, channels, arguments.include_top))
    else:
        image, inputs = tensor, _source_inputs(owner, tensor)
        _check_given(owner, image.shape, given)
    _check_sizes(owner, image.shape[1:], min_size, arguments.include_top)
    with ExitStack() as stack:
        if arguments.weights is not None:  # they replace whatever the layers begin with
            stack.enter_context(initial_weights_from(_zeros))
        yield Network(owner, image, inputs, arguments)


def one_of(owner: str, name: str, value: Any, known: Sequence[str]) -> str:
    """The value of an argument that has a few names.

    Raises:
        ValueError: it is none of them.

    Example:
        >>> one_of("ResNet50", "style", "keras", ("keras", "torchvision"))
        'keras'
    """
    if value not in known:
        raise ValueError(f"{owner}: {name} expects {' or '.join(map(repr, known))}, got {value!r}")
    return str(value)


def bordered(x: Any, border: int, name: str) -> Any:
    """An image with zeros around it, where there are to be any.

    Keras's convolutions know no border but "same", which is not the same on all sides behind a stride.

    Example:
        >>> from cnnfast import layers
        >>> bordered(layers.Input((6, 6, 3)), 1, "conv1_pad").shape
        (None, 8, 8, 3)
    """
    return layers.ZeroPadding2D(border, name=name)(x) if border else x


def halved_up(x: Any, name: str) -> Any:
    """The largest value of windows of 3 in steps of 2, the last of which may reach one pixel out of the image.

    What Caffe and PyTorch's `ceil_mode` do: half the size, rounded up where it is even. For values that are not
    negative, as behind ReLU: a border of zeros never wins then.

    Args:
        x: images, a symbolic tensor.
        name: the layer's name.

    Example:
        >>> halved_up(layers.Input((54, 55, 8)), "pool").shape
        (None, 27, 27, 8)
    """
    odd = {None if n is None else n % 2 for n in x.shape[1:3]}
    if odd == {1}:
        return layers.MaxPooling2D(3, 2, name=name)(x)
    if odd == {0}:
        return layers.MaxPooling2D(3, 2, padding="same", name=name)(x)
    return layers.MaxPooling2D(3, 2, name=name)(layers.ZeroPadding2D(((0, 1), (0, 1)), name=f"{name}_pad")(x))


def _zeros(shape: tuple[int, ...]) -> npt.NDArray[np.float32]:
    return np.zeros(shape, np.float32)


def _check_weights(owner: str, weights: Any) -> None:
    if weights is None:
        return
    if weights == "imagenet":
        raise ValueError(
            f"{owner}: weights='imagenet' cannot be honoured: nothing is downloaded; give the path of a file of "
            "weights, or None for random ones"
        )
    if not isinstance(weights, (str, os.PathLike)):
        raise TypeError(f"{owner}: weights expects None or the path of a file, got {weights!r}")
    if not os.path.exists(weights):
        raise FileNotFoundError(f"{owner}: weights={os.fspath(weights)!r}: no such file")


def _is_from_torch(path: PathLike) -> bool:
    return os.fspath(path).lower().endswith((".pth", ".pt", ".bin"))


def _load_features(owner: str, model: Model, path: PathLike) -> None:
    """Weights from a file of a whole network, whose top is not wanted: PyTorch's files come with it."""
    from cnnfast.interop.torch.weights import load_torch_weights

    report = load_torch_weights(model, path, strict=False)
    if report.missing:
        raise ValueError(f"{owner}: {os.fspath(path)} has nothing for {', '.join(report.missing[:5])}")
    # A top is a part by itself; what lies among the parts that fit belongs to a deeper network.
    used, unused = [row.source.split(".") for row in report.loaded], [name.split(".") for name in report.unused]
    names = [*used, *unused]
    longest = max(map(len, names), default=0)
    depth = next((n for n in range(1, longest + 1) if len({tuple(name[:n]) for name in names}) > 1), longest)
    fitting = {tuple(name[:depth]) for name in used}
    more = [".".join(name) for name in unused if tuple(name[:depth]) in fitting]
    if more:
        raise ValueError(f"{owner}: {os.fspath(path)} is of another network, it also has {', '.join(more[:5])}")


def _check_activation(owner: str, activation: Any) -> None:
    known = (activations.get("softmax"), activations.get("linear"))
    if activation is not None and activations.get(activation) not in known:
        raise ValueError(
            f"{owner}: classifier_activation expects None or 'softmax' where weights are loaded, got {activation!r}"
        )


def _image_shape(
    owner: str, given: Sequence[int | None] | None, size: int, channels: int, include_top: bool
) -> tuple[int | None, ...]:
    if given is None:
        return (size, size, channels) if include_top else (None, None, channels)
    if not isinstance(given, (list, tuple)) or len(given) != 3:
        raise ValueError(f"{owner}: input_shape expects (height, width, channels), got {given!r}")
    return tuple(given)


def _check_given(owner: str, shape: Shape, input_shape: Sequence[int | None] | None) -> None:
    if len(shape) != 4:
        raise ValueError(f"{owner}: input_tensor expects images, (N, H, W, C), got shape {shape}")
    if input_shape is not None and tuple(input_shape) != tuple(shape[1:]):
        raise ValueError(f"{owner}: input_shape={tuple(input_shape)} expects that of input_tensor, {tuple(shape[1:])}")


def _check_sizes(owner: str, shape: Sequence[int | None], min_size: int, include_top: bool) -> None:
    if shape[-1] is None:
        raise ValueError(f"{owner}: input_shape expects a fixed number of channels, got {tuple(shape)}")
    if include_top and None in shape:
        raise ValueError(f"{owner}: input_shape expects fixed sizes where include_top=True, got {tuple(shape)}")
    if any(n is not None and n < min_size for n in shape[:2]):
        raise ValueError(f"{owner}: input_shape expects images of at least {min_size}x{min_size}, got {tuple(shape)}")


def _source_inputs(owner: str, tensor: Any) -> Any:
    """The inputs that a symbolic tensor is computed from: one, or a list."""
    if not isinstance(tensor, KerasTensor):
        raise TypeError(f"{owner}: input_tensor expects a tensor from Input or layers called on it, got {tensor!r}")
    found: dict[int, KerasTensor] = {}
    seen: set[int] = set()
    waiting = [tensor]
    while waiting:
        one = waiting.pop()
        if id(one) in seen:
            continue
        seen.add(id(one))
        if one.node is None or isinstance(one.node.layer, InputLayer):
            found[id(one)] = one
        else:
            waiting += reversed(one.node.inputs)
    inputs = list(found.values())
    return inputs[0] if len(inputs) == 1 else inputs
