"""The networks that are measured."""

from __future__ import annotations

import re

from bench.networks.nodes import (
    BatchNorm,
    Conv,
    Dense,
    Depthwise,
    Flatten,
    GlobalAverage,
    MaxPool,
    Network,
    Node,
    Residual,
)


def _lenet5() -> Network:
    """LeCun et al., 1998, with today's activation and pooling."""
    nodes = (
        Conv(6, 5, padding=2, activation="relu"), MaxPool(2, 2), Conv(16, 5, activation="relu"), MaxPool(2, 2),
        Flatten(), Dense(120, "relu"), Dense(84, "relu"), Dense(10),
    )  # fmt: skip
    return Network("LeNet-5", nodes, (28, 28, 1), 10, (1, 32, 128), "adam", 0.001)


def _mnist() -> Network:
    """The convnet of Keras's first example, without its dropout."""
    nodes = (
        Conv(32, 3, activation="relu"), MaxPool(2, 2), Conv(64, 3, activation="relu"), MaxPool(2, 2), Flatten(),
        Dense(10),
    )  # fmt: skip
    return Network("MNIST convnet", nodes, (28, 28, 1), 10, (32, 128), "adam", 0.001)


def _vgg_features(*filters: int) -> list[Node]:
    """3x3 convolutions, with a pooling where there is a 0 (Simonyan and Zisserman, 2015)."""
    return [Conv(n, 3, padding=1, activation="relu") if n else MaxPool(2, 2) for n in filters]


def _vgg11() -> Network:
    nodes = [*_vgg_features(64, 0, 128, 0, 256, 256, 0, 512, 512, 0, 512, 512, 0), Flatten(), Dense(10)]
    return Network("VGG-11", tuple(nodes), (32, 32, 3), 10, (16, 128), learning_rate=5e-4)


def _vgg16() -> Network:
    features = _vgg_features(64, 64, 0, 128, 128, 0, 256, 256, 256, 0, 512, 512, 512, 0, 512, 512, 512, 0)
    nodes = [*features, Flatten(), Dense(4096, "relu"), Dense(4096, "relu"), Dense(1000)]
    return Network("VGG-16", tuple(nodes), (224, 224, 3), 1000, (4,), learning_rate=1e-5)


def _stem() -> list[Node]:
    return [Conv(64, 7, 2, 3, bias=False), BatchNorm("relu"), MaxPool(3, 2, 1)]


def _shortcut(filters: int, stride: int, needed: bool) -> tuple[Node, ...]:
    return (Conv(filters, 1, stride, bias=False), BatchNorm()) if needed else ()


def _resnet18() -> Network:
    """He et al., 2016."""
    nodes = _stem()
    for filters, first in ((64, 1), (128, 2), (256, 2), (512, 2)):
        for stride in (first, 1):
            body = (
                Conv(filters, 3, stride, 1, bias=False), BatchNorm("relu"), Conv(filters, 3, 1, 1, bias=False),
                BatchNorm(),
            )  # fmt: skip
            nodes.append(Residual(body, _shortcut(filters, stride, stride != 1), "relu"))
    return Network("ResNet-18", (*nodes, GlobalAverage(), Dense(1000)), (224, 224, 3), 1000, (1, 16))


def _resnet50() -> Network:
    """With the stride in the 3x3 convolutions, as torchvision has it."""
    nodes = _stem()
    for filters, blocks, first in ((64, 3, 1), (128, 4, 2), (256, 6, 2), (512, 3, 2)):
        for block in range(blocks):
            stride = first if block == 0 else 1
            body = (
                Conv(filters, 1, bias=False), BatchNorm("relu"), Conv(filters, 3, stride, 1, bias=False),
                BatchNorm("relu"), Conv(4 * filters, 1, bias=False), BatchNorm(),
            )  # fmt: skip
            nodes.append(Residual(body, _shortcut(4 * filters, stride, block == 0), "relu"))
    return Network("ResNet-50", (*nodes, GlobalAverage(), Dense(1000)), (224, 224, 3), 1000, (8,))


def _mobilenet_v2() -> Network:
    """Sandler et al., 2018."""
    nodes: list[Node] = [Conv(32, 3, 2, 1, bias=False), BatchNorm("relu6")]
    channels = 32
    for expansion, filters, blocks, first in (
        (1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1),
    ):  # fmt: skip
        for block in range(blocks):
            stride = first if block == 0 else 1
            wide: tuple[Node, ...] = (Conv(expansion * channels, 1, bias=False), BatchNorm("relu6"))
            body = (
                *(wide if expansion > 1 else ()), Depthwise(3, stride, 1), BatchNorm("relu6"),
                Conv(filters, 1, bias=False), BatchNorm(),
            )  # fmt: skip
            nodes += [Residual(body)] if stride == 1 and channels == filters else body
            channels = filters
    nodes += [Conv(1280, 1, bias=False), BatchNorm("relu6"), GlobalAverage(), Dense(1000)]
    return Network("MobileNetV2", tuple(nodes), (224, 224, 3), 1000, (8,))


NETWORKS = (_lenet5(), _mnist(), _vgg11(), _resnet18(), _resnet50(), _mobilenet_v2(), _vgg16())


def select(pattern: str = "") -> list[Network]:
    """The networks whose name a regular expression finds, whatever the case.

    Raises:
        ValueError: it finds none.
    """
    found = [n for n in NETWORKS if re.search(pattern, n.name, re.IGNORECASE)]
    if not found:
        raise ValueError(f"--networks {pattern!r} finds none of {', '.join(n.name for n in NETWORKS)}")
    return found
