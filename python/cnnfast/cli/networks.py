"""The networks that `cnnfast train --model` builds."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cnnfast.models import Sequential

_LENET5_SIDE = 32  # LeCun's network pads 28x28 images to this


def lenet5(input_shape: tuple[int, int, int], classes: int) -> Sequential:
    """LeNet-5 with ReLU and max-pooling in place of tanh and subsampling.

    Y. LeCun, L. Bottou, Y. Bengio, P. Haffner, "Gradient-based learning applied to document recognition", 1998.
    """
    import cnnfast as keras
    from cnnfast import layers

    padding = "valid" if min(input_shape[:2]) >= _LENET5_SIDE else "same"
    return keras.Sequential(
        [
            keras.Input(input_shape),
            layers.Conv2D(6, 5, padding=padding, activation="relu"),
            layers.MaxPooling2D(),
            layers.Conv2D(16, 5, activation="relu"),
            layers.MaxPooling2D(),
            layers.Flatten(),
            layers.Dense(120, activation="relu"),
            layers.Dense(84, activation="relu"),
            layers.Dense(classes, activation="softmax"),
        ]
    )


def convnet(input_shape: tuple[int, int, int], classes: int) -> Sequential:
    """The convnet of Keras's MNIST example."""
    import cnnfast as keras
    from cnnfast import layers

    return keras.Sequential(
        [
            keras.Input(input_shape),
            layers.Conv2D(32, 3, activation="relu"),
            layers.MaxPooling2D(),
            layers.Conv2D(64, 3, activation="relu"),
            layers.MaxPooling2D(),
            layers.Flatten(),
            layers.Dropout(0.5),
            layers.Dense(classes, activation="softmax"),
        ]
    )


def mlp(input_shape: tuple[int, int, int], classes: int) -> Sequential:
    """Two dense layers: what a network without convolution does."""
    import cnnfast as keras
    from cnnfast import layers

    return keras.Sequential(
        [
            keras.Input(input_shape),
            layers.Flatten(),
            layers.Dense(128, activation="relu"),
            layers.Dense(classes, activation="softmax"),
        ]
    )


# Each with the smallest side of an image it can take.
NETWORKS: dict[str, tuple[Callable[[tuple[int, int, int], int], Sequential], int]] = {
    "lenet5": (lenet5, 12),
    "convnet": (convnet, 10),
    "mlp": (mlp, 1),
}
