"""What a section of a `.cfg` will be: its output's shape, its weights and how to make it, before anything is made."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from cnnfast import layers, ops
from cnnfast.interop.darknet.cfg import Section

Shape = tuple[int, ...]  # (H, W, C), or (n,) where there is no image
Image = tuple[int, int, int]

LARGEST_SIDE = 1 << 16
LARGEST_MAP = 1 << 28  # numbers in a layer's output for one image: 1 GB
MOST_CHANNELS = 1 << 24


@dataclass(frozen=True)
class Head:
    """A `[yolo]` or `[region]` section: how the raw map before it is to be read.

    Attributes:
        kind: "yolo" or "region".
        line: its line in the file.
        anchors: width and height of each anchor that the map has, in pixels of the input ("yolo") or cells ("region").
        classes: the number of classes.
        grid: height and width of the map.
        input_size: height and width of the network's input where anchors are in its pixels, else None.
        scale_x_y: stretches the middles of boxes around those of their cells.
        new_coords: whether boxes are written as in scaled YOLOv4.
        softmax: whether the classes exclude each other.
    """

    kind: str
    line: int
    anchors: tuple[tuple[float, float], ...]
    classes: int
    grid: tuple[int, int]
    input_size: tuple[int, int] | None
    scale_x_y: float = 1.0
    new_coords: bool = False
    softmax: bool = False


@dataclass
class Weighted:
    """A section's weights in a file, and the layers that they belong to when these are made.

    Attributes:
        section: where it is described.
        kind: "convolutional", "connected" or "batchnorm".
        filters: outputs of a layer.
        kernel: the shape of its kernel in a file: (filters, channels of a group, size, size) or (outputs, inputs).
        normalized: whether its batch normalization has weights too.
        flipped: whether the kernel is written with the outputs last.
        layer: the convolution or dense layer.
        norm: the batch normalization.
    """

    section: Section
    kind: str
    filters: int
    kernel: Shape = ()
    normalized: bool = False
    flipped: bool = False
    layer: Any = None
    norm: Any = None

    @property
    def count(self) -> int:
        """How many numbers they are."""
        return self.filters * (4 if self.normalized else 1) + (math.prod(self.kernel) if self.kernel else 0)


@dataclass(frozen=True)
class Origin:
    """What a model remembers of the network that it was made of.

    Attributes:
        heads: how to read its outputs.
        weighted: its layers with weights, in the order of a file of weights.
    """

    heads: list[Head]
    weighted: list[Weighted]


class Plan(NamedTuple):
    """A section that was checked.

    Attributes:
        shape: its output's; of a head the raw map's.
        make: what makes it from its sources' symbolic tensors; None where nothing can take its result.
        sources: the numbers of the layers that it takes, -1 for the network's input.
        weights: those in the file, if it has any.
        head: how to decode the raw map, if it is a head.
    """

    shape: Shape
    make: Callable[[list[Any]], Any] | None
    sources: tuple[int, ...]
    weights: Weighted | None = None
    head: Head | None = None


class Place:
    """A section and what is before it.

    Args:
        section: the section.
        index: its number among the layers.
        shapes: the shapes of the network's input and of all layers before; None where there is nothing to take.
        input_shape: the shape of the network's input.
        epsilon: that of batch normalization.
    """

    def __init__(
        self, section: Section, index: int, shapes: Sequence[Shape | None], input_shape: Shape, epsilon: float
    ) -> None:
        self.section, self.index, self.input_shape, self.epsilon = section, index, input_shape, epsilon
        self._shapes = shapes

    def name(self, part: str = "") -> str:
        """The name of a layer that is made of the section."""
        return f"{self.section.kind}_{self.index}{part and '_'}{part}"

    def shape_of(self, number: int, key: str | None = None) -> Shape:
        """The shape of a layer's output; -1 is the network's input."""
        shape = self._shapes[number + 1]
        if shape is None:
            self.section.fail(f"takes the output of layer {number}, which is for decoding or training only", key)
        return shape

    @property
    def previous(self) -> Shape:
        """The shape of what the section follows."""
        return self.shape_of(self.index - 1)

    @property
    def image(self) -> Image:
        """The same as height, width and channels."""
        return as_image_shape(self.previous)

    def numbers(self, key: str) -> list[int]:
        """The layers that a key names, of which there is at least one; negative ones count from the section back."""
        given = self.section.integers(key)
        if not given:
            self.section.fail("expects at least one layer's number", key)
        found = [n if n >= 0 else self.index + n for n in given]
        for number, written in zip(found, given, strict=True):
            if not 0 <= number < self.index:
                self.section.fail(f"expects numbers of layers before this one, layer {self.index}, got {written}", key)
        return found

    def check_padded(self, shape: Shape) -> None:
        """Refuse an input that is too large together with its padding, which the engine may copy."""
        if math.prod(shape) > LARGEST_MAP:
            self.section.fail(f"expects inputs of at most {LARGEST_MAP} numbers with their padding, would have {shape}")

    def plan(
        self,
        shape: Shape,
        make: Callable[[list[Any]], Any] | None,
        sources: Sequence[int] | None = None,
        weights: Weighted | None = None,
        head: Head | None = None,
    ) -> Plan:
        """A plan, after its shape was checked."""
        if min(shape) < 1:
            self.section.fail(f"leaves nothing of its input: the output's shape would be {shape}")
        if math.prod(shape) > LARGEST_MAP:
            self.section.fail(f"expects outputs of at most {LARGEST_MAP} numbers, would have {shape}")
        return Plan(shape, make, (self.index - 1,) if sources is None else tuple(sources), weights, head)


def as_image_shape(shape: Shape) -> Image:
    """A vector's shape as that of an image of one pixel."""
    return (1, 1, shape[0]) if len(shape) == 1 else (shape[0], shape[1], shape[2])


def as_image(x: Any, shape: Shape) -> Any:
    """A vector as an image of one pixel."""
    return layers.Reshape((1, 1, shape[0]))(x) if len(shape) == 1 else x


def as_vector(x: Any, shape: Shape) -> Any:
    """An image as a vector, in darknet's order: channel by channel."""
    if len(shape) == 1:
        return x
    if shape[0] * shape[1] > 1:
        x = layers.Permute((3, 1, 2))(x)
    return layers.Flatten()(x)


def activation(place: Place, default: str, shape: Shape) -> Callable[[Any], Any]:
    """What applies the section's activation to a tensor of this shape."""
    section = place.section
    name = section.text("activation", default)
    made: Callable[[], Any]
    if name == "linear":
        return lambda x: x
    if name in _LEAKY:
        made = lambda: layers.LeakyReLU(_LEAKY[name], name=place.name(name))  # noqa: E731
    elif name in _ACTIVATIONS:
        made = lambda: layers.Activation(_ACTIVATIONS[name], name=place.name(name))  # noqa: E731
    elif name == "gelu":
        made = lambda: layers.Lambda(  # noqa: E731
            ops.gelu, output_shape=shape, arguments={"approximate": True}, name=place.name(name)
        )
    else:
        known = ", ".join(sorted(["gelu", "linear", *_LEAKY, *_ACTIVATIONS]))
        section.fail(f"is not supported; there are {known}", "activation")
    return lambda x: made()(x)


_LEAKY = {"leaky": 0.1, "relie": 0.01}
_ACTIVATIONS = {
    "elu": "elu",
    "hardtan": "hard_tanh",
    "logistic": "sigmoid",
    "mish": "mish",
    "relu": "relu",
    "relu6": "relu6",
    "selu": "selu",
    "swish": "silu",
    "tanh": "tanh",
}
