"""DenseNet: every layer of a block is given what all layers before it made.

G. Huang, Z. Liu, L. van der Maaten and K. Weinberger, "Densely Connected Convolutional Networks" (2017).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from cnnfast import layers
from cnnfast.applications.building import Arguments, PathLike, building, pooled_classifier
from cnnfast.applications.imagenet_utils import decode_predictions, preprocessing
from cnnfast.models import Model
from cnnfast.symbolic import KerasTensor

__all__ = ["DenseNet121", "DenseNet169", "DenseNet201", "decode_predictions", "preprocess_input"]

preprocess_input = preprocessing("torch")

_GROWTH = 32  # the channels that a layer adds
# How many layers each of the four blocks has.
_DEPTHS = {121: (6, 12, 24, 16), 169: (6, 12, 32, 32), 201: (6, 12, 48, 32)}


def DenseNet121(  # noqa: N802
    include_top: bool = True,
    weights: PathLike | None = None,
    input_tensor: KerasTensor | None = None,
    input_shape: Sequence[int | None] | None = None,
    pooling: str | None = None,
    classes: int = 1000,
    classifier_activation: Any = "softmax",
    name: str = "densenet121",
) -> Model:
    """The densely connected network of 121 layers with weights.

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
        >>> DenseNet121(include_top=False, input_shape=(64, 64, 3)).output_shape
        (None, 2, 2, 1024)
    """
    arguments = (include_top, weights, input_tensor, input_shape, pooling, classes, classifier_activation)
    return _densenet(121, Arguments(*arguments), name)


def DenseNet169(  # noqa: N802
    include_top: bool = True,
    weights: PathLike | None = None,
    input_tensor: KerasTensor | None = None,
    input_shape: Sequence[int | None] | None = None,
    pooling: str | None = None,
    classes: int = 1000,
    classifier_activation: Any = "softmax",
    name: str = "densenet169",
) -> Model:
    """The densely connected network of 169 layers with weights; the arguments are those of `DenseNet121`."""
    arguments = (include_top, weights, input_tensor, input_shape, pooling, classes, classifier_activation)
    return _densenet(169, Arguments(*arguments), name)


def DenseNet201(  # noqa: N802
    include_top: bool = True,
    weights: PathLike | None = None,
    input_tensor: KerasTensor | None = None,
    input_shape: Sequence[int | None] | None = None,
    pooling: str | None = None,
    classes: int = 1000,
    classifier_activation: Any = "softmax",
    name: str = "densenet201",
) -> Model:
    """The densely connected network of 201 layers with weights; the arguments are those of `DenseNet121`."""
    arguments = (include_top, weights, input_tensor, input_shape, pooling, classes, classifier_activation)
    return _densenet(201, Arguments(*arguments), name)


def _densenet(depth: int, arguments: Arguments, name: str) -> Model:
    with building(f"DenseNet{depth}", arguments) as net:
        x = layers.ZeroPadding2D(3)(net.image)
        x = layers.Conv2D(64, 7, 2, use_bias=False, name="conv1_conv")(x)
        x = _activated(x, "conv1")
        x = layers.MaxPooling2D(3, 2, name="pool1")(layers.ZeroPadding2D(1)(x))
        for stage, blocks in enumerate(_DEPTHS[depth], 2):
            if stage > 2:
                x = _narrowed(x, f"pool{stage - 1}")
            for number in range(1, blocks + 1):
                x = _grown(x, f"conv{stage}_block{number}")
        x = layers.BatchNormalization(epsilon=1.001e-5, name="bn")(x)
        x = layers.Activation("relu", name="relu")(x)
        return net.model(net.ended(x, pooled_classifier, "avg_pool", "max_pool"), name)


def _grown(x: Any, name: str) -> Any:
    """What was given, and the channels that a layer adds."""
    y = layers.Conv2D(4 * _GROWTH, 1, use_bias=False, name=f"{name}_1_conv")(_activated(x, f"{name}_0"))
    y = _activated(y, f"{name}_1")
    y = layers.Conv2D(_GROWTH, 3, padding="same", use_bias=False, name=f"{name}_2_conv")(y)
    return layers.Concatenate(name=f"{name}_concat")([x, y])


def _narrowed(x: Any, name: str) -> Any:
    """Half the channels, and half the size."""
    x = layers.Conv2D(x.shape[-1] // 2, 1, use_bias=False, name=f"{name}_conv")(_activated(x, name))
    return layers.AveragePooling2D(2, 2, name=f"{name}_pool")(x)


def _activated(x: Any, name: str) -> Any:
    x = layers.BatchNormalization(epsilon=1.001e-5, name=f"{name}_bn")(x)
    return layers.Activation("relu", name=f"{name}_relu")(x)
