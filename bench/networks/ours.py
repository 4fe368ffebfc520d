"""Networks in cnnfast: a `Sequential` where there are no branches, else assembled from `cnnfast.ops`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

import cnnfast
from bench.networks import nodes as n
from bench.networks.runner import BN_EPSILON, BN_MOMENTUM, MOMENTUM, Runner, batch
from bench.shapes import FloatArray
from cnnfast import ops


def _optimizer(network: n.Network) -> Any:
    if network.optimizer == "adam":
        return cnnfast.optimizers.Adam(network.learning_rate)
    return cnnfast.optimizers.SGD(network.learning_rate, momentum=MOMENTUM)


def _activated(x: Any, activation: str | None) -> Any:
    return x if activation is None else ops.activation(x, activation)


class SequentialRunner:
    """A network without branches, used as a Keras user would."""

    def __init__(self, network: n.Network, steps: Sequence[n.Step], size: int) -> None:
        self.model = cnnfast.Sequential([cnnfast.layers.Input(network.input_shape)])
        for step in steps:
            layer = _layer(step.node)
            self.model.add(layer)
            if step.weights:
                layer.set_weights(list(step.weights.values()))
        loss = cnnfast.losses.SparseCategoricalCrossentropy(from_logits=True)
        self.model.compile(_optimizer(network), loss)
        self.x, self.labels = batch(network, size)

    def train_step(self) -> float:
        return float(self.model.train_on_batch(self.x, self.labels))

    def infer(self) -> FloatArray:
        return np.asarray(self.model(self.x))


def _layer(node: n.Node) -> Any:
    layers = cnnfast.layers
    if isinstance(node, n.Conv):
        same = node.stride == 1 and 2 * node.padding == node.window - 1
        padding = "same" if same else node.padding
        return layers.Conv2D(
            node.filters, node.window, node.stride, padding, activation=node.activation, use_bias=node.bias
        )
    if isinstance(node, n.MaxPool):
        return layers.MaxPooling2D(node.window, node.stride)
    if isinstance(node, n.Flatten):
        return layers.Flatten()
    assert isinstance(node, n.Dense)
    return layers.Dense(node.units, activation=node.activation)


class OpsRunner:
    """Any network, by a walk over its steps."""

    def __init__(self, network: n.Network, steps: Sequence[n.Step], size: int) -> None:
        self.steps = steps
        self.optimizer = _optimizer(network)
        self.weights: dict[int, dict[str, cnnfast.Variable]] = {}
        self._make_variables(steps)
        self.variables = [v for w in self.weights.values() for v in w.values() if v.trainable]
        self.x, self.labels = batch(network, size)

    def _make_variables(self, steps: Sequence[n.Step]) -> None:
        for step in steps:
            self.weights[id(step)] = {
                name: cnnfast.Variable(value, trainable=not name.startswith("moving"), name=name)
                for name, value in step.weights.items()
            }
            self._make_variables(step.body)
            self._make_variables(step.shortcut)

    def train_step(self) -> float:
        with cnnfast.GradientTape() as tape:
            logits = self._run(self.steps, self.x, training=True)
            loss = ops.mean(ops.softmax_cross_entropy(self.labels, logits))
        gradients = tape.gradient(loss, self.variables)
        self.optimizer.apply_gradients(zip(gradients, self.variables, strict=True))
        return float(loss)

    def infer(self) -> FloatArray:
        return np.asarray(self._run(self.steps, self.x, training=False))

    def _run(self, steps: Sequence[n.Step], x: Any, training: bool) -> Any:
        for step in steps:
            x = self._step(step, x, training)
        return x

    def _step(self, step: n.Step, x: Any, training: bool) -> Any:
        node, weights = step.node, self.weights[id(step)]
        if isinstance(node, n.Conv):
            arguments: dict[str, Any] = {"strides": node.stride, "padding": node.padding, "activation": node.activation}
            return ops.conv2d(x, weights["kernel"], weights.get("bias"), **arguments)
        if isinstance(node, n.Depthwise):
            return ops.depthwise_conv2d(x, weights["kernel"], strides=node.stride, padding=node.padding)
        if isinstance(node, n.BatchNorm):
            return self._normalized(step, x, training)
        if isinstance(node, n.MaxPool):
            return ops.max_pool2d(x, node.window, node.stride, node.padding)
        if isinstance(node, n.GlobalAverage):
            return ops.global_avg_pool(x)
        if isinstance(node, n.Flatten):
            return ops.reshape(x, (x.shape[0], -1))
        if isinstance(node, n.Dense):
            return ops.dense(x, weights["kernel"], weights["bias"], activation=node.activation)
        assert isinstance(node, n.Residual)
        return self._residual(step, node, x, training)

    def _residual(self, step: n.Step, node: n.Residual, x: Any, training: bool) -> Any:
        shortcut = self._run(step.shortcut, x, training)
        *body, last = step.body
        if last.node != n.BatchNorm():
            return _activated(ops.add(self._run(step.body, x, training), shortcut), node.activation)
        return self._normalized(last, self._run(body, x, training), training, node.activation, shortcut)

    def _normalized(
        self, step: n.Step, x: Any, training: bool, activation: str | None = None, residual: Any = None
    ) -> Any:
        node, weights = step.node, self.weights[id(step)]
        assert isinstance(node, n.BatchNorm)
        inputs = (x, weights["gamma"], weights["beta"], weights["moving_mean"], weights["moving_variance"])
        arguments: dict[str, Any] = {"epsilon": BN_EPSILON, "activation": node.activation or activation}
        if not training:
            return ops.fused_batch_norm(*inputs, residual=residual, **arguments)
        y, *moments = ops.fused_batch_norm(*inputs, residual=residual, training=True, **arguments)
        for name, new in zip(("moving_mean", "moving_variance"), moments, strict=True):
            weights[name].assign(BN_MOMENTUM * weights[name].numpy() + (1 - BN_MOMENTUM) * new)
        return y


def build(network: n.Network, steps: Sequence[n.Step], size: int) -> Runner:
    """The network for batches of `size` images."""
    plain = (n.Conv, n.MaxPool, n.Flatten, n.Dense)
    sequential = all(isinstance(s.node, plain) and not getattr(s.node, "padding", 0) * isinstance(s.node, n.MaxPool)
                     for s in steps)  # fmt: skip
    return SequentialRunner(network, steps, size) if sequential else OpsRunner(network, steps, size)
