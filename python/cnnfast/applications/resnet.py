"""Residual networks of 18 to 152 layers: every block adds to what it is given.

K. He, X. Zhang, S. Ren and J. Sun, "Deep Residual Learning for Image Recognition" (2016).

Two styles: "keras" has a bias in every convolution, and "torchvision" has none. In networks of bottlenecks, "v1", as in
the paper, takes steps of 2 in a block's first convolution, of one pixel, and "v1.5" in its second, of 3x3 pixels, which
costs more and is more accurate.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from cnnfast import layers
from cnnfast.applications.building import Arguments, PathLike, bordered, building, one_of, pooled_classifier
from cnnfast.applications.imagenet_utils import decode_predictions, preprocessing
from cnnfast.models import Model
from cnnfast.symbolic import KerasTensor

__all__ = [
    "ResNet18", "ResNet34", "ResNet50", "ResNet101", "ResNet152", "basic_block", "bottleneck_block",
    "decode_predictions", "preprocess_input",
]  # fmt: skip

preprocess_input = preprocessing("caffe")

_DEPTHS = {18: (2, 2, 2, 2), 34: (3, 4, 6, 3), 50: (3, 4, 6, 3), 101: (3, 4, 23, 3), 152: (3, 8, 36, 3)}


class _Style(NamedTuple):
    keras: bool
    epsilon: float
    momentum: float
    initializer: str
    version: str

    def names(self, block: str, number: int) -> tuple[str, str, str]:
        """What a block's convolution is called, its normalization and its activation; number 0 is on the shortcut."""
        if self.keras:
            return f"{block}_{number}_conv", f"{block}_{number}_bn", f"{block}_{number}_relu"
        if number == 0:
            return f"{block}_downsample_0", f"{block}_downsample_1", ""
        return f"{block}_conv{number}", f"{block}_bn{number}", f"{block}_relu{number}"


_STYLES = {
    "keras": _Style(True, 1.001e-5, 0.99, "glorot_uniform", "v1"),
    "torchvision": _Style(False, 1e-5, 0.9, "he_normal", "v1.5"),
}


def ResNet50(  # noqa: N802
    include_top: bool = True,
    weights: PathLike | None = None,
    input_tensor: KerasTensor | None = None,
    input_shape: Sequence[int | None] | None = None,
    pooling: str | None = None,
    classes: int = 1000,
    classifier_activation: Any = "softmax",
    name: str = "resnet50",
    *,
    style: str = "keras",
    version: str | None = None,
) -> Model:
    """The residual network of 16 bottlenecks.

    Images are prepared by `preprocess_input` of this module; those for weights from torchvision by that of
    `imagenet_utils` with mode="torch".

    Args:
        include_top: whether the dense layer is there, which gives every class its score.
        weights: None for random weights, or the path of a file that `Model.load_weights` reads. Nothing is downloaded.
        input_tensor: a symbolic tensor to put the network on, in place of an input of its own.
        input_shape: the shape of one image, (height, width, channels), at least 32x32. By default (224, 224, 3), or
            without the top (None, None, 3): images of any size.
        pooling: without the top: None for the last features as they are, "avg" or "max" for their mean or maximum.
        classes: the number of classes.
        classifier_activation: what is applied to their scores; None for the bare ones. With `weights`, None or
            "softmax".
        name: the model's name.
        style: "keras": a bias in every convolution, and layers named as Keras names them; "torchvision": no bias, and
            torchvision's normalization and names, so that its files of weights fit.
        version: "v1" or "v1.5", where steps of 2 are taken; by default that of the style, which is "v1" for "keras" and
            "v1.5" for "torchvision".

    Raises:
        ValueError: an argument does not fit, or the file of weights does not.
        FileNotFoundError: there is no file of weights.

    Example:
        >>> ResNet50(include_top=False, input_shape=(64, 64, 3)).output_shape
        (None, 2, 2, 2048)
    """
    arguments = (include_top, weights, input_tensor, input_shape, pooling, classes, classifier_activation)
    return _resnet(50, Arguments(*arguments), name, style, version)


def ResNet101(  # noqa: N802
    include_top: bool = True,
    weights: PathLike | None = None,
    input_tensor: KerasTensor | None = None,
    input_shape: Sequence[int | None] | None = None,
    pooling: str | None = None,
    classes: int = 1000,
    classifier_activation: Any = "softmax",
    name: str = "resnet101",
    *,
    style: str = "keras",
    version: str | None = None,
) -> Model:
    """The residual network of 33 bottlenecks; the arguments are those of `ResNet50`."""
    arguments = (include_top, weights, input_tensor, input_shape, pooling, classes, classifier_activation)
    return _resnet(101, Arguments(*arguments), name, style, version)


def ResNet152(  # noqa: N802
    include_top: bool = True,
    weights: PathLike | None = None,
    input_tensor: KerasTensor | None = None,
    input_shape: Sequence[int | None] | None = None,
    pooling: str | None = None,
    classes: int = 1000,
    classifier_activation: Any = "softmax",
    name: str = "resnet152",
    *,
    style: str = "keras",
    version: str | None = None,
) -> Model:
    """The residual network of 50 bottlenecks; the arguments are those of `ResNet50`."""
    arguments = (include_top, weights, input_tensor, input_shape, pooling, classes, classifier_activation)
    return _resnet(152, Arguments(*arguments), name, style, version)


def ResNet18(  # noqa: N802
    include_top: bool = True,
    weights: PathLike | None = None,
    input_tensor: KerasTensor | None = None,
    input_shape: Sequence[int | None] | None = None,
    pooling: str | None = None,
    classes: int = 1000,
    classifier_activation: Any = "softmax",
    name: str = "resnet18",
    *,
    style: str = "torchvision",
) -> Model:
    """The residual network of 8 blocks of two 3x3 convolutions.

    Keras has none, so the style is torchvision's by default; the other arguments are those of `ResNet50`.
    """
    arguments = (include_top, weights, input_tensor, input_shape, pooling, classes, classifier_activation)
    return _resnet(18, Arguments(*arguments), name, style, None)


def ResNet34(  # noqa: N802
    include_top: bool = True,
    weights: PathLike | None = None,
    input_tensor: KerasTensor | None = None,
    input_shape: Sequence[int | None] | None = None,
    pooling: str | None = None,
    classes: int = 1000,
    classifier_activation: Any = "softmax",
    name: str = "resnet34",
    *,
    style: str = "torchvision",
) -> Model:
    """The residual network of 16 blocks of two 3x3 convolutions; the arguments are those of `ResNet18`."""
    arguments = (include_top, weights, input_tensor, input_shape, pooling, classes, classifier_activation)
    return _resnet(34, Arguments(*arguments), name, style, None)


def bottleneck_block(
    x: Any, filters: int, strides: int = 1, *, name: str, style: str = "keras", version: str | None = None
) -> Any:
    """Convolutions of 1x1, 3x3 and 1x1 pixels, the last of 4 times as many filters, added to what they were given.

    Where they change the shape, what they were given passes a convolution of one pixel of its own.

    Args:
        x: features, a symbolic tensor.
        filters: the first two convolutions' filters.
        strides: the steps of one of the convolutions.
        name: what the layers' names begin with.
        style: "keras" or "torchvision".
        version: which convolution takes the steps: the first in "v1", the second in "v1.5".

    Raises:
        ValueError: another style or version.

    Example:
        >>> bottleneck_block(layers.Input((8, 8, 16)), 4, strides=2, name="block").shape
        (None, 4, 4, 16)
    """
    made, version = _layers_of(name, style, version)
    first, second = (strides, 1) if version == "v1" else (1, strides)
    shortcut = made.shortcut(x, 4 * filters, strides)
    y = made.convolution(x, 1, filters, 1, first, activated=True)
    y = made.convolution(y, 2, filters, 3, second, activated=True)
    y = made.convolution(y, 3, 4 * filters, 1)
    return made.joined(shortcut, y)


def basic_block(x: Any, filters: int, strides: int = 1, *, name: str, style: str = "torchvision") -> Any:
    """Two 3x3 convolutions, added to what they were given.

    Where they change the shape, what they were given passes a convolution of one pixel of its own.

    Args:
        x: features, a symbolic tensor.
        filters: both convolutions' filters.
        strides: the steps of the first.
        name: what the layers' names begin with.
        style: "keras" or "torchvision".

    Raises:
        ValueError: another style.

    Example:
        >>> basic_block(layers.Input((8, 8, 16)), 16, name="block").shape
        (None, 8, 8, 16)
    """
    made, _ = _layers_of(name, style, None)
    shortcut = made.shortcut(x, filters, strides)
    y = made.convolution(x, 1, filters, 3, strides, activated=True)
    y = made.convolution(y, 2, filters, 3)
    return made.joined(shortcut, y)


class _Block:
    """The layers of a block, in a style."""

    def __init__(self, name: str, style: _Style) -> None:
        self._name, self._style = name, style

    def convolution(
        self, x: Any, number: int, filters: int, size: int, strides: int = 1, activated: bool = False
    ) -> Any:
        """A convolution with normalization, and perhaps ReLU."""
        names = self._style.names(self._name, number)
        return _convolution(x, self._style, names, filters, size, strides, activated=activated)

    def shortcut(self, x: Any, filters: int, strides: int) -> Any:
        """What is added at the end."""
        if strides == 1 and x.shape[-1] == filters:
            return x
        return self.convolution(x, 0, filters, 1, strides)

    def joined(self, shortcut: Any, y: Any) -> Any:
        """The sum, activated."""
        y = layers.Add(name=f"{self._name}_add")([shortcut, y])
        return layers.Activation("relu", name=f"{self._name}_out")(y)


def _convolution(
    x: Any,
    style: _Style,
    names: tuple[str, str, str],
    filters: int,
    size: int,
    strides: int,
    activated: bool,
) -> Any:
    if strides > 1:
        x = bordered(x, size // 2, f"{names[0].removesuffix('_conv')}_pad")
    padding = "same" if strides == 1 else "valid"
    what: Any = {"use_bias": style.keras, "kernel_initializer": style.initializer, "name": names[0]}
    x = layers.Conv2D(filters, size, strides, padding, **what)(x)
    x = layers.BatchNormalization(epsilon=style.epsilon, momentum=style.momentum, name=names[1])(x)
    return layers.Activation("relu", name=names[2])(x) if activated else x


def _layers_of(name: str, style: str, version: str | None) -> tuple[_Block, str]:
    chosen = _STYLES[one_of(name, "style", style, tuple(_STYLES))]
    return _Block(name, chosen), one_of(name, "version", version or chosen.version, ("v1", "v1.5"))


def _resnet(depth: int, arguments: Arguments, name: str, style: str, version: str | None) -> Model:
    owner = f"ResNet{depth}"
    chosen = _STYLES[one_of(owner, "style", style, tuple(_STYLES))]
    version = one_of(owner, "version", version or chosen.version, ("v1", "v1.5"))
    block: Callable[..., Any] = basic_block if depth < 50 else bottleneck_block
    more = {"style": style} | ({} if depth < 50 else {"version": version})
    with building(owner, arguments) as net:
        x = _stem(net.image, chosen)
        for stage, blocks in enumerate(_DEPTHS[depth], 1):
            for number in range(1, blocks + 1):
                called = f"conv{stage + 1}_block{number}" if chosen.keras else f"layer{stage}_{number - 1}"
                x = block(x, 32 << stage, 2 if number == 1 and stage > 1 else 1, name=called, **more)
        top = functools.partial(pooled_classifier, name="predictions" if chosen.keras else "fc")
        return net.model(net.ended(x, top, "avg_pool", "max_pool"), name)


def _stem(x: Any, style: _Style) -> Any:
    """A convolution and a pooling, a quarter of the size."""
    names = ("conv1_conv", "conv1_bn", "conv1_relu") if style.keras else ("conv1", "bn1", "relu")
    x = _convolution(x, style, names, 64, 7, 2, activated=True)
    x = layers.ZeroPadding2D(1, name="pool1_pad")(x)
    return layers.MaxPooling2D(3, 2, name="pool1_pool")(x)
