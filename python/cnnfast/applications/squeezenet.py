"""SqueezeNet: as accurate as AlexNet with a fiftieth of its parameters, by squeezing channels before they are expanded.

F. Iandola, S. Han, M. Moskewicz, K. Ashraf, W. Dally and K. Keutzer, "SqueezeNet: AlexNet-level accuracy with 50x fewer
parameters and <0.5MB model size" (2016).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from cnnfast import layers
from cnnfast.applications.building import Arguments, Network, PathLike, building, halved_up, one_of
from cnnfast.applications.imagenet_utils import decode_predictions, preprocessing
from cnnfast.models import Model
from cnnfast.symbolic import KerasTensor

__all__ = ["SqueezeNet", "decode_predictions", "preprocess_input"]

preprocess_input = preprocessing("torch")

# (squeezed channels, half of the expanded ones) of the eight fire modules.
_FIRES = ((16, 64), (16, 64), (32, 128), (32, 128), (48, 192), (48, 192), (64, 256), (64, 256))


class _Version(NamedTuple):
    filters: int  # of the first convolution
    size: int
    pooled_before: tuple[int, ...]  # the fire modules that a pooling is put before, the first one being number 2


_VERSIONS = {"1.0": _Version(96, 7, (2, 5, 9)), "1.1": _Version(64, 3, (2, 4, 6))}


def SqueezeNet(  # noqa: N802
    include_top: bool = True,
    weights: PathLike | None = None,
    input_tensor: KerasTensor | None = None,
    input_shape: Sequence[int | None] | None = None,
    pooling: str | None = None,
    classes: int = 1000,
    classifier_activation: Any = "softmax",
    name: str = "squeezenet",
    *,
    version: str = "1.1",
    dropout: float = 0.5,
) -> Model:
    """SqueezeNet, in the structure and with the names that torchvision gives it: its files of weights fit.

    Images are prepared by `preprocess_input` of this module.

    Args:
        include_top: whether the convolution is there that gives every class its score.
        weights: None for random weights, or the path of a file that `Model.load_weights` reads. Nothing is downloaded.
        input_tensor: a symbolic tensor to put the network on, in place of an input of its own.
        input_shape: the shape of one image, (height, width, channels), at least 32x32. By default (224, 224, 3), or
            without the top (None, None, 3): images of any size.
        pooling: without the top: None for the last features as they are, "avg" or "max" for their mean or maximum.
        classes: the number of classes.
        classifier_activation: what is applied to their scores; None for the bare ones. With `weights`, None or
            "softmax".
        name: the model's name.
        version: "1.0", that of the paper, or "1.1", the authors' later one: smaller images sooner, less than half of
            the multiplications, the same accuracy.
        dropout: the rate of the dropout before the class scores.

    Raises:
        ValueError: an argument does not fit, or the file of weights does not.
        FileNotFoundError: there is no file of weights.

    Example:
        >>> SqueezeNet().count_params()
        1235496
    """
    arguments = (include_top, weights, input_tensor, input_shape, pooling, classes, classifier_activation)
    first = _VERSIONS[one_of("SqueezeNet", "version", version, tuple(_VERSIONS))]
    with building("SqueezeNet", Arguments(*arguments)) as net:
        x = _convolution(net.image, first.filters, first.size, "features_0", strides=2, padding="valid")
        place = 2  # the convolution and its ReLU are torchvision's first two
        for number, (squeezed, expanded) in enumerate(_FIRES, 2):
            if number in first.pooled_before:
                x = halved_up(x, f"features_{place}")
                place += 1
            x = _fire(x, squeezed, expanded, f"features_{place}")
            place += 1
        return net.model(net.ended(x, lambda net, features: _top(net, features, dropout)), name)


def _fire(x: Any, squeezed: int, expanded: int, name: str) -> Any:
    x = _convolution(x, squeezed, 1, f"{name}_squeeze")
    ends = [_convolution(x, expanded, size, f"{name}_expand{size}x{size}") for size in (1, 3)]
    return layers.Concatenate(name=name)(ends)


def _convolution(x: Any, filters: int, size: int, name: str, strides: int = 1, padding: str = "same") -> Any:
    what: Any = {"activation": "relu", "kernel_initializer": "he_uniform", "name": name}
    return layers.Conv2D(filters, size, strides, padding, **what)(x)


def _top(net: Network, x: Any, dropout: float) -> Any:
    x = layers.Dropout(dropout, name="classifier_0")(x)
    x = _convolution(x, net.classes, 1, "classifier_1")
    x = layers.GlobalAveragePooling2D(name="classifier_3")(x)
    return layers.Activation(net.classifier_activation, name="predictions")(x)
