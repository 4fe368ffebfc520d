"""U-Net: a class for every pixel; a path down to small maps of many channels, and one up again that sees the way down.

O. Ronneberger, P. Fischer and T. Brox, "U-Net: Convolutional Networks for Biomedical Image Segmentation" (2015).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from cnnfast import layers
from cnnfast.applications.building import Arguments, Network, PathLike, building, one_of
from cnnfast.arguments import positive_int, real
from cnnfast.models import Model
from cnnfast.symbolic import KerasTensor

__all__ = ["UNet"]


def UNet(  # noqa: N802
    include_top: bool = True,
    weights: PathLike | None = None,
    input_tensor: KerasTensor | None = None,
    input_shape: Sequence[int | None] | None = None,
    pooling: str | None = None,
    classes: int = 2,
    classifier_activation: Any = "softmax",
    name: str = "unet",
    *,
    filters: int = 64,
    depth: int = 4,
    padding: str = "valid",
    batch_normalization: bool = False,
    dropout: float = 0.5,
) -> Model:
    """U-Net, of the paper's size or another.

    Args:
        include_top: whether the last convolution is there, which gives every pixel's classes their scores.
        weights: None for random weights, or the path of a file that `Model.load_weights` reads. Nothing is downloaded.
        input_tensor: a symbolic tensor to put the network on, in place of an input of its own.
        input_shape: the shape of one image, (height, width, channels). By default (572, 572, 1), the paper's, and with
            padding="same" (512, 512, 1), or without the top (None, None, 1).
        pooling: without the top: None for the last features as they are, "avg" or "max" for their mean or maximum.
        classes: the number of classes.
        classifier_activation: what is applied to their scores; None for the bare ones, "sigmoid" for one class. With
            `weights`, None or "softmax".
        name: the model's name.
        filters: of the first convolutions; twice as many on each floor below.
        depth: how many floors there are below the first.
        padding: "valid", as in the paper, gives scores for the middle of the image alone, 388x388 of 572x572; "same"
            gives them for all of it, and takes sizes that 2**depth divides.
        batch_normalization: whether the convolutions of 3x3 have it in place of a bias.
        dropout: the rate of the dropout on the two lowest floors.

    Raises:
        ValueError: an argument does not fit, or the file of weights does not.
        FileNotFoundError: there is no file of weights.

    Example:
        >>> UNet(filters=8, depth=2, padding="same", input_shape=(64, 64, 3), classes=5).output_shape
        (None, 64, 64, 5)
    """
    arguments = (include_top, weights, input_tensor, input_shape, pooling, classes, classifier_activation)
    same = one_of("UNet", "padding", padding, ("valid", "same")) == "same"
    filters, depth = positive_int("UNet", "filters", filters), positive_int("UNet", "depth", depth)
    rate = real("UNet", "dropout", dropout, 0.0, 1.0)
    if include_top and classes == 1 and classifier_activation == "softmax":
        raise ValueError("UNet: classes=1 expects another classifier_activation, as 'sigmoid': softmax gives 1 always")
    with building("UNet", Arguments(*arguments), size=512 if same else 572, min_size=1, channels=1) as net:
        _check_sizes(net.image.shape[1:3], depth, same)
        made = _Floors(filters, padding, bool(batch_normalization))
        x, passed = made.pair(net.image, 0, "down"), []
        for floor in range(1, depth + 1):
            if floor == depth:
                x = layers.Dropout(rate, name=f"down{floor - 1}_dropout")(x)
            passed.append(x)
            x = made.pair(layers.MaxPooling2D(2, name=f"down{floor}_pool")(x), floor, "down")
        x = layers.Dropout(rate, name=f"down{depth}_dropout")(x)
        for floor in reversed(range(depth)):
            x = made.pair(made.raised(x, passed[floor], floor), floor, "up")
        return net.model(net.ended(x, _top), name)


def _top(net: Network, x: Any) -> Any:
    return layers.Conv2D(net.classes, 1, activation=net.classifier_activation, name="predictions")(x)


class _Floors:
    """The network's parts, by floor: 0 is that of the image."""

    def __init__(self, filters: int, padding: str, normalized: bool) -> None:
        self._filters, self._padding, self._normalized = filters, padding, normalized

    def pair(self, x: Any, floor: int, way: str) -> Any:
        """Two convolutions, activated."""
        for number in (1, 2):
            name = f"{way}{floor}_conv{number}"
            what: Any = {"kernel_initializer": "he_normal", "use_bias": not self._normalized, "name": name}
            x = layers.Conv2D(self._filters << floor, 3, padding=self._padding, **what)(x)
            if self._normalized:
                x = layers.BatchNormalization(name=f"{name}_bn")(x)
            x = layers.Activation("relu", name=f"{name}_relu")(x)
        return x

    def raised(self, x: Any, passed: Any, floor: int) -> Any:
        """What comes from below in twice its size, beside what was here on the way down."""
        what: Any = {"kernel_initializer": "he_normal", "name": f"up{floor}_raise"}
        x = layers.Conv2DTranspose(self._filters << floor, 2, 2, **what)(x)
        surplus = [(a or 0) - (b or 0) for a, b in zip(passed.shape[1:3], x.shape[1:3], strict=True)]
        if any(surplus):
            border = tuple((n // 2, n - n // 2) for n in surplus)
            passed = layers.Cropping2D(border, name=f"up{floor}_crop")(passed)
        return layers.Concatenate(name=f"up{floor}_joined")([passed, x])


def _check_sizes(sizes: Sequence[int | None], depth: int, same: bool) -> None:
    """Refuse sizes of which a floor would have an odd one, or none, to halve."""
    if not same and None in sizes:
        raise ValueError(f"UNet: padding='valid' expects an input_shape of fixed sizes, got {tuple(sizes)}")
    for size in sizes:
        left = size or 0
        for _ in range(depth):
            left -= 0 if same else 4
            if left % 2 or left < 0:
                raise ValueError(f"UNet: input_shape expects sizes that can be halved {depth} times, got {size}{_WHY}")
            left //= 2
        if not same and left <= 4:
            raise ValueError(f"UNet: input_shape expects larger images for depth={depth}, got {size}")


_WHY = " (without padding each two convolutions take 4 pixels away first)"
