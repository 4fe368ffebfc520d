"""Inception v3: blocks of several paths, with large convolutions made of small ones.

C. Szegedy, V. Vanhoucke, S. Ioffe, J. Shlens and Z. Wojna, "Rethinking the Inception Architecture for Computer Vision"
(2016).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from cnnfast import layers
from cnnfast.applications.building import Arguments, PathLike, building, pooled_classifier
from cnnfast.applications.imagenet_utils import decode_predictions, preprocessing
from cnnfast.models import Model
from cnnfast.symbolic import KerasTensor

__all__ = ["InceptionV3", "decode_predictions", "preprocess_input"]

preprocess_input = preprocessing("tf")

# A path of a block: the convolutions on it, one after the other, as (filters, height, width).
_Path = tuple[tuple[int, int, int], ...]


def InceptionV3(  # noqa: N802
    include_top: bool = True,
    weights: PathLike | None = None,
    input_tensor: KerasTensor | None = None,
    input_shape: Sequence[int | None] | None = None,
    pooling: str | None = None,
    classes: int = 1000,
    classifier_activation: Any = "softmax",
    name: str = "inception_v3",
) -> Model:
    """The third Inception network.

    Images are prepared by `preprocess_input` of this module. Layers are named, or numbered, as Keras does it in a fresh
    session; on an `input_tensor` they take the numbers that are free.

    Args:
        include_top: whether the dense layer is there, which gives every class its score.
        weights: None for random weights, or the path of a file that `Model.load_weights` reads. Nothing is downloaded.
        input_tensor: a symbolic tensor to put the network on, in place of an input of its own.
        input_shape: the shape of one image, (height, width, channels), at least 75x75. By default (299, 299, 3), or
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
        >>> InceptionV3(include_top=False, input_shape=(75, 75, 3)).output_shape
        (None, 1, 1, 2048)
    """
    arguments = (include_top, weights, input_tensor, input_shape, pooling, classes, classifier_activation)
    with building("InceptionV3", Arguments(*arguments), size=299, min_size=75) as net:
        made = _Blocks(numbered=input_tensor is None)
        x = made.features(net.image)
        return net.model(net.ended(x, pooled_classifier), name)


class _Blocks:
    """The network's parts, and the number of convolutions so far."""

    def __init__(self, numbered: bool) -> None:
        self._numbered, self._count = numbered, 0

    def features(self, x: Any) -> Any:
        """All but the end."""
        x = self._convolution(x, 32, 3, 3, strides=2, padding="valid")
        x = self._convolution(x, 32, 3, 3, padding="valid")
        x = self._convolution(x, 64, 3, 3)
        x = layers.MaxPooling2D(3, 2)(x)
        x = self._convolution(x, 80, 1, 1, padding="valid")
        x = self._convolution(x, 192, 3, 3, padding="valid")
        x = layers.MaxPooling2D(3, 2)(x)
        for number, pooled in enumerate((32, 64, 64)):
            paths = ((64, 1, 1),), ((48, 1, 1), (64, 5, 5)), ((64, 1, 1), (96, 3, 3), (96, 3, 3))
            x = self._block(x, f"mixed{number}", paths, pooled)
        x = self._smaller(x, "mixed3", (((384, 3, 3),), ((64, 1, 1), (96, 3, 3), (96, 3, 3))))
        for number, n in enumerate((128, 160, 160, 192), 4):
            once = (n, 1, 1), (n, 1, 7), (192, 7, 1)
            twice = (n, 1, 1), (n, 7, 1), (n, 1, 7), (n, 7, 1), (192, 1, 7)
            x = self._block(x, f"mixed{number}", (((192, 1, 1),), once, twice), 192)
        x = self._smaller(
            x, "mixed8", (((192, 1, 1), (320, 3, 3)), ((192, 1, 1), (192, 1, 7), (192, 7, 1), (192, 3, 3)))
        )
        for number in (0, 1):
            x = self._wide(x, number)
        return x

    def _block(self, x: Any, name: str, paths: tuple[_Path, ...], pooled: int) -> Any:
        """Paths side by side, one of which averages first."""
        ends = [self._path(x, path) for path in paths]
        return layers.Concatenate(name=name)([*ends, self._averaged(x, pooled)])

    def _smaller(self, x: Any, name: str, paths: tuple[_Path, ...]) -> Any:
        """Paths that halve the size at their ends."""
        ends = []
        for path in paths:
            y = self._path(x, path[:-1])
            ends.append(self._convolution(y, *path[-1], strides=2, padding="valid"))
        return layers.Concatenate(name=name)([*ends, layers.MaxPooling2D(3, 2)(x)])

    def _wide(self, x: Any, number: int) -> Any:
        """Paths that part again at their ends."""
        single = self._convolution(x, 320, 1, 1)
        once = self._parted(self._path(x, ((384, 1, 1),)), f"mixed9_{number}")
        twice = self._parted(self._path(x, ((448, 1, 1), (384, 3, 3))), None)
        return layers.Concatenate(name=f"mixed{9 + number}")([single, once, twice, self._averaged(x, 192)])

    def _parted(self, x: Any, name: str | None) -> Any:
        ends = [self._convolution(x, 384, 1, 3), self._convolution(x, 384, 3, 1)]
        return layers.Concatenate(name=name)(ends)

    def _averaged(self, x: Any, filters: int) -> Any:
        return self._convolution(layers.AveragePooling2D(3, 1, "same")(x), filters, 1, 1)

    def _path(self, x: Any, path: _Path) -> Any:
        for convolution in path:
            x = self._convolution(x, *convolution)
        return x

    def _convolution(
        self, x: Any, filters: int, height: int, width: int, strides: int = 1, padding: str = "same"
    ) -> Any:
        """A convolution with normalization and ReLU."""
        what: Any = {"use_bias": False, "name": self._name("conv2d")}
        x = layers.Conv2D(filters, (height, width), strides, padding, **what)(x)
        x = layers.BatchNormalization(scale=False, name=self._name("batch_normalization"))(x)
        x = layers.Activation("relu", name=self._name("activation"))(x)
        self._count += 1
        return x

    def _name(self, kind: str) -> str | None:
        if not self._numbered:
            return None
        return f"{kind}_{self._count}" if self._count else kind
