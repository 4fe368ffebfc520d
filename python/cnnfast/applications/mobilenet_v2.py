"""MobileNetV2: blocks that widen, convolve each channel for itself, and narrow again; shortcuts are between the narrow.

M. Sandler, A. Howard, M. Zhu, A. Zhmoginov and L.-C. Chen, "MobileNetV2: Inverted Residuals and Linear Bottlenecks"
(2018).

Two styles, of the same sizes: "keras" and "torchvision", which differ in where a step of 2 puts the border, in the
constants of the normalization and in the layers' names, and so in whose files of weights fit.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from cnnfast import layers
from cnnfast.applications.building import Arguments, Network, PathLike, bordered, building, one_of
from cnnfast.applications.imagenet_utils import decode_predictions, preprocessing
from cnnfast.arguments import real
from cnnfast.models import Model
from cnnfast.symbolic import KerasTensor

__all__ = ["MobileNetV2", "decode_predictions", "preprocess_input"]

preprocess_input = preprocessing("tf")

# (how many times wider, filters, blocks, steps of the first), as in the paper's table 2.
_STAGES = ((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1))


class _Names(NamedTuple):
    """What the layers of one block are called: a convolution, its normalization and its activation of each kind."""

    expand: tuple[str, str, str]
    depthwise: tuple[str, str, str]
    project: tuple[str, str]
    pad: str
    add: str


class _Style(NamedTuple):
    keras: bool
    epsilon: float
    momentum: float
    initializer: str

    def block(self, number: int) -> _Names:
        """The names in block `number`, counted from 0."""
        if self.keras:
            start = f"block_{number}_" if number else "expanded_conv_"
            expand = (f"{start}expand", f"{start}expand_BN", f"{start}expand_relu")
            depthwise = (f"{start}depthwise", f"{start}depthwise_BN", f"{start}depthwise_relu")
            return _Names(expand, depthwise, (f"{start}project", f"{start}project_BN"), f"{start}pad", f"{start}add")
        start = f"features_{number + 1}_"
        at = 1 if number else 0  # the first block has nothing that widens
        depthwise = (f"{start}conv_{at}_0", f"{start}conv_{at}_1", f"{start}conv_{at}_2")
        expand = (f"{start}conv_0_0", f"{start}conv_0_1", f"{start}conv_0_2")
        return _Names(
            expand, depthwise, (f"{start}conv_{at + 1}", f"{start}conv_{at + 2}"), f"{start}pad", f"{start}add"
        )

    def ends(self) -> tuple[tuple[str, str, str], tuple[str, str, str]]:
        """The names of the first convolution and of the last, with what follows each."""
        if self.keras:
            return ("Conv1", "bn_Conv1", "Conv1_relu"), ("Conv_1", "Conv_1_bn", "out_relu")
        return ("features_0_0", "features_0_1", "features_0_2"), ("features_18_0", "features_18_1", "features_18_2")


_STYLES = {
    "keras": _Style(True, 1e-3, 0.999, "glorot_uniform"),
    "torchvision": _Style(False, 1e-5, 0.9, "he_normal"),
}


def MobileNetV2(  # noqa: N802
    input_shape: Sequence[int | None] | None = None,
    alpha: float = 1.0,
    include_top: bool = True,
    weights: PathLike | None = None,
    input_tensor: KerasTensor | None = None,
    pooling: str | None = None,
    classes: int = 1000,
    classifier_activation: Any = "softmax",
    name: str | None = None,
    *,
    style: str = "keras",
) -> Model:
    """The second MobileNet.

    Images are prepared by `preprocess_input` of this module; those for weights from torchvision by that of
    `imagenet_utils` with mode="torch".

    Args:
        input_shape: the shape of one image, (height, width, channels), at least 32x32. By default (224, 224, 3), or
            without the top (None, None, 3): images of any size.
        alpha: what all numbers of channels are multiplied by, but the last one only where it is above 1.
        include_top: whether the dense layer is there, which gives every class its score.
        weights: None for random weights, or the path of a file that `Model.load_weights` reads. Nothing is downloaded.
        input_tensor: a symbolic tensor to put the network on, in place of an input of its own.
        pooling: without the top: None for the last features as they are, "avg" or "max" for their mean or maximum.
        classes: the number of classes.
        classifier_activation: what is applied to their scores; None for the bare ones. With `weights`, None or
            "softmax".
        name: the model's name; made from `alpha` and the image's height by default.
        style: "keras", or "torchvision" for the borders, the normalization, the dropout before the last layer and the
            names of torchvision, so that its files of weights fit.

    Raises:
        ValueError: an argument does not fit, or the file of weights does not.
        FileNotFoundError: there is no file of weights.

    Example:
        >>> MobileNetV2((96, 96, 3), alpha=0.35, classes=10).count_params()
        423018
    """
    arguments = (include_top, weights, input_tensor, input_shape, pooling, classes, classifier_activation)
    alpha = real("MobileNetV2", "alpha", alpha, 0.0)
    chosen = _STYLES[one_of("MobileNetV2", "style", style, tuple(_STYLES))]
    with building("MobileNetV2", Arguments(*arguments)) as net:
        first, last = chosen.ends()
        x = net.image if chosen.keras else bordered(net.image, 1, "features_0_pad")
        padding = "same" if chosen.keras else "valid"
        x = layers.Conv2D(_eights(32 * alpha), 3, 2, padding, name=first[0], **_plain(chosen))(x)
        x = _activated(x, chosen, *first[1:])
        number = 0
        for wider, filters, blocks, strides in _STAGES:
            for i in range(blocks):
                x = _block(x, chosen, number, wider, _eights(int(filters * alpha)), strides if i == 0 else 1)
                number += 1
        x = layers.Conv2D(_eights(1280 * max(alpha, 1.0)), 1, name=last[0], **_plain(chosen))(x)
        x = _activated(x, chosen, *last[1:])
        top = _top if chosen.keras else _dropping_top
        return net.model(net.ended(x, top), name or f"mobilenetv2_{alpha:0.2f}_{net.image.shape[1]}")


def _block(x: Any, style: _Style, number: int, wider: int, filters: int, strides: int) -> Any:
    given, names = x, style.block(number)
    if number:
        x = layers.Conv2D(wider * given.shape[-1], 1, name=names.expand[0], **_plain(style))(x)
        x = _activated(x, style, *names.expand[1:])
    if strides > 1:
        # One pixel on each side; in Keras's style on the far side alone where the size is even.
        near = (1 if not style.keras or (n is not None and n % 2) else 0 for n in x.shape[1:3])
        x = layers.ZeroPadding2D(tuple((n, 1) for n in near), name=names.pad)(x)
    padding = "valid" if strides > 1 else "same"
    initializer: Any = {"depthwise_initializer": style.initializer}
    x = layers.DepthwiseConv2D(3, strides, padding, use_bias=False, name=names.depthwise[0], **initializer)(x)
    x = _activated(x, style, *names.depthwise[1:])
    x = layers.Conv2D(filters, 1, name=names.project[0], **_plain(style))(x)
    x = _normalized(x, style, names.project[1])
    return layers.Add(name=names.add)([given, x]) if strides == 1 and given.shape[-1] == filters else x


def _plain(style: _Style) -> dict[str, Any]:
    return {"use_bias": False, "kernel_initializer": style.initializer}


def _normalized(x: Any, style: _Style, name: str) -> Any:
    return layers.BatchNormalization(momentum=style.momentum, epsilon=style.epsilon, name=name)(x)


def _activated(x: Any, style: _Style, normalization: str, activation: str) -> Any:
    return layers.ReLU(6.0, name=activation)(_normalized(x, style, normalization))


def _top(net: Network, x: Any) -> Any:
    return net.classifier(layers.GlobalAveragePooling2D()(x))


def _dropping_top(net: Network, x: Any) -> Any:
    x = layers.Dropout(0.2, name="classifier_0")(layers.GlobalAveragePooling2D()(x))
    return net.classifier(x, "classifier_1")


def _eights(channels: float) -> int:
    """The next multiple of 8, but not below nine tenths."""
    nearest = max(8, int(channels + 4) // 8 * 8)
    return nearest if nearest >= 0.9 * channels else nearest + 8
