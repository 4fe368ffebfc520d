"""MobileNet: every convolution in two steps, of each channel for itself and then across the channels.

A. Howard et al., "MobileNets: Efficient Convolutional Neural Networks for Mobile Vision Applications" (2017).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from cnnfast import layers
from cnnfast.applications.building import Arguments, Network, PathLike, building
from cnnfast.applications.imagenet_utils import decode_predictions, preprocessing
from cnnfast.arguments import positive_int, real
from cnnfast.models import Model
from cnnfast.symbolic import KerasTensor

__all__ = ["MobileNet", "decode_predictions", "preprocess_input"]

preprocess_input = preprocessing("tf")

# (filters, steps) of each of the 13 blocks.
_BLOCKS = ((64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), *((512, 1),) * 5, (1024, 2), (1024, 1))


def MobileNet(  # noqa: N802
    input_shape: Sequence[int | None] | None = None,
    alpha: float = 1.0,
    depth_multiplier: int = 1,
    dropout: float = 1e-3,
    include_top: bool = True,
    weights: PathLike | None = None,
    input_tensor: KerasTensor | None = None,
    pooling: str | None = None,
    classes: int = 1000,
    classifier_activation: Any = "softmax",
    name: str | None = None,
) -> Model:
    """The first MobileNet.

    Images are prepared by `preprocess_input` of this module. Layers are named as Keras names them.

    Args:
        input_shape: the shape of one image, (height, width, channels), at least 32x32. By default (224, 224, 3), or
            without the top (None, None, 3): images of any size.
        alpha: what all numbers of channels are multiplied by.
        depth_multiplier: how many channels the depthwise convolutions make of each.
        dropout: the rate of the dropout before the class scores.
        include_top: whether the convolution is there that gives every class its score.
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
        >>> MobileNet((128, 128, 3), alpha=0.25, classes=10).count_params()
        221114
    """
    arguments = (include_top, weights, input_tensor, input_shape, pooling, classes, classifier_activation)
    alpha = real("MobileNet", "alpha", alpha, 0.0)
    multiplier = positive_int("MobileNet", "depth_multiplier", depth_multiplier)
    with building("MobileNet", Arguments(*arguments)) as net:
        x = layers.Conv2D(int(32 * alpha), 3, 2, "same", use_bias=False, name="conv1")(net.image)
        x = _activated(x, "conv1")
        for number, (filters, strides) in enumerate(_BLOCKS, 1):
            x = _block(x, number, int(filters * alpha), multiplier, strides)
        y = net.ended(x, lambda net, features: _top(net, features, dropout))
        return net.model(y, name or f"mobilenet_{alpha:0.2f}_{net.image.shape[1]}")


def _block(x: Any, number: int, filters: int, multiplier: int, strides: int) -> Any:
    name = f"conv_dw_{number}"
    if strides > 1:
        x = layers.ZeroPadding2D(((0, 1), (0, 1)), name=f"conv_pad_{number}")(x)
    padding = "valid" if strides > 1 else "same"
    x = layers.DepthwiseConv2D(3, strides, padding, multiplier, use_bias=False, name=name)(x)
    x = _activated(x, name)
    name = f"conv_pw_{number}"
    x = layers.Conv2D(filters, 1, padding="same", use_bias=False, name=name)(x)
    return _activated(x, name)


def _activated(x: Any, name: str) -> Any:
    return layers.ReLU(6.0, name=f"{name}_relu")(layers.BatchNormalization(name=f"{name}_bn")(x))


def _top(net: Network, x: Any, dropout: float) -> Any:
    x = layers.GlobalAveragePooling2D(keepdims=True)(x)
    x = layers.Dropout(dropout, name="dropout")(x)
    x = layers.Conv2D(net.classes, 1, padding="same", name="conv_preds")(x)
    x = layers.Reshape((net.classes,), name="reshape_2")(x)
    return layers.Activation(net.classifier_activation, name="predictions")(x)
