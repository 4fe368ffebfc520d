"""Layers beside Keras's own: same weights and inputs in, same outputs and gradients out."""

import numpy as np
import pytest

import keras_peer
from cnnfast import layers
from cnnfast.autograd import GradientTape, Tensor

FIRST = {"data_format": "channels_first"}

# (class, arguments, the shape of the input or of each in a list)
ROWS = [
    ("Conv1D", {"filters": 4, "kernel_size": 3, "padding": "same", **FIRST}, (2, 3, 9)),
    ("Conv1D", {"filters": 4, "kernel_size": 3, "padding": "causal"}, (2, 9, 3)),
    ("Conv2D", {"filters": 4, "kernel_size": (3, 2), "strides": (2, 1), "groups": 2, **FIRST}, (2, 4, 7, 6)),
    ("Conv2D", {"filters": 4, "kernel_size": 3, "activation": "softmax", **FIRST}, (2, 3, 7, 6)),
    ("Conv3D", {"filters": 2, "kernel_size": 2, "dilation_rate": 2, "activation": "tanh", **FIRST}, (2, 3, 5, 4, 5)),
    ("DepthwiseConv1D", {"kernel_size": 3, "depth_multiplier": 2, **FIRST}, (2, 3, 8)),
    ("DepthwiseConv2D", {"kernel_size": 3, "strides": 2, "padding": "same", "depth_multiplier": 2, **FIRST},
     (2, 3, 7, 7)),
    ("SeparableConv1D", {"filters": 5, "kernel_size": 3, "strides": 2, "depth_multiplier": 2}, (2, 9, 3)),
    ("SeparableConv1D", {"filters": 5, "kernel_size": 3, "padding": "same", **FIRST}, (2, 3, 9)),
    ("SeparableConv2D", {"filters": 5, "kernel_size": 3, "depth_multiplier": 2, "activation": "relu"}, (2, 7, 6, 3)),
    ("SeparableConv2D", {"filters": 5, "kernel_size": (3, 2), "padding": "same", "dilation_rate": 2,
                         "use_bias": False, **FIRST}, (2, 3, 7, 6)),
    ("Conv1DTranspose", {"filters": 4, "kernel_size": 3, "strides": 2, "padding": "same"}, (2, 5, 3)),
    ("Conv1DTranspose", {"filters": 4, "kernel_size": 3, "strides": 2, "output_padding": 1, **FIRST}, (2, 3, 5)),
    ("Conv2DTranspose", {"filters": 4, "kernel_size": 4, "strides": 2, "padding": "same"}, (2, 4, 5, 3)),
    ("Conv2DTranspose", {"filters": 4, "kernel_size": (3, 2), "strides": (2, 3), "activation": "relu"}, (2, 4, 5, 3)),
    ("Conv2DTranspose", {"filters": 4, "kernel_size": 3, "padding": "same", "dilation_rate": 2, "use_bias": False},
     (2, 6, 5, 3)),
    ("Conv2DTranspose", {"filters": 4, "kernel_size": 3, "strides": 2, "padding": "same", "output_padding": 0},
     (2, 4, 5, 3)),
    ("Conv3DTranspose", {"filters": 2, "kernel_size": 2, "strides": 2, **FIRST}, (2, 3, 2, 3, 2)),
    ("MaxPooling1D", FIRST, (2, 3, 8)),
    ("MaxPooling2D", {"pool_size": (3, 2), "strides": 2, "padding": "valid", **FIRST}, (2, 3, 7, 6)),
    ("MaxPooling3D", FIRST, (2, 3, 4, 5, 4)),
    ("AveragePooling1D", {"pool_size": 3, "strides": 1, **FIRST}, (2, 3, 8)),
    ("AveragePooling2D", {"pool_size": 2, **FIRST}, (2, 3, 6, 7)),
    ("AveragePooling3D", {"pool_size": 2, **FIRST}, (2, 3, 4, 5, 4)),
    ("GlobalMaxPooling1D", FIRST, (2, 3, 8)),
    ("GlobalMaxPooling2D", {"keepdims": True, **FIRST}, (2, 3, 6, 7)),
    ("GlobalMaxPooling3D", FIRST, (2, 3, 4, 3, 2)),
    ("GlobalAveragePooling1D", {"keepdims": True, **FIRST}, (2, 3, 8)),
    ("GlobalAveragePooling2D", FIRST, (2, 3, 6, 7)),
    ("GlobalAveragePooling3D", FIRST, (2, 3, 4, 3, 2)),
    ("Flatten", FIRST, (2, 3, 4, 5)),
]  # fmt: skip


def name_of(row):
    return "-".join([row[0], *(f"{key}={value}" for key, value in row[1].items())])


@pytest.mark.parametrize("row", ROWS, ids=name_of)
def test_layer_is_that_of_keras(row, rng):
    name, arguments, shapes = row
    keras = keras_peer.keras()
    several = isinstance(shapes, list)
    inputs = [rng.standard_normal(s).astype(np.float32) for s in (shapes if several else [shapes])]
    layer = getattr(layers, name)(**arguments)
    tensors = [Tensor(x) for x in inputs]
    layer(tensors if several else tensors[0])
    weights = [rng.uniform(0.1, 1.0, w.shape).astype(np.float32) for w in layer.weights]
    layer.set_weights(weights)

    with GradientTape() as tape:
        tape.watch(tensors)
        y = layer(tensors if several else tensors[0])
    dy = rng.standard_normal(y.shape).astype(np.float32)
    found = tape.gradient(y, [tensors, layer.trainable_weights], output_gradients=dy, unconnected_gradients="zero")

    peer = getattr(keras.layers, name)(**arguments)
    expected, dx, dw = keras_peer.outputs_and_gradients(peer, inputs, weights, dy)
    assert layer.compute_output_shape(shapes) == tuple(expected.shape)
    assert [w.name for w in layer.weights] == [w.name for w in peer.weights]
    close = {"rtol": 1e-4, "atol": 1e-4}
    np.testing.assert_allclose(y, expected, **close)
    for ours, theirs in zip([*found[0], *found[1]], [*dx, *dw], strict=True):
        np.testing.assert_allclose(ours, theirs, **close)
