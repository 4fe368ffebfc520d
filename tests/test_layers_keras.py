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
    ("AdaptiveAveragePooling1D", {"output_size": 3}, (2, 7, 3)),
    ("AdaptiveAveragePooling2D", {"output_size": (3, 4), **FIRST}, (2, 3, 5, 7)),
    ("AdaptiveAveragePooling2D", {"output_size": 7}, (2, 5, 14, 3)),
    ("AdaptiveAveragePooling3D", {"output_size": 2}, (2, 3, 5, 4, 3)),
    ("AdaptiveMaxPooling1D", {"output_size": 3, **FIRST}, (2, 3, 7)),
    ("AdaptiveMaxPooling2D", {"output_size": (3, 4)}, (2, 5, 7, 3)),
    ("AdaptiveMaxPooling2D", {"output_size": 2}, (2, 4, 6, 3)),
    ("AdaptiveMaxPooling3D", {"output_size": (3, 2, 1)}, (2, 4, 5, 3, 2)),
    ("ZeroPadding1D", {"padding": (0, 2)}, (2, 4, 3)),
    ("ZeroPadding2D", {"padding": (1, 2), **FIRST}, (2, 3, 4, 5)),
    ("ZeroPadding2D", {"padding": ((1, 0), (0, 3))}, (2, 4, 5, 3)),
    ("ZeroPadding3D", {}, (1, 2, 3, 2, 2)),
    ("Cropping1D", {}, (2, 5, 3)),
    ("Cropping2D", {"cropping": ((1, 0), (0, 2)), **FIRST}, (2, 3, 4, 5)),
    ("Cropping3D", {"cropping": (1, 0, 2)}, (1, 4, 3, 5, 2)),
    ("UpSampling1D", {"size": 3}, (2, 4, 3)),
    ("UpSampling2D", {"size": (3, 2), **FIRST}, (2, 3, 3, 4)),
    ("UpSampling2D", {"size": (3, 2), "interpolation": "bilinear"}, (2, 3, 4, 3)),
    ("UpSampling2D", {"size": 4, "interpolation": "bilinear", **FIRST}, (2, 3, 5, 1)),
    ("UpSampling3D", {"size": (1, 2, 3)}, (1, 2, 3, 2, 2)),
    ("Permute", {"dims": (3, 1, 2)}, (2, 3, 4, 5)),
    ("RepeatVector", {"n": 3}, (2, 5)),
    ("Add", {}, [(2, 4), (2, 3, 4)]),
    ("Subtract", {}, [(2, 3, 4), (2, 1, 4)]),
    ("Multiply", {}, [(2, 3, 4, 5), (2, 1, 1, 5), (2, 3, 4, 1)]),
    ("Average", {}, [(2, 5), (2, 5), (2, 5)]),
    ("Maximum", {}, [(2, 3, 1), (2, 1, 4)]),
    ("Minimum", {}, [(2, 3, 4), (2, 3, 4)]),
    ("Concatenate", {}, [(2, 3, 4), (2, 3, 2), (2, 3, 1)]),
    ("Concatenate", {"axis": 1}, [(2, 3, 4), (2, 2, 4)]),
    ("Dot", {"axes": -1}, [(2, 5), (2, 5)]),
    ("Dot", {"axes": (2, 1), "normalize": True}, [(2, 3, 4), (2, 4, 5)]),
    ("Dot", {"axes": (1, 3)}, [(2, 3, 4), (2, 5, 2, 3)]),
    ("Dot", {"axes": (1, 2)}, [(2, 3), (2, 5, 3)]),
    ("BatchNormalization", {}, (2, 4, 5)),
    ("BatchNormalization", {"axis": 1, "epsilon": 0.1, "center": False}, (2, 4, 5, 3)),
    ("LayerNormalization", {}, (3, 4, 5)),
    ("LayerNormalization", {"axis": [2, 1], "epsilon": 0.1}, (3, 4, 3)),
    ("LayerNormalization", {"axis": [3, 1]}, (3, 4, 3, 2)),
    ("LayerNormalization", {"axis": [1, 2, 3], "scale": False}, (3, 4, 3, 2)),
    ("RMSNormalization", {}, (3, 4, 5)),
    ("UnitNormalization", {}, (3, 4, 5)),
    ("UnitNormalization", {"axis": (1, 2)}, (3, 4, 5)),
    ("GroupNormalization", {"groups": 2}, (3, 4, 3, 6)),
    ("GroupNormalization", {"groups": 1, "scale": False}, (3, 7, 6)),
    ("GroupNormalization", {"groups": -1, "axis": 1}, (3, 2, 4, 3)),
    ("GroupNormalization", {"groups": 3, "axis": -1}, (3, 6)),
    ("ELU", {"alpha": 0.5}, (3, 7)),
    ("PReLU", {}, (3, 4, 5)),
    ("PReLU", {"shared_axes": [1, 2]}, (3, 4, 5, 2)),
    ("ReLU", {"max_value": 1.0, "negative_slope": 0.2, "threshold": 0.1}, (3, 7)),
    ("LeakyReLU", {}, (3, 7)),
    ("Softmax", {"axis": 1}, (2, 3, 4)),
    ("Softmax", {"axis": (3, 1)}, (2, 3, 4, 5)),
    ("Identity", {}, (2, 7)),
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


WRAPPED = [
    (lambda of: of.TimeDistributed(of.Conv2D(3, 2, padding="same")), (2, 3, 5, 4, 2)),
    (lambda of: of.TimeDistributed(of.BatchNormalization(momentum=0.5)), (4, 3, 5)),
    (lambda of: of.SpectralNormalization(of.Conv2D(3, 2), power_iterations=2), (2, 4, 5, 3)),
    (lambda of: of.SpectralNormalization(of.Dense(3)), (2, 4)),
    (lambda of: of.BatchNormalization(axis=1, momentum=0.5), (3, 4, 5, 2)),
    (lambda of: of.BatchNormalization(), (6, 4)),
]


@pytest.mark.parametrize(("make", "shape"), WRAPPED, ids=range(len(WRAPPED)))
def test_layers_that_differ_in_training_are_those_of_keras(make, shape, rng):
    keras = keras_peer.keras()
    x = Tensor(rng.standard_normal(shape).astype(np.float32))
    layer, peer = make(layers), make(keras.layers)
    layer(x)
    peer.build(shape)
    # A wrapper's own weight and those inside come in another order.
    ours = {w.name: w for w in layer.weights}
    names = [w.path.rsplit("/", 1)[-1] for w in peer.weights]
    weights = [rng.uniform(0.2, 1.0, ours[name].shape).astype(np.float32) for name in names]
    for name, value in zip(names, weights, strict=True):
        ours[name].assign(value)

    with GradientTape() as tape:
        tape.watch(x)
        y = layer(x, training=True)
    dy = rng.standard_normal(y.shape).astype(np.float32)
    (dx,) = tape.gradient(y, [x], output_gradients=dy)
    expected, peer_dx, _ = keras_peer.outputs_and_gradients(peer, [x.numpy()], weights, dy, training=True)
    close = {"rtol": 1e-4, "atol": 1e-4}
    np.testing.assert_allclose(y, expected, **close)
    np.testing.assert_allclose(dx, peer_dx[0], **close)
    for name, weight in zip(names, peer.weights, strict=True):
        np.testing.assert_allclose(ours[name], weight.value.detach().numpy(), err_msg=name, **close)
