"""Networks in cnnfast, made of layers and used as a Keras user would."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

import cnnfast
from bench.networks import nodes as n
from bench.networks.runner import BN_EPSILON, BN_MOMENTUM, MOMENTUM, Runner, batch
from bench.shapes import FloatArray
from cnnfast import layers, ops


class ModelRunner:
    """A functional model, compiled.

    Attributes:
        model: the model.
        x: the images of the batch.
        labels: their classes.
    """

    def __init__(self, network: n.Network, steps: Sequence[n.Step], size: int) -> None:
        image = layers.Input(network.input_shape)
        self.model = cnnfast.Model(image, _joined(steps, image))
        optimizer: Any = cnnfast.optimizers.SGD(network.learning_rate, momentum=MOMENTUM)
        if network.optimizer == "adam":
            optimizer = cnnfast.optimizers.Adam(network.learning_rate)
        self.model.compile(optimizer, cnnfast.losses.SparseCategoricalCrossentropy(from_logits=True))
        self.x, self.labels = batch(network, size)

    def train_step(self) -> float:
        return float(self.model.train_on_batch(self.x, self.labels))

    def infer(self) -> FloatArray:
        return np.asarray(self.model.infer(self.x))


def _joined(steps: Sequence[n.Step], x: Any) -> Any:
    for step in steps:
        x = _output(step, x)
    return x


def _output(step: n.Step, x: Any) -> Any:
    """What a step makes of a symbolic tensor, with the step's weights."""
    node = step.node
    if isinstance(node, n.MaxPool) and node.padding:  # as in PyTorch; Keras's layer has no such border
        return ops.max_pool2d(x, node.window, node.stride, node.padding)
    if isinstance(node, n.Residual):
        y = layers.Add()([_joined(step.body, x), _joined(step.shortcut, x)])
        return _activated(y, node.activation)
    layer = _layer(node)
    y = layer(x)
    if step.weights:
        layer.set_weights(list(step.weights.values()))
    return _activated(y, node.activation) if isinstance(node, n.BatchNorm) else y


def _layer(node: n.Node) -> Any:
    if isinstance(node, n.Conv):
        arguments: dict[str, Any] = {"activation": node.activation, "use_bias": node.bias}
        return layers.Conv2D(node.filters, node.window, node.stride, node.padding, **arguments)
    if isinstance(node, n.Depthwise):
        return layers.DepthwiseConv2D(node.window, node.stride, node.padding, use_bias=False)
    if isinstance(node, n.BatchNorm):
        return layers.BatchNormalization(momentum=BN_MOMENTUM, epsilon=BN_EPSILON)
    if isinstance(node, n.MaxPool):
        return layers.MaxPooling2D(node.window, node.stride)
    if isinstance(node, n.GlobalAverage):
        return layers.GlobalAveragePooling2D()
    if isinstance(node, n.Flatten):
        return layers.Flatten()
    assert isinstance(node, n.Dense)
    return layers.Dense(node.units, activation=node.activation)


def _activated(x: Any, activation: str | None) -> Any:
    return x if activation is None else layers.Activation(activation)(x)


def build(network: n.Network, steps: Sequence[n.Step], size: int) -> Runner:
    """The network for batches of `size` images."""
    return ModelRunner(network, steps, size)
