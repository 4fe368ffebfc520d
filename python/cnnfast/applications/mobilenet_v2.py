"""MobileNetV2: blocks that widen, convolve each channel for itself, and narrow again; shortcuts are between the narrow.

M. Sandler, A. Howard, M. Zhu, A. Zhmoginov and L.-C. Chen, "MobileNetV2: Inverted Residuals and Linear Bottlenecks"
(2018).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from cnnfast import layers
from cnnfast.applications.building import Arguments, Network, PathLike, building
from cnnfast.applications.imagenet_utils import decode_predictions, preprocessing
from cnnfast.arguments import real
from cnnfast.models import Model
from cnnfast.symbolic import KerasTensor

__all__ = ["MobileNetV2", "decode_predictions", "preprocess_input"]

preprocess_input = preprocessing("tf")

# (how many times wider, filters, blocks, steps of the first), as in the paper's table 2.
_STAGES = ((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1))


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
) -> Model:
    """The second MobileNet.

    Images are prepared by `preprocess_input` of this module. Layers are named as Keras names them.

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

    Raises:
        ValueError: an argument does not fit, or the file of weights does not.
        FileNotFoundError: there is no file of weights.

    Example:
        >>> MobileNetV2((96, 96, 3), alpha=0.35, classes=10).count_params()
        423018
    """
    arguments = (include_top, weights, input_tensor, input_shape, pooling, classes, classifier_activation)
    alpha = real("MobileNetV2", "alpha", alpha, 0.0)
    with building("MobileNetV2", Arguments(*arguments)) as net:
        x = layers.Conv2D(_eights(32 * alpha), 3, 2, "same", use_bias=False, name="Conv1")(net.image)
        x = layers.ReLU(6.0, name="Conv1_relu")(_normalized(x, "bn_Conv1"))
        number = 0
        for wider, filters, blocks, strides in _STAGES:
            for i in range(blocks):
                x = _block(x, number, wider, _eights(int(filters * alpha)), strides if i == 0 else 1)
                number += 1
        x = layers.Conv2D(_eights(1280 * max(alpha, 1.0)), 1, use_bias=False, name="Conv_1")(x)
        x = layers.ReLU(6.0, name="out_relu")(_normalized(x, "Conv_1_bn"))
        return net.model(net.ended(x, _top), name or f"mobilenetv2_{alpha:0.2f}_{net.image.shape[1]}")


def _block(x: Any, number: int, wider: int, filters: int, strides: int) -> Any:
    given, name = x, f"block_{number}_" if number else "expanded_conv_"
    if number:
        x = layers.Conv2D(wider * given.shape[-1], 1, padding="same", use_bias=False, name=f"{name}expand")(x)
        x = layers.ReLU(6.0, name=f"{name}expand_relu")(_normalized(x, f"{name}expand_BN"))
    if strides > 1:
        # One pixel on each side, or on the far side alone where the size is even.
        border = tuple((1 if n is not None and n % 2 else 0, 1) for n in x.shape[1:3])
        x = layers.ZeroPadding2D(border, name=f"{name}pad")(x)
    padding = "valid" if strides > 1 else "same"
    x = layers.DepthwiseConv2D(3, strides, padding, use_bias=False, name=f"{name}depthwise")(x)
    x = layers.ReLU(6.0, name=f"{name}depthwise_relu")(_normalized(x, f"{name}depthwise_BN"))
    x = layers.Conv2D(filters, 1, padding="same", use_bias=False, name=f"{name}project")(x)
    x = _normalized(x, f"{name}project_BN")
    return layers.Add(name=f"{name}add")([given, x]) if strides == 1 and given.shape[-1] == filters else x


def _normalized(x: Any, name: str) -> Any:
    return layers.BatchNormalization(momentum=0.999, name=name)(x)


def _top(net: Network, x: Any) -> Any:
    return net.classifier(layers.GlobalAveragePooling2D()(x))


def _eights(channels: float) -> int:
    """The next multiple of 8, but not below nine tenths."""
    nearest = max(8, int(channels + 4) // 8 * 8)
    return nearest if nearest >= 0.9 * channels else nearest + 8
