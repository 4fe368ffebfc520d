"""TensorFlow: convolutions as graphs, and networks without branches through Keras."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
import tensorflow as tf

tf.get_logger().setLevel("ERROR")  # every layer is a graph of its own, which it warns of

from bench.networks import nodes as n  # noqa: E402
from bench.networks.runner import MOMENTUM, Runner, batch  # noqa: E402
from bench.shapes import FloatArray, Layer  # noqa: E402


class Peer:
    """TensorFlow and the Keras that comes with it."""

    name = "tensorflow"
    trains = True

    def __init__(self, threads: int) -> None:
        tf.config.threading.set_intra_op_parallelism_threads(threads)
        tf.config.threading.set_inter_op_parallelism_threads(threads)

    def versions(self) -> dict[str, str]:
        return {"tensorflow": tf.__version__, "keras": tf.keras.__version__}

    def layer_passes(self, layer: Layer, data: Mapping[str, FloatArray]) -> dict[str, dict[str, Callable[[], Any]]]:
        """Convolutions only, and none with groups: TensorFlow has no gradient for those on CPUs."""
        if layer.kind != "conv" or (layer.groups > 1 and not layer.depthwise):
            return {}
        x, kernel, bias, dy = (tf.constant(data[k]) for k in ("x", "kernel", "bias", "dy"))
        compute = _convolution(layer)

        @tf.function
        def forward() -> Any:
            return tf.nn.bias_add(compute(x, kernel), bias)

        @tf.function
        def backward_data() -> Any:
            with tf.GradientTape() as tape:
                tape.watch(x)
                y = compute(x, kernel)
            return tape.gradient(y, x, dy)

        @tf.function
        def backward_weights() -> Any:
            with tf.GradientTape() as tape:
                tape.watch([kernel, bias])
                y = tf.nn.bias_add(compute(x, kernel), bias)
            return tape.gradient(y, [kernel, bias], dy)

        functions = {"forward": forward, "backward_data": backward_data, "backward_weights": backward_weights}
        return {name: {"graph": function} for name, function in functions.items()}

    def to_array(self, layer: Layer, pass_: str, layout: str, result: Any) -> FloatArray:
        return (result[0] if isinstance(result, (tuple, list)) else result).numpy()

    def networks(self, network: n.Network, steps: Sequence[n.Step], size: int) -> dict[str, Runner]:
        if any(not isinstance(s.node, (n.Conv, n.MaxPool, n.Flatten, n.Dense)) for s in steps):
            return {}
        return {kind.label: kind(network, steps, size) for kind in (_KerasRunner, _GraphRunner)}


def _convolution(layer: Layer) -> Callable[[Any, Any], Any]:
    """As a Keras user gets it: "same" or "valid", else zeros put around x first."""
    same = layer.stride == 1 and 2 * layer.padding == (layer.window - 1) * layer.dilation
    padding = "SAME" if same else "VALID"
    border = [[0, 0], *([[layer.padding] * 2] * layer.rank), [0, 0]]
    explicit = layer.padding > 0 and not same

    def compute(x: Any, kernel: Any) -> Any:
        x = tf.pad(x, border) if explicit else x
        if layer.depthwise:
            return tf.nn.depthwise_conv2d(x, kernel, [1, layer.stride, layer.stride, 1], padding)
        return tf.nn.convolution(x, kernel, layer.stride, padding, dilations=layer.dilation)

    return compute


def _keras_layer(node: n.Node) -> Any:
    layers = tf.keras.layers
    if isinstance(node, n.Conv):
        padding = "same" if node.padding else "valid"
        return layers.Conv2D(node.filters, node.window, node.stride, padding, activation=node.activation)
    if isinstance(node, n.MaxPool):
        return layers.MaxPooling2D(node.window, node.stride)
    if isinstance(node, n.Flatten):
        return layers.Flatten()
    assert isinstance(node, n.Dense)
    return layers.Dense(node.units, activation=node.activation)


class _KerasRunner:
    """A compiled Keras model, a batch at a time."""

    label = "keras"

    def __init__(self, network: n.Network, steps: Sequence[n.Step], size: int) -> None:
        self.model = tf.keras.Sequential([tf.keras.layers.Input(network.input_shape)])
        for step in steps:
            layer = _keras_layer(step.node)
            self.model.add(layer)
            if step.weights:
                layer.set_weights(list(step.weights.values()))
        optimizers = tf.keras.optimizers
        self.loss = tf.keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        adam = network.optimizer == "adam"
        rate = network.learning_rate
        self.optimizer = optimizers.Adam(rate) if adam else optimizers.SGD(rate, momentum=MOMENTUM)
        self.model.compile(self.optimizer, self.loss)
        self.x, self.labels = batch(network, size)

    def train_step(self) -> float:
        return float(np.asarray(self.model.train_on_batch(self.x, self.labels)).reshape(-1)[0])

    def infer(self) -> FloatArray:
        return np.asarray(self.model(self.x))


class _GraphRunner(_KerasRunner):
    """The same model in a training step of one's own, compiled into one graph."""

    label = "tf.function"

    def __init__(self, network: n.Network, steps: Sequence[n.Step], size: int) -> None:
        super().__init__(network, steps, size)
        self.optimizer.build(self.model.trainable_variables)
        x, labels = tf.constant(self.x), tf.constant(self.labels)

        @tf.function
        def step() -> Any:
            with tf.GradientTape() as tape:
                loss = self.loss(labels, self.model(x, training=True))
            variables = self.model.trainable_variables
            self.optimizer.apply_gradients(zip(tape.gradient(loss, variables), variables, strict=True))
            return loss

        self.step, self.predict = step, tf.function(lambda: self.model(x, training=False))

    def train_step(self) -> float:
        return float(self.step())

    def infer(self) -> FloatArray:
        return self.predict().numpy()
