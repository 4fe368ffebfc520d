"""The sections that join layers or need no weights, and the heads."""

from __future__ import annotations

import math
from typing import Any

from cnnfast import layers, ops
from cnnfast.interop.darknet.plan import (
    Head,
    Image,
    Place,
    Plan,
    Shape,
    activation,
    as_image,
    as_image_shape,
    as_vector,
)


def route(place: Place) -> Plan:
    """Other layers' outputs, or the same part of each, joined along the channels."""
    s = place.section
    numbers = place.numbers("layers")
    shapes = [place.shape_of(n, "layers") for n in numbers]
    images = [as_image_shape(shape) for shape in shapes]
    groups = s.integer("groups", 1, 1)
    part = s.integer("group_id", 0, 0, groups - 1)
    if len({image[:2] for image in images}) > 1:
        s.fail(f"expects images of one size, got {images}", "layers")
    if any(image[2] % groups for image in images):
        s.fail(f"expects to divide the channels of {images}", "groups")
    shape = (*images[0][:2], sum(image[2] for image in images) // groups)
    flat = groups == 1 and all(len(own) == 1 for own in shapes)

    def make(inputs: list[Any]) -> Any:
        if not flat:
            inputs = [as_image(x, own) for x, own in zip(inputs, shapes, strict=True)]
        if groups > 1:
            inputs = [_channels(place, x, image, groups, part) for x, image in zip(inputs, images, strict=True)]
        return inputs[0] if len(inputs) == 1 else layers.Concatenate(name=place.name())(inputs)

    return place.plan(shape[2:] if flat else shape, make, numbers)


def _channels(place: Place, x: Any, image: Image, groups: int, part: int) -> Any:
    """One of the groups into which the channels are divided."""
    height, width, channels = image
    own = channels // groups
    x = layers.Reshape((height * width, channels, 1))(x)
    x = layers.Cropping2D(((0, 0), (part * own, channels - (part + 1) * own)))(x)
    return layers.Reshape((height, width, own))(x)


def shortcut(place: Place) -> Plan:
    """The sum with other layers; where these have more or fewer channels, the first of them are added."""
    s, shape = place.section, place.image
    if s.text("weights_type", "none") != "none":
        s.fail("cannot be honoured: weighted sums are not supported", "weights_type")
    s.text("weights_normalization", "none")
    for key in ("alpha", "beta"):
        if s.real(key, 1.0) != 1.0:
            s.fail("cannot be honoured: weighted sums are not supported", key)
    numbers = place.numbers("from")
    shapes = [place.shape_of(n, "from") for n in numbers]
    for own in shapes:
        if as_image_shape(own)[:2] != shape[:2]:
            s.fail(f"expects images of {shape[:2]}, got {own[:2]}: versions of darknet differ then", "from")
    before, finish = place.previous, activation(place, "linear", shape)

    def make(inputs: list[Any]) -> Any:
        parts = [as_image(inputs[0], before)]
        for x, own in zip(inputs[1:], shapes, strict=True):
            parts.append(_with_channels(place, as_image(x, own), as_image_shape(own), shape[2]))
        return finish(layers.Add(name=place.name())(parts))

    return place.plan(shape, make, [place.index - 1, *numbers])


def _with_channels(place: Place, x: Any, image: Image, count: int) -> Any:
    """The first channels, with zeros behind where there are too few."""
    height, width, channels = image
    if channels > count:
        x = layers.Reshape((height * width, channels, 1))(x)
        x = layers.Cropping2D(((0, 0), (0, channels - count)))(x)
        return layers.Reshape((height, width, count))(x)
    if channels < count:
        widths = [[0, 0], [0, 0], [0, 0], [0, count - channels]]
        return layers.Lambda(ops.pad, output_shape=(height, width, count), arguments={"pad_width": widths})(x)
    return x


def scale_channels(place: Place) -> Plan:
    """Another layer's image, times a number for each of its channels or, with `scale_wh`, for each pixel."""
    s, factors = place.section, place.image
    (number,) = _one(place)
    shape = as_image_shape(place.shape_of(number, "from"))
    expected = (*shape[:2], 1) if s.flag("scale_wh") else (1, 1, shape[2])
    if factors != expected:
        s.fail(f"expects factors of shape {expected} for layer {number} of shape {shape}, got {factors}", "from")
    return _multiplied(place, number, shape)


def sam(place: Place) -> Plan:
    """The product with another layer, number by number."""
    (number,) = _one(place)
    shape = as_image_shape(place.shape_of(number, "from"))
    if shape != place.image:
        place.section.fail(f"expects a layer of shape {place.image}, got {shape}", "from")
    return _multiplied(place, number, shape)


def _one(place: Place) -> list[int]:
    numbers = place.numbers("from")
    if len(numbers) > 1:
        place.section.fail("expects one layer's number", "from")
    return numbers


def _multiplied(place: Place, number: int, shape: Image) -> Plan:
    finish, before, other = activation(place, "linear", shape), place.previous, place.shape_of(number)

    def make(inputs: list[Any]) -> Any:
        pair = [as_image(inputs[0], before), as_image(inputs[1], other)]
        return finish(layers.Multiply(name=place.name())(pair))

    return place.plan(shape, make, [place.index - 1, number])


def dropout(place: Place) -> Plan:
    """Values dropped in training."""
    s = place.section
    s.refuse({"dropblock": "blocks of pixels are not dropped here; take the section out for inference"})
    for key in ("dropblock_size_rel", "dropblock_size_abs"):
        s.real(key, 0.0)
    rate = s.real("probability", 0.2, 0.0, 1.0)
    if rate == 1.0:
        s.fail("expects a number below 1", "probability")
    return place.plan(place.previous, lambda inputs: layers.Dropout(rate, name=place.name())(inputs[0]))


def softmax(place: Place) -> Plan:
    """Numbers with sum 1: all of an image, groups of them or, with `spatial`, those of each pixel."""
    s, before = place.section, place.previous
    if "tree" in s.options:
        s.fail("cannot be honoured: hierarchies of classes are not supported", "tree")
    groups = s.integer("groups", 1, 1)
    temperature = s.real("temperature", 1.0)
    if temperature <= 0:
        s.fail("expects a positive number", "temperature")
    spatial = s.flag("spatial") and len(before) == 3
    count = math.prod(before)
    if count % groups or (spatial and groups > 1):
        s.fail("expects to divide the numbers before it, and 1 where spatial is set", "groups")
    shape: Shape = before if spatial else (count,)

    def make(inputs: list[Any]) -> Any:
        x = inputs[0] if spatial else as_vector(inputs[0], before)
        if temperature != 1.0:
            x = layers.Rescaling(1.0 / temperature, name=place.name("temperature"))(x)
        if groups == 1:
            return layers.Softmax(name=place.name())(x)
        x = layers.Softmax(name=place.name())(layers.Reshape((groups, count // groups))(x))
        return layers.Reshape((count,))(x)

    return place.plan(shape, make)


def active(place: Place) -> Plan:
    """An activation by itself."""
    finish = activation(place, "linear", place.previous)
    return place.plan(place.previous, lambda inputs: finish(inputs[0]))


def empty(place: Place) -> Plan:
    """Nothing."""
    return place.plan(place.previous, lambda inputs: inputs[0])


def cost(place: Place) -> Plan:
    """A loss, of no use after training."""
    return place.plan(place.previous, None)


# Heads


def yolo(place: Place) -> Plan:
    """The boxes of versions 3 and 4: anchors in pixels of the network's input, chosen by a mask."""
    s = place.section
    _refuse_files(place)
    if "embedding_layer" in s.options:
        s.fail("cannot be honoured: tracking is not supported", "embedding_layer")
    total = s.integer("num", 1, 1, 10_000)
    mask = s.integers("mask") or list(range(total))
    if not all(0 <= m < total for m in mask):
        s.fail(f"expects numbers from 0 to {total - 1}, as num={total}", "mask")
    anchors = _anchors(place, total)
    head = Head(
        kind="yolo",
        line=s.line,
        anchors=tuple(anchors[m] for m in mask),
        classes=s.integer("classes", 20, 1, MOST_CLASSES),
        grid=place.image[:2],
        input_size=as_image_shape(place.input_shape)[:2],
        scale_x_y=s.real("scale_x_y", 1.0, 0.0),
        new_coords=s.flag("new_coords"),
    )
    return _head(place, head, "mask")


def region(place: Place) -> Plan:
    """The boxes of version 2: anchors in cells."""
    s = place.section
    _refuse_files(place)
    s.refuse({"background": "boxes without objectness are not supported", "classfix": "it is not supported"})
    if s.integer("coords", 4) != 4:
        s.fail("expects 4", "coords")
    total = s.integer("num", 1, 1, 10_000)
    head = Head(
        kind="region",
        line=s.line,
        anchors=tuple(_anchors(place, total)),
        classes=s.integer("classes", 20, 1, MOST_CLASSES),
        grid=place.image[:2],
        input_size=None,
        softmax=s.flag("softmax"),
    )
    return _head(place, head, "num")


MOST_CLASSES = 1_000_000


def _refuse_files(place: Place) -> None:
    for key in ("map", "tree"):
        if key in place.section.options:
            place.section.fail("cannot be honoured: hierarchies of classes are not supported", key)


def _anchors(place: Place, total: int) -> list[tuple[float, float]]:
    numbers = place.section.reals("anchors")
    if len(numbers) < 2 * total or min(numbers) <= 0:
        place.section.fail(f"expects at least {2 * total} positive numbers, as num={total}", "anchors")
    return [(numbers[2 * i], numbers[2 * i + 1]) for i in range(total)]


def _head(place: Place, head: Head, key: str) -> Plan:
    channels = len(head.anchors) * (head.classes + 5)
    if place.image[2] != channels:
        place.section.fail(
            f"and classes={head.classes} expect {channels} channels before it, got {place.image[2]}",
            key if key in place.section.options else "classes",
        )
    before = place.previous
    return place.plan(place.image, lambda inputs: as_image(inputs[0], before), head=head)
