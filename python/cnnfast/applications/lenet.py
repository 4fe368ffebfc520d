"""LeNet-5, which read cheques.

Y. LeCun, L. Bottou, Y. Bengio and P. Haffner, "Gradient-Based Learning Applied to Document Recognition" (1998).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from cnnfast import layers
from cnnfast.applications.building import Arguments, Network, PathLike, building, one_of
from cnnfast.models import Model
from cnnfast.symbolic import KerasTensor

__all__ = ["LeNet5"]

_SIDE = 32  # the paper's images: 28x28 and a border


def LeNet5(  # noqa: N802
    include_top: bool = True,
    weights: PathLike | None = None,
    input_tensor: KerasTensor | None = None,
    input_shape: Sequence[int | None] | None = None,
    pooling: str | None = None,
    classes: int = 10,
    classifier_activation: Any = "softmax",
    name: str = "lenet5",
    *,
    activation: Any = "tanh",
    subsampling: str = "avg",
) -> Model:
    """LeNet-5 as it is taught today.

    The paper's third layer is connected to some of the maps before it, here to all of them; its subsampling has
    weights, and its output are distances to drawn characters. What is here has 61,706 parameters.

    Args:
        include_top: whether the dense layers are there, which give every class its score.
        weights: None for random weights, or the path of a file that `Model.load_weights` reads. Nothing is downloaded.
        input_tensor: a symbolic tensor to put the network on, in place of an input of its own.
        input_shape: the shape of one image, (height, width, channels), at least 28x28; images below 32x32 get a border
            of 2 zeros in the first convolution. By default (32, 32, 1), or without the top (None, None, 1).
        pooling: without the top: None for the last features as they are, "avg" or "max" for their mean or maximum.
        classes: the number of classes.
        classifier_activation: what is applied to their scores; None for the bare ones. With `weights`, None or
            "softmax".
        name: the model's name.
        activation: what follows the other layers; "relu" nowadays.
        subsampling: "avg" as in the paper, or "max".

    Raises:
        ValueError: an argument does not fit, or the file of weights does not.
        FileNotFoundError: there is no file of weights.

    Example:
        >>> LeNet5().count_params()
        61706
    """
    arguments = (include_top, weights, input_tensor, input_shape, pooling, classes, classifier_activation)
    average = one_of("LeNet5", "subsampling", subsampling, ("avg", "max")) == "avg"
    smaller: Any = layers.AveragePooling2D if average else layers.MaxPooling2D
    with building("LeNet5", Arguments(*arguments), size=_SIDE, min_size=_SIDE - 4, channels=1) as net:
        small = any(n is not None and n < _SIDE for n in net.image.shape[1:3])
        x = layers.Conv2D(6, 5, padding="same" if small else "valid", activation=activation, name="C1")(net.image)
        x = smaller(2, name="S2")(x)
        x = layers.Conv2D(16, 5, activation=activation, name="C3")(x)
        x = smaller(2, name="S4")(x)
        x = layers.Conv2D(120, 5, activation=activation, name="C5")(x)
        return net.model(net.ended(x, lambda net, features: _top(net, features, activation)), name)


def _top(net: Network, x: Any, activation: Any) -> Any:
    x = layers.Flatten(name="flatten")(x)
    x = layers.Dense(84, activation=activation, name="F6")(x)
    return net.classifier(x)
