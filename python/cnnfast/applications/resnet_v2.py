"""Residual networks whose blocks normalize first, so that shortcuts pass what they are given unchanged.

K. He, X. Zhang, S. Ren and J. Sun, "Identity Mappings in Deep Residual Networks" (2016).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from cnnfast import layers
from cnnfast.applications.building import Arguments, PathLike, building, pooled_classifier
from cnnfast.applications.imagenet_utils import decode_predictions, preprocessing
from cnnfast.models import Model
from cnnfast.symbolic import KerasTensor

__all__ = ["ResNet50V2", "ResNet101V2", "ResNet152V2", "decode_predictions", "preprocess_input"]

preprocess_input = preprocessing("tf")

_DEPTHS = {50: (3, 4, 6, 3), 101: (3, 4, 23, 3), 152: (3, 8, 36, 3)}


def ResNet50V2(  # noqa: N802
    include_top: bool = True,
    weights: PathLike | None = None,
    input_tensor: KerasTensor | None = None,
    input_shape: Sequence[int | None] | None = None,
    pooling: str | None = None,
    classes: int = 1000,
    classifier_activation: Any = "softmax",
    name: str = "resnet50v2",
) -> Model:
    """The second residual network of 16 bottlenecks.

    Images are prepared by `preprocess_input` of this module. Layers are named as Keras names them.

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

    Raises:
        ValueError: an argument does not fit, or the file of weights does not.
        FileNotFoundError: there is no file of weights.

    Example:
        >>> ResNet50V2(include_top=False, input_shape=(64, 64, 3)).output_shape
        (None, 2, 2, 2048)
    """
    arguments = (include_top, weights, input_tensor, input_shape, pooling, classes, classifier_activation)
    return _resnet(50, Arguments(*arguments), name)


def ResNet101V2(  # noqa: N802
    include_top: bool = True,
    weights: PathLike | None = None,
    input_tensor: KerasTensor | None = None,
    input_shape: Sequence[int | None] | None = None,
    pooling: str | None = None,
    classes: int = 1000,
    classifier_activation: Any = "softmax",
    name: str = "resnet101v2",
) -> Model:
    """The second residual network of 33 bottlenecks; the arguments are those of `ResNet50V2`."""
    arguments = (include_top, weights, input_tensor, input_shape, pooling, classes, classifier_activation)
    return _resnet(101, Arguments(*arguments), name)


def ResNet152V2(  # noqa: N802
    include_top: bool = True,
    weights: PathLike | None = None,
    input_tensor: KerasTensor | None = None,
    input_shape: Sequence[int | None] | None = None,
    pooling: str | None = None,
    classes: int = 1000,
    classifier_activation: Any = "softmax",
    name: str = "resnet152v2",
) -> Model:
    """The second residual network of 50 bottlenecks; the arguments are those of `ResNet50V2`."""
    arguments = (include_top, weights, input_tensor, input_shape, pooling, classes, classifier_activation)
    return _resnet(152, Arguments(*arguments), name)


def _resnet(depth: int, arguments: Arguments, name: str) -> Model:
    with building(f"ResNet{depth}V2", arguments) as net:
        x = layers.ZeroPadding2D(3, name="conv1_pad")(net.image)
        x = layers.Conv2D(64, 7, 2, name="conv1_conv")(x)
        x = layers.MaxPooling2D(3, 2, name="pool1_pool")(layers.ZeroPadding2D(1, name="pool1_pad")(x))
        for stage, blocks in enumerate(_DEPTHS[depth], 2):
            for number in range(1, blocks + 1):
                strides = 2 if number == blocks and stage < 5 else 1
                x = _block(x, 2 ** (4 + stage), strides, number == 1, f"conv{stage}_block{number}")
        x = _activated(x, "post")
        return net.model(net.ended(x, pooled_classifier, "avg_pool", "max_pool"), name)


def _block(x: Any, filters: int, strides: int, widened: bool, name: str) -> Any:
    first = _activated(x, f"{name}_preact")
    if widened:
        shortcut = layers.Conv2D(4 * filters, 1, strides, name=f"{name}_0_conv")(first)
    else:
        shortcut = layers.MaxPooling2D(1, strides)(x) if strides > 1 else x
    y = layers.Conv2D(filters, 1, use_bias=False, name=f"{name}_1_conv")(first)
    y = layers.ZeroPadding2D(1, name=f"{name}_2_pad")(_activated(y, f"{name}_1"))
    y = layers.Conv2D(filters, 3, strides, use_bias=False, name=f"{name}_2_conv")(y)
    y = layers.Conv2D(4 * filters, 1, name=f"{name}_3_conv")(_activated(y, f"{name}_2"))
    return layers.Add(name=f"{name}_out")([shortcut, y])


def _activated(x: Any, name: str) -> Any:
    x = layers.BatchNormalization(epsilon=1.001e-5, name=f"{name}_bn")(x)
    return layers.Activation("relu", name=f"{name}_relu")(x)
