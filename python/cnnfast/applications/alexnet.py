"""AlexNet: the network that won ImageNet's competition of 2012.

A. Krizhevsky, I. Sutskever and G. Hinton, "ImageNet Classification with Deep Convolutional Neural Networks" (2012); the
form in one column is that of A. Krizhevsky, "One weird trick for parallelizing convolutional neural networks" (2014),
as torchvision has it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from cnnfast import layers
from cnnfast.applications.building import Arguments, Network, PathLike, bordered, building, one_of
from cnnfast.applications.imagenet_utils import decode_predictions, preprocessing
from cnnfast.models import Model
from cnnfast.symbolic import KerasTensor

__all__ = ["AlexNet", "decode_predictions", "preprocess_input"]

preprocess_input = preprocessing("torch")


class _Style(NamedTuple):
    size: int  # of images
    least: int
    border: int  # of zeros, around the image
    filters: tuple[int, ...]
    groups: tuple[int, ...]  # 2 where each half of the channels sees only its own half
    names: tuple[str, ...]  # of the convolutions and the dense layers
    normalized: bool


_STYLES = {
    "torchvision": _Style(
        224, 63, 2, (64, 192, 384, 256, 256), (1, 1, 1, 1, 1),
        (*(f"features_{n}" for n in (0, 3, 6, 8, 10)), *(f"classifier_{n}" for n in (1, 4, 6))), False,
    ),
    "paper": _Style(
        227, 67, 0, (96, 256, 384, 384, 256), (1, 2, 1, 2, 2),
        (*(f"conv{n}" for n in range(1, 6)), "fc6", "fc7", "predictions"), True,
    ),
}  # fmt: skip


def AlexNet(  # noqa: N802
    include_top: bool = True,
    weights: PathLike | None = None,
    input_tensor: KerasTensor | None = None,
    input_shape: Sequence[int | None] | None = None,
    pooling: str | None = None,
    classes: int = 1000,
    classifier_activation: Any = "softmax",
    name: str = "alexnet",
    *,
    style: str = "torchvision",
    dropout: float = 0.5,
) -> Model:
    """AlexNet, in one column or in two towers.

    Images are prepared by `preprocess_input` of this module.

    Args:
        include_top: whether the dense layers are there, which give every class its score.
        weights: None for random weights, or the path of a file that `Model.load_weights` reads. Nothing is downloaded.
        input_tensor: a symbolic tensor to put the network on, in place of an input of its own.
        input_shape: the shape of one image, (height, width, channels), at least 63x63, or 67x67 in the paper's style.
            By default (224, 224, 3) or, for the paper's arithmetic to come out, (227, 227, 3); without the top
            (None, None, 3): images of any size.
        pooling: without the top: None for the last features as they are, "avg" or "max" for their mean or maximum.
        classes: the number of classes.
        classifier_activation: what is applied to their scores; None for the bare ones. With `weights`, None or
            "softmax".
        name: the model's name.
        style: "torchvision": one column, whose features are averaged to 6x6, and torchvision's names, so that its files
            fit; "paper": two towers, as two groups of the second, fourth and fifth convolution, and local response
            normalization.
        dropout: the rate of the dropout at the dense layers.

    Raises:
        ValueError: an argument does not fit, or the file of weights does not.
        FileNotFoundError: there is no file of weights.

    Example:
        >>> AlexNet(include_top=False, style="paper", input_shape=(227, 227, 3)).output_shape
        (None, 6, 6, 256)
    """
    arguments = (include_top, weights, input_tensor, input_shape, pooling, classes, classifier_activation)
    chosen = _STYLES[one_of("AlexNet", "style", style, tuple(_STYLES))]
    with building("AlexNet", Arguments(*arguments), size=chosen.size, min_size=chosen.least) as net:
        x: Any = net.image
        for number, (filters, groups) in enumerate(zip(chosen.filters, chosen.groups, strict=True), 1):
            what: Any = {"activation": "relu", "kernel_initializer": "he_normal", "name": chosen.names[number - 1]}
            if number == 1:
                x = bordered(x, chosen.border, "conv1_pad")
                x = layers.Conv2D(filters, 11, 4, groups=groups, **what)(x)
            else:
                x = layers.Conv2D(filters, 5 if number == 2 else 3, padding="same", groups=groups, **what)(x)
            if chosen.normalized and number < 3:
                x = layers.LocalResponseNormalization(name=f"norm{number}")(x)
            if number in (1, 2, 5):
                x = layers.MaxPooling2D(3, 2, name=f"pool{number}")(x)
        return net.model(net.ended(x, lambda net, features: _top(net, features, chosen, dropout)), name)


def _top(net: Network, x: Any, style: _Style, dropout: float) -> Any:
    if not style.normalized:
        x = layers.AdaptiveAveragePooling2D(6, name="avgpool")(x)
    x = layers.Flatten(name="flatten")(x)
    for number in (6, 7):
        if not style.normalized:  # torchvision drops what enters the dense layers, the paper what leaves them
            x = layers.Dropout(dropout, name=f"drop{number - 1}")(x)
        x = layers.Dense(4096, activation="relu", kernel_initializer="he_normal", name=style.names[number - 1])(x)
        if style.normalized:
            x = layers.Dropout(dropout, name=f"drop{number}")(x)
    return net.classifier(x, style.names[-1])
