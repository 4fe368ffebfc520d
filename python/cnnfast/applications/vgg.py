"""VGG: stacks of 3x3 convolutions between poolings, of 11 to 19 layers with weights.

K. Simonyan and A. Zisserman, "Very Deep Convolutional Networks for Large-Scale Image Recognition" (2015).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from cnnfast import layers
from cnnfast.applications.building import Arguments, Network, PathLike, building
from cnnfast.applications.imagenet_utils import decode_predictions, preprocessing
from cnnfast.models import Model
from cnnfast.symbolic import KerasTensor

__all__ = ["VGG11", "VGG13", "VGG16", "VGG19", "decode_predictions", "preprocess_input"]

preprocess_input = preprocessing("caffe")

_CHANNELS = (64, 128, 256, 512, 512)
# How many convolutions each of the five blocks has.
_DEPTHS = {11: (1, 1, 2, 2, 2), 13: (2, 2, 2, 2, 2), 16: (2, 2, 3, 3, 3), 19: (2, 2, 4, 4, 4)}


def VGG16(  # noqa: N802
    include_top: bool = True,
    weights: PathLike | None = None,
    input_tensor: KerasTensor | None = None,
    input_shape: Sequence[int | None] | None = None,
    pooling: str | None = None,
    classes: int = 1000,
    classifier_activation: Any = "softmax",
    name: str = "vgg16",
) -> Model:
    """VGG with 13 convolutions and 3 dense layers.

    Images are prepared by `preprocess_input` of this module. Layers are named as Keras names them.

    Args:
        include_top: whether the dense layers are there, which give every class its score.
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
        >>> VGG16(include_top=False, pooling="avg").output_shape
        (None, 512)
    """
    arguments = (include_top, weights, input_tensor, input_shape, pooling, classes, classifier_activation)
    return _vgg(16, Arguments(*arguments), name)


def VGG19(  # noqa: N802
    include_top: bool = True,
    weights: PathLike | None = None,
    input_tensor: KerasTensor | None = None,
    input_shape: Sequence[int | None] | None = None,
    pooling: str | None = None,
    classes: int = 1000,
    classifier_activation: Any = "softmax",
    name: str = "vgg19",
) -> Model:
    """VGG with 16 convolutions and 3 dense layers; the arguments are those of `VGG16`."""
    arguments = (include_top, weights, input_tensor, input_shape, pooling, classes, classifier_activation)
    return _vgg(19, Arguments(*arguments), name)


def VGG11(  # noqa: N802
    include_top: bool = True,
    weights: PathLike | None = None,
    input_tensor: KerasTensor | None = None,
    input_shape: Sequence[int | None] | None = None,
    pooling: str | None = None,
    classes: int = 1000,
    classifier_activation: Any = "softmax",
    name: str = "vgg11",
) -> Model:
    """VGG with 8 convolutions and 3 dense layers, the paper's A; the arguments are those of `VGG16`."""
    arguments = (include_top, weights, input_tensor, input_shape, pooling, classes, classifier_activation)
    return _vgg(11, Arguments(*arguments), name)


def VGG13(  # noqa: N802
    include_top: bool = True,
    weights: PathLike | None = None,
    input_tensor: KerasTensor | None = None,
    input_shape: Sequence[int | None] | None = None,
    pooling: str | None = None,
    classes: int = 1000,
    classifier_activation: Any = "softmax",
    name: str = "vgg13",
) -> Model:
    """VGG with 10 convolutions and 3 dense layers, the paper's B; the arguments are those of `VGG16`."""
    arguments = (include_top, weights, input_tensor, input_shape, pooling, classes, classifier_activation)
    return _vgg(13, Arguments(*arguments), name)


def _vgg(depth: int, arguments: Arguments, name: str) -> Model:
    with building(f"VGG{depth}", arguments) as net:
        x: Any = net.image
        for block, (convolutions, filters) in enumerate(zip(_DEPTHS[depth], _CHANNELS, strict=True), 1):
            for number in range(1, convolutions + 1):
                what: Any = {"padding": "same", "activation": "relu", "name": f"block{block}_conv{number}"}
                x = layers.Conv2D(filters, 3, **what)(x)
            x = layers.MaxPooling2D(2, 2, name=f"block{block}_pool")(x)
        return net.model(net.ended(x, _top), name)


def _top(net: Network, x: Any) -> Any:
    x = layers.Flatten(name="flatten")(x)
    for name in ("fc1", "fc2"):
        x = layers.Dense(4096, activation="relu", name=name)(x)
    return net.classifier(x)
