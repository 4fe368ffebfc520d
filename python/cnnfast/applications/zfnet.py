"""ZFNet: AlexNet with smaller windows and steps at the beginning, chosen by looking at what its layers see.

M. Zeiler and R. Fergus, "Visualizing and Understanding Convolutional Networks" (2014), figure 3.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from cnnfast import layers
from cnnfast.applications.building import Arguments, Network, PathLike, bordered, building
from cnnfast.applications.imagenet_utils import decode_predictions, preprocessing
from cnnfast.models import Model
from cnnfast.symbolic import KerasTensor

__all__ = ["ZFNet", "decode_predictions", "preprocess_input"]

preprocess_input = preprocessing("torch")

# (filters, window, steps, border of zeros) of the five convolutions; of 224 pixels they leave 110, 26, 13, 13 and 13.
_CONVOLUTIONS = ((96, 7, 2, 1), (256, 5, 2, 0), (384, 3, 1, 1), (384, 3, 1, 1), (256, 3, 1, 1))


def ZFNet(  # noqa: N802
    include_top: bool = True,
    weights: PathLike | None = None,
    input_tensor: KerasTensor | None = None,
    input_shape: Sequence[int | None] | None = None,
    pooling: str | None = None,
    classes: int = 1000,
    classifier_activation: Any = "softmax",
    name: str = "zfnet",
    *,
    dropout: float = 0.5,
) -> Model:
    """The network of Zeiler and Fergus, with the sizes that their figure 3 gives.

    Images are prepared by `preprocess_input` of this module.

    Args:
        include_top: whether the dense layers are there, which give every class its score.
        weights: None for random weights, or the path of a file that `Model.load_weights` reads. Nothing is downloaded.
        input_tensor: a symbolic tensor to put the network on, in place of an input of its own.
        input_shape: the shape of one image, (height, width, channels), at least 53x53. By default (224, 224, 3), or
            without the top (None, None, 3): images of any size.
        pooling: without the top: None for the last features as they are, "avg" or "max" for their mean or maximum.
        classes: the number of classes.
        classifier_activation: what is applied to their scores; None for the bare ones. With `weights`, None or
            "softmax".
        name: the model's name.
        dropout: the rate of the dropout behind the dense layers.

    Raises:
        ValueError: an argument does not fit, or the file of weights does not.
        FileNotFoundError: there is no file of weights.

    Example:
        >>> ZFNet(include_top=False, input_shape=(224, 224, 3)).output_shape
        (None, 6, 6, 256)
    """
    arguments = (include_top, weights, input_tensor, input_shape, pooling, classes, classifier_activation)
    with building("ZFNet", Arguments(*arguments), min_size=53) as net:
        x: Any = net.image
        for number, (filters, size, strides, border) in enumerate(_CONVOLUTIONS, 1):
            what: Any = {"activation": "relu", "kernel_initializer": "he_normal", "name": f"conv{number}"}
            if strides > 1:
                x = bordered(x, border, f"conv{number}_pad")
            padding = "same" if strides == 1 else "valid"
            x = layers.Conv2D(filters, size, strides, padding, **what)(x)
            if number < 3:
                x = layers.MaxPooling2D(3, 2, "same", name=f"pool{number}")(x)
                x = layers.LocalResponseNormalization(name=f"norm{number}")(x)
        x = layers.MaxPooling2D(3, 2, name="pool5")(x)
        return net.model(net.ended(x, lambda net, features: _top(net, features, dropout)), name)


def _top(net: Network, x: Any, dropout: float) -> Any:
    x = layers.Flatten(name="flatten")(x)
    for number in (6, 7):
        x = layers.Dense(4096, activation="relu", kernel_initializer="he_normal", name=f"fc{number}")(x)
        x = layers.Dropout(dropout, name=f"drop{number}")(x)
    return net.classifier(x)
