"""The sections with weights, and those that change an image's size."""

from __future__ import annotations

import math
from typing import Any

from cnnfast import layers, ops
from cnnfast.interop.darknet.keys import REFUSED_CONVOLUTIONAL, REFUSED_MAXPOOL
from cnnfast.interop.darknet.plan import (
    LARGEST_SIDE,
    MOST_CHANNELS,
    Image,
    Place,
    Plan,
    Weighted,
    activation,
    as_image,
    as_vector,
)


def convolutional(place: Place) -> Plan:
    """A convolution with a bias or batch normalization, and its activation.

    Padding is the same on all sides, also at strides, unlike "same" of Keras.
    """
    s, (height, width, channels) = place.section, place.image
    s.refuse(REFUSED_CONVOLUTIONAL)
    if "share_index" in s.options:
        s.fail("cannot be honoured: layers that share weights are not supported", "share_index")
    filters = s.integer("filters", 1, 1, MOST_CHANNELS)
    groups = s.integer("groups", 1, 1, MOST_CHANNELS)
    if filters % groups or channels % groups:
        s.fail(f"expects to divide {channels} input channels and {filters} filters", "groups")
    size = s.integer("size", 1, 1, LARGEST_SIDE)
    strides = _strides(place)
    dilation = s.integer("dilation", 1, 1, LARGEST_SIDE)
    dilation = 1 if size == 1 else dilation
    padding = s.integer("padding", 0, 0, LARGEST_SIDE)
    padding = size // 2 if s.flag("pad") else padding
    place.check_padded((height + 2 * padding * dilation, width + 2 * padding * dilation, channels))
    reach = (size - 1) * dilation + 1
    out = [(n + 2 * padding - size) // stride + 1 for n, stride in zip((height, width), strides, strict=True)]
    real = [(n + 2 * padding * dilation - reach) // st + 1 for n, st in zip((height, width), strides, strict=True)]
    if out != real:
        s.fail(f"and padding {padding} make darknet's output {out}, and a dilated convolution's {real}", "dilation")
    shape = (*out, filters)
    weights = Weighted(
        s,
        "convolutional",
        filters,
        (filters, channels // groups, size, size),
        s.flag("batch_normalize"),
        s.flag("flipped"),
    )
    finish = activation(place, "logistic", shape)
    before = place.previous

    def make(inputs: list[Any]) -> Any:
        weights.layer = layers.Conv2D(
            filters,
            size,
            strides,
            padding=((padding * dilation,) * 2,) * 2 if padding else "valid",
            dilation_rate=dilation,
            groups=groups,
            use_bias=not weights.normalized,
            name=place.name(),
        )
        return finish(_normalized(place, weights, weights.layer(as_image(inputs[0], before))))

    return place.plan(shape, make, weights=weights)


def connected(place: Place) -> Plan:
    """A dense layer; an image before it is taken channel by channel."""
    s, before = place.section, place.previous
    units = s.integer("output", 1, 1, MOST_CHANNELS)
    weights = Weighted(s, "connected", units, (units, math.prod(before)), s.flag("batch_normalize"))
    finish = activation(place, "logistic", (units,))

    def make(inputs: list[Any]) -> Any:
        weights.layer = layers.Dense(units, use_bias=not weights.normalized, name=place.name())
        return finish(_normalized(place, weights, weights.layer(as_vector(inputs[0], before))))

    return place.plan((units,), make, weights=weights)


def batchnorm(place: Place) -> Plan:
    """Batch normalization by itself."""
    weights = Weighted(place.section, "batchnorm", place.previous[-1], (), True)
    return place.plan(place.previous, lambda inputs: _normalized(place, weights, inputs[0]), weights=weights)


def _normalized(place: Place, weights: Weighted, x: Any) -> Any:
    if not weights.normalized:
        return x
    alone = weights.kind == "batchnorm"
    weights.norm = layers.BatchNormalization(epsilon=place.epsilon, name=place.name("" if alone else "bn"))
    return weights.norm(x)


def _strides(place: Place) -> tuple[int, int]:
    """Steps down and to the right."""
    s = place.section
    both = s.integer("stride", 1, 1, LARGEST_SIDE)
    return s.integer("stride_y", both, 1, LARGEST_SIDE), s.integer("stride_x", both, 1, LARGEST_SIDE)


# Pooling


def maxpool(place: Place) -> Plan:
    """The largest value of windows."""
    place.section.refuse(REFUSED_MAXPOOL)
    return _pooling(place, layers.MaxPooling2D, ops.max_pool2d)


def local_avgpool(place: Place) -> Plan:
    """The mean of windows; padding does not count."""
    return _pooling(place, layers.AveragePooling2D, ops.avg_pool2d)


def _pooling(place: Place, layer: Any, operation: Any) -> Plan:
    """A pooling whose padding is the window's size less one in all, the smaller half of it in front."""
    s, (height, width, channels) = place.section, place.image
    strides = _strides(place)
    size = s.integer("size", s.integer("stride", 1), 1, LARGEST_SIDE)
    padding = s.integer("padding", size - 1, 0, LARGEST_SIDE)
    sides = (height, width)
    out = [(n + padding - size) // stride + 1 for n, stride in zip(sides, strides, strict=True)]
    first = padding // 2
    if first >= size:
        s.fail(f"expects less than twice the window's size, {size}: it would see nothing but padding", "padding")
    # What the last window needs behind the image; nothing where it ends before.
    last = [(m - 1) * stride + size - first - n for m, stride, n in zip(out, strides, sides, strict=True)]
    if max(last) >= size:
        s.fail(f"expects less than twice the window's size, {size}: it would see nothing but padding", "padding")
    pairs = tuple((first, max(n, 0)) for n in last)
    place.check_padded((height + sum(pairs[0]), width + sum(pairs[1]), channels))
    shape: Image = (out[0], out[1], channels)
    before = place.previous

    def make(inputs: list[Any]) -> Any:
        x = as_image(inputs[0], before)
        if not any(map(any, pairs)):
            return layer(size, strides, name=place.name())(x)
        if pairs == _same_padding(sides, size, strides):
            return layer(size, strides, padding="same", name=place.name())(x)
        arguments = {"pool_size": size, "strides": list(strides), "padding": [list(pair) for pair in pairs]}
        return layers.Lambda(operation, output_shape=shape, arguments=arguments, name=place.name())(x)

    return place.plan(shape, make)


def _same_padding(sides: tuple[int, int], size: int, strides: tuple[int, int]) -> tuple[tuple[int, int], ...]:
    """What "same" of Keras means for an image."""
    totals = [max((-(-n // stride) - 1) * stride + size - n, 0) for n, stride in zip(sides, strides, strict=True)]
    return tuple((total // 2, total - total // 2) for total in totals)


def avgpool(place: Place) -> Plan:
    """The mean of each channel."""
    before = place.previous

    def make(inputs: list[Any]) -> Any:
        return layers.GlobalAveragePooling2D(name=place.name())(as_image(inputs[0], before))

    return place.plan(place.image[2:], make)


# Other sizes


def upsample(place: Place) -> Plan:
    """Every pixel repeated."""
    s, (height, width, channels) = place.section, place.image
    factor = s.integer("stride", 2, -LARGEST_SIDE, LARGEST_SIDE)
    if factor < 1:
        s.fail("expects a positive number: reducing images in this way is not supported", "stride")
    scale = s.real("scale", 1.0)
    before = place.previous

    def make(inputs: list[Any]) -> Any:
        x = layers.UpSampling2D(factor, name=place.name())(as_image(inputs[0], before))
        return x if scale == 1.0 else layers.Rescaling(scale, name=place.name("scale"))(x)

    return place.plan((height * factor, width * factor, channels), make)


def reorg(place: Place) -> Plan:
    """Blocks of pixels as channels, in the order of darknet 2, which mixes rows and channels.

    It reads the image, channel by channel, as if it had stride * stride times fewer channels and was so much larger.
    """
    s, (height, width, channels) = place.section, place.image
    step = s.integer("stride", 1, 1, LARGEST_SIDE)
    s.refuse({"flatten": "it is not supported", "extra": "it is not supported"})
    if channels % step**2:
        s.fail(f"expects a number whose square divides {channels} channels", "stride")
    few, before = channels // step**2, place.previous
    if s.flag("reverse"):

        def enlarge(inputs: list[Any]) -> Any:
            x = layers.Reshape((height, width, step, step, few))(as_image(inputs[0], before))
            x = layers.Permute((1, 3, 2, 4, 5))(x)
            return layers.Reshape((height * step, width * step, few), name=place.name())(x)

        return place.plan((height * step, width * step, few), enlarge)
    _check_divisible(place, height, width, step)
    shape = (height // step, width // step, channels * step**2)

    def reduce(inputs: list[Any]) -> Any:
        x = layers.Permute((3, 1, 2))(as_image(inputs[0], before))
        x = layers.Reshape((few, height, step, width, step))(x)
        x = layers.Permute((3, 5, 1, 2, 4))(x)
        x = layers.Reshape((shape[2], shape[0], shape[1]))(x)
        return layers.Permute((2, 3, 1), name=place.name())(x)

    return place.plan(shape, reduce)


def reorg3d(place: Place) -> Plan:
    """Blocks of pixels as channels, each pixel's channels together."""
    s, (height, width, channels) = place.section, place.image
    step = s.integer("stride", 1, 1, LARGEST_SIDE)
    s.refuse({"reverse": "it is not supported"})
    _check_divisible(place, height, width, step)
    shape = (height // step, width // step, channels * step**2)
    before = place.previous

    def make(inputs: list[Any]) -> Any:
        x = layers.Reshape((shape[0], step, shape[1], step, channels))(as_image(inputs[0], before))
        return layers.Reshape(shape, name=place.name())(layers.Permute((1, 3, 2, 4, 5))(x))

    return place.plan(shape, make)


def _check_divisible(place: Place, height: int, width: int, step: int) -> None:
    if height % step or width % step:
        place.section.fail(f"expects a number that divides the image's height {height} and width {width}", "stride")


def crop(place: Place) -> Plan:
    """The middle of an image, from 0..1 to -1..1 unless `noadjust` is set, as darknet does outside of training."""
    s, (height, width, channels) = place.section, place.image
    rows = s.integer("crop_height", 1, 1, height)
    columns = s.integer("crop_width", 1, 1, width)
    top, left = (height - rows) // 2, (width - columns) // 2
    adjusts, before = not s.flag("noadjust"), place.previous

    def make(inputs: list[Any]) -> Any:
        x = as_image(inputs[0], before)
        border = ((top, height - rows - top), (left, width - columns - left))
        x = layers.Cropping2D(border, name=place.name())(x)
        return layers.Rescaling(2.0, -1.0, name=place.name("range"))(x) if adjusts else x

    return place.plan((rows, columns, channels), make)
