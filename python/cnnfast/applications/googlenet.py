"""GoogLeNet: blocks whose paths look at an image in windows of several sizes at once.

C. Szegedy et al., "Going Deeper with Convolutions" (2015).

Training it with its two auxiliary heads, which weigh 0.3 each, and using it without them:

    model = GoogLeNet(classes=10, aux_logits=True)
    model.compile("adam", loss=["sparse_categorical_crossentropy"] * 3, loss_weights=[1.0, 0.3, 0.3])
    model.fit(x, [y, y, y])
    trained = cnnfast.Model(model.input, model.outputs[0])  # the same weights

A file of weights that was written with the heads can be loaded without them: `GoogLeNet(classes=10, weights=path)`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from cnnfast import layers
from cnnfast.applications.building import Arguments, Network, PathLike, bordered, building, halved_up, one_of
from cnnfast.applications.imagenet_utils import decode_predictions, preprocessing
from cnnfast.models import Model
from cnnfast.symbolic import KerasTensor

__all__ = ["GoogLeNet", "decode_predictions", "inception_block", "preprocess_input"]

preprocess_input = preprocessing("torch")

# The blocks' filters: of one pixel; before and in 3x3; before and in 5x5; behind the pooling. The paper's table 1.
_BLOCKS = {
    "3a": (64, 96, 128, 16, 32, 32),
    "3b": (128, 128, 192, 32, 96, 64),
    "4a": (192, 96, 208, 16, 48, 64),
    "4b": (160, 112, 224, 24, 64, 64),
    "4c": (128, 128, 256, 24, 64, 64),
    "4d": (112, 144, 288, 32, 64, 64),
    "4e": (256, 160, 320, 32, 128, 128),
    "5a": (256, 160, 320, 32, 128, 128),
    "5b": (384, 192, 384, 48, 128, 128),
}
_HEADS = {"4a": "aux1", "4d": "aux2"}  # which block an auxiliary head is on
# How the names of a block's convolutions end.
_ENDINGS = {
    "paper": ("1x1", "3x3_reduce", "3x3", "5x5_reduce", "5x5", "pool_proj"),
    "torchvision": ("branch1", "branch2_0", "branch2_1", "branch3_0", "branch3_1", "branch4_1"),
}


def GoogLeNet(  # noqa: N802
    include_top: bool = True,
    weights: PathLike | None = None,
    input_tensor: KerasTensor | None = None,
    input_shape: Sequence[int | None] | None = None,
    pooling: str | None = None,
    classes: int = 1000,
    classifier_activation: Any = "softmax",
    name: str = "googlenet",
    *,
    aux_logits: bool = False,
    style: str = "torchvision",
    dropout: float = 0.2,
    dropout_aux: float = 0.7,
) -> Model:
    """GoogLeNet, with or without the two auxiliary heads that help its training.

    Images are prepared by `preprocess_input` of this module.

    Args:
        include_top: whether the dense layer is there, which gives every class its score.
        weights: None for random weights, or the path of a file that `Model.load_weights` reads. Nothing is downloaded.
        input_tensor: a symbolic tensor to put the network on, in place of an input of its own.
        input_shape: the shape of one image, (height, width, channels), at least 32x32, with the paper's heads 80x80. By
            default (224, 224, 3), or without the top (None, None, 3): images of any size.
        pooling: without the top: None for the last features as they are, "avg" or "max" for their mean or maximum.
        classes: the number of classes.
        classifier_activation: what is applied to their scores; None for the bare ones. With `weights`, None or
            "softmax".
        name: the model's name.
        aux_logits: whether the model has three outputs, for training: the class scores and those of the two heads. The
            top of this module shows how to train with them and go on without. (In torchvision a network in training has
            three outputs, and in use one; the outputs of a model here are what they are, so there are none by default.)
        style: "torchvision": batch normalization behind every convolution, 3x3 windows in place of 5x5, and
            torchvision's names, so that its files fit; "paper": biases, 5x5 windows and local response normalization.
        dropout: the rate of the dropout before the class scores.
        dropout_aux: the same for the auxiliary heads.

    Raises:
        ValueError: an argument does not fit, or the file of weights does not.
        FileNotFoundError: there is no file of weights.

    Example:
        >>> GoogLeNet(include_top=False, pooling="avg").output_shape
        (None, 1024)
        >>> GoogLeNet(input_shape=(64, 64, 3), classes=10, aux_logits=True).output_names
        ['fc', 'aux1_fc2', 'aux2_fc2']
    """
    arguments = (include_top, weights, input_tensor, input_shape, pooling, classes, classifier_activation)
    paper = one_of("GoogLeNet", "style", style, ("torchvision", "paper")) == "paper"
    if aux_logits and not include_top:
        raise ValueError("GoogLeNet: aux_logits=True expects include_top=True: the heads give class scores")
    with building("GoogLeNet", Arguments(*arguments), min_size=80 if paper and aux_logits else 32) as net:
        x = _stem(net.image, style)
        heads = []
        for block, filters in _BLOCKS.items():
            x = inception_block(x, filters, name=f"inception{block}", style=style)
            if aux_logits and block in _HEADS:
                heads.append(_head(net, x, _HEADS[block], style, dropout_aux))
            if block == "3b" or (paper and block == "4e"):
                x = halved_up(x, f"pool{block[0]}")
            elif block == "4e":
                x = layers.MaxPooling2D(2, 2, "same", name="pool4")(x)
        y = net.ended(x, lambda net, features: _top(net, features, dropout, "predictions" if paper else "fc"))
        return net.model([y, *heads] if heads else y, name)


def inception_block(x: Any, filters: Sequence[int], *, name: str, style: str = "torchvision") -> Any:
    """Convolutions in windows of several sizes and a pooling, side by side, joined along the channels.

    Before the larger windows a convolution of one pixel takes channels away, which saves most of the multiplications.

    Args:
        x: features, a symbolic tensor.
        filters: six numbers: of the windows of one pixel; before those of 3x3, and of these; before those of 5x5, and
            of these; behind the pooling.
        name: what the layers' names begin with.
        style: "torchvision", whose 5x5 windows are 3x3, with batch normalization; or "paper".

    Raises:
        ValueError: another style, or another number of filters.

    Example:
        >>> inception_block(layers.Input((28, 28, 192)), (64, 96, 128, 16, 32, 32), name="block").shape
        (None, 28, 28, 256)
    """
    one_of(name, "style", style, ("torchvision", "paper"))
    if len(filters) != 6:
        raise ValueError(f"{name}: filters expects six numbers, got {filters!r}")
    single, before_3x3, large, before_5x5, larger, behind_pool = filters
    window = 5 if style == "paper" else 3
    names = [f"{name}_{ending}" for ending in _ENDINGS[style]]
    first = _convolution(x, single, 1, names[0], style)
    second = _convolution(_convolution(x, before_3x3, 1, names[1], style), large, 3, names[2], style)
    third = _convolution(_convolution(x, before_5x5, 1, names[3], style), larger, window, names[4], style)
    fourth = layers.MaxPooling2D(3, 1, "same", name=f"{name}_pool")(x)
    fourth = _convolution(fourth, behind_pool, 1, names[5], style)
    return layers.Concatenate(name=name)([first, second, third, fourth])


def _stem(x: Any, style: str) -> Any:
    paper = style == "paper"
    x = _convolution(x, 64, 7, "conv1", style, strides=2)
    x = halved_up(x, "pool1")
    if paper:
        x = layers.LocalResponseNormalization(name="norm1")(x)
    x = _convolution(x, 64, 1, "conv2_reduce" if paper else "conv2", style)
    x = _convolution(x, 192, 3, "conv2" if paper else "conv3", style)
    if paper:
        x = layers.LocalResponseNormalization(name="norm2")(x)
    return halved_up(x, "pool2")


def _convolution(x: Any, filters: int, size: int, name: str, style: str, strides: int = 1) -> Any:
    """A convolution, activated."""
    what: Any = {"kernel_initializer": "he_normal"}
    if strides > 1:
        x = bordered(x, size // 2, f"{name}_pad")
    padding = "same" if strides == 1 else "valid"
    if style == "paper":
        return layers.Conv2D(filters, size, strides, padding, activation="relu", name=name, **what)(x)
    x = layers.Conv2D(filters, size, strides, padding, use_bias=False, name=f"{name}_conv", **what)(x)
    x = layers.BatchNormalization(momentum=0.9, name=f"{name}_bn")(x)
    return layers.Activation("relu", name=f"{name}_relu")(x)


def _head(net: Network, x: Any, name: str, style: str, dropout: float) -> Any:
    if style == "paper":
        x = layers.AveragePooling2D(5, 3, name=f"{name}_pool")(x)
    else:
        x = layers.AdaptiveAveragePooling2D(4, name=f"{name}_pool")(x)
    x = _convolution(x, 128, 1, f"{name}_conv", style)
    x = layers.Flatten(name=f"{name}_flatten")(x)
    x = layers.Dense(1024, activation="relu", kernel_initializer="he_normal", name=f"{name}_fc1")(x)
    return net.classifier(layers.Dropout(dropout, name=f"{name}_dropout")(x), f"{name}_fc2")


def _top(net: Network, x: Any, dropout: float, name: str) -> Any:
    x = layers.GlobalAveragePooling2D(name="avg_pool")(x)
    return net.classifier(layers.Dropout(dropout, name="dropout")(x), name)
