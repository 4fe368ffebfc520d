"""Models written as ONNX and read again: the same weights, the same numbers."""

import math

import numpy as np
import pytest

from cnnfast import Sequential, layers, load_model, ops
from cnnfast.interop import export_onnx, load_onnx
from onnx_peer import assert_same, randomized
from test_onnx_export import NETWORKS, inputs_of, outputs_of
from test_onnx_export_layers import CASES, data, made

pytest.importorskip("onnx")


def outputs(model, inputs):
    found = model(inputs if len(inputs) > 1 else inputs[0], training=False)
    return [np.asarray(y) for y in (found if isinstance(found, (list, tuple)) else [found])]


def trained_values(model):
    """The values of all kernels, smallest first: the same whatever shape and order they have."""
    kernels = [v.numpy().ravel() for v in model.trainable_weights]
    return np.sort(np.concatenate(kernels)) if kernels else np.empty(0)


@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
@pytest.mark.parametrize("name", NETWORKS)
def test_network_comes_back(name, data_format, tmp_path):
    model = randomized(NETWORKS[name]())
    inputs = inputs_of(model)
    wanted = outputs_of(model, inputs)
    export_onnx(model, tmp_path / "m.onnx", data_format=data_format)
    # A file with its channels second is read to channels last, as the model was; other files say how they are.
    again = load_model(tmp_path / "m.onnx")
    for y, expected in zip(outputs(again, inputs), wanted, strict=True):
        assert_same(y, expected)
    # What was read can be written and read once more.
    export_onnx(again, tmp_path / "n.onnx")
    third = load_onnx(tmp_path / "n.onnx")
    for y, expected in zip(outputs(third, inputs), wanted, strict=True):
        assert_same(y, expected)


@pytest.mark.parametrize("name", ["conv_net", "residual", "channels_first"])
def test_weights_come_back(name, tmp_path):
    model = randomized(NETWORKS[name]())
    export_onnx(model, tmp_path / "m.onnx", data_format="channels_first")
    again = load_onnx(tmp_path / "m.onnx")
    np.testing.assert_array_equal(trained_values(again), trained_values(model))


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case[0]}-{case[2][0]}")
def test_layer_comes_back(case, tmp_path):
    model, inputs = made(case), data(case[2])
    export_onnx(model, tmp_path / "m.onnx")
    again = load_onnx(tmp_path / "m.onnx", data_format="channels_first")
    for y, wanted in zip(outputs(again, inputs), outputs(model, inputs), strict=True):
        assert_same(y, wanted)


def test_error_function_is_exact(tmp_path):
    model = Sequential([layers.Input((7,)), layers.Activation("gelu")])
    export_onnx(model, tmp_path / "m.onnx", opset=17)  # which has no gelu of its own
    x = np.array([[-3.0, -1.0, -1e-3, 0.0, 0.5, 2.0, 4.0]], np.float32)
    wanted = [v * 0.5 * (1 + math.erf(v / math.sqrt(2))) for v in x.ravel().tolist()]
    np.testing.assert_allclose(outputs(load_onnx(tmp_path / "m.onnx"), [x])[0].ravel(), wanted, rtol=1e-5, atol=1e-6)
    assert abs(float(ops.gelu(x, approximate=False)[0, 1]) - wanted[1]) < 1e-6


def test_wide_layers_on_large_images_come_back(tmp_path):
    x = layers.Input((320, 320, 3))
    model = Sequential([x, layers.Conv2D(64, 1, activation="relu"), layers.MaxPooling2D(32), layers.Conv2D(2, 1)])
    export_onnx(model, tmp_path / "m.onnx")
    (inputs,) = inputs_of(model, 1)
    again = load_onnx(tmp_path / "m.onnx", data_format="channels_first")
    assert_same(outputs(again, [inputs])[0], outputs(model, [inputs])[0])
