"""Xception: an Inception network whose paths are as many as there are channels.

F. Chollet, "Xception: Deep Learning with Depthwise Separable Convolutions" (2017).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from cnnfast import layers
from cnnfast.applications.building import Arguments, PathLike, building, pooled_classifier
from cnnfast.applications.imagenet_utils import decode_predictions, preprocessing
from cnnfast.models import Model
from cnnfast.symbolic import KerasTensor

__all__ = ["Xception", "decode_predictions", "preprocess_input"]

preprocess_input = preprocessing("tf")

# The blocks that halve the size, with the filters of their convolutions.
_HALVING = {2: (128, 128), 3: (256, 256), 4: (728, 728), 13: (728, 1024)}


def Xception(  # noqa: N802
    include_top: bool = True,
    weights: PathLike | None = None,
    input_tensor: KerasTensor | None = None,
    input_shape: Sequence[int | None] | None = None,
    pooling: str | None = None,
    classes: int = 1000,
    classifier_activation: Any = "softmax",
    name: str = "xception",
) -> Model:
    """The network of separable convolutions.

    Images are prepared by `preprocess_input` of this module. Layers are named, or numbered, as Keras does it in a fresh
    session; on an `input_tensor` they take the numbers that are free.

    Args:
        include_top: whether the dense layer is there, which gives every class its score.
        weights: None for random weights, or the path of a file that `Model.load_weights` reads. Nothing is downloaded.
        input_tensor: a symbolic tensor to put the network on, in place of an input of its own.
        input_shape: the shape of one image, (height, width, channels), at least 71x71. By default (299, 299, 3), or
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
        >>> Xception(include_top=False, input_shape=(71, 71, 3)).output_shape
        (None, 3, 3, 2048)
    """
    arguments = (include_top, weights, input_tensor, input_shape, pooling, classes, classifier_activation)
    with building("Xception", Arguments(*arguments), size=299, min_size=71) as net:
        x: Any = net.image
        for number, (filters, strides) in enumerate(((32, 2), (64, 1)), 1):
            x = layers.Conv2D(filters, 3, strides, use_bias=False, name=f"block1_conv{number}")(x)
            x = layers.BatchNormalization(name=f"block1_conv{number}_bn")(x)
            x = layers.Activation("relu", name=f"block1_conv{number}_act")(x)
        for block in range(2, 14):
            x = _block(x, block, numbered=input_tensor is None)
        for number, filters in enumerate((1536, 2048), 1):
            x = _separable(x, filters, f"block14_sepconv{number}")
            x = layers.Activation("relu", name=f"block14_sepconv{number}_act")(x)
        return net.model(net.ended(x, pooled_classifier), name)


def _block(x: Any, block: int, numbered: bool) -> Any:
    """Two separable convolutions that halve the size, or three that keep it, added to what was given."""
    shortcut = x
    if block in _HALVING:
        number = list(_HALVING).index(block)
        ending = f"_{number}" if number else ""
        names = [f"{kind}{ending}" if numbered else None for kind in ("conv2d", "batch_normalization")]
        shortcut = layers.Conv2D(_HALVING[block][-1], 1, 2, "same", use_bias=False, name=names[0])(x)
        shortcut = layers.BatchNormalization(name=names[1])(shortcut)
    for number, filters in enumerate(_HALVING.get(block, (728, 728, 728)), 1):
        name = f"block{block}_sepconv{number}"
        if (block, number) != (2, 1):  # what enters there has just been activated
            x = layers.Activation("relu", name=f"{name}_act")(x)
        x = _separable(x, filters, name)
    if block in _HALVING:
        x = layers.MaxPooling2D(3, 2, "same", name=f"block{block}_pool")(x)
    return layers.Add()([x, shortcut])


def _separable(x: Any, filters: int, name: str) -> Any:
    x = layers.SeparableConv2D(filters, 3, padding="same", use_bias=False, name=name)(x)
    return layers.BatchNormalization(name=f"{name}_bn")(x)
