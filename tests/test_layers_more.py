"""Lambda and its files, wrappers, whitening and local response normalization."""

import json

import numpy as np
import pytest

from cnnfast import activations, layers, models, ops
from cnnfast.models.saving import layer_from_config


def halved(x, factor=0.5, training=False):
    return x * (1.0 if training else factor)


def test_lambda_of_a_function_of_ones_own(tmp_path):
    model = models.Sequential([layers.Input((3,)), layers.Lambda(halved, arguments={"factor": 0.25}), layers.Dense(2)])
    x = np.ones((2, 3), np.float32)
    model.save(tmp_path / "model.safetensors")
    with pytest.raises(ValueError, match="unknown function 'halved'"):
        models.load_model(tmp_path / "model.safetensors")
    loaded = models.load_model(tmp_path / "model.safetensors", {"halved": halved})
    np.testing.assert_array_equal(loaded(x), model(x))
    np.testing.assert_array_equal(loaded.layers[-2](x), 0.25 * x)
    np.testing.assert_array_equal(loaded.layers[-2](x, training=True), x)


def test_lambda_without_a_name_is_not_saved_and_code_is_not_run():
    layer = layers.Lambda(lambda x: x[:, :2])
    assert layer.compute_output_shape((None, 5)) == (None, 2)
    assert layers.Lambda(lambda x: x, output_shape=(7, 1)).compute_output_shape((None, 7)) == (None, 7, 1)
    assert layers.Lambda(ops.square, output_shape=lambda s: (s[0], 3)).compute_output_shape((None, 2)) == (None, 3)
    with pytest.raises(TypeError, match=r"Lambda: function cannot be saved: .* is not known by a name"):
        layer.get_config()
    code = {"class_name": "__lambda__", "config": {"code": "4wEAAAA=", "defaults": None, "closure": None}}
    with pytest.raises(ValueError, match="holds a function's code, which is not run"):
        layers.Lambda.from_config({"function": code})
    with pytest.raises(ValueError, match=r"unknown function 'cnnfast\.ops\.system'"):
        layers.Lambda.from_config({"function": "cnnfast.ops.system"})
    config = layers.Lambda(activations.exponential).get_config()
    assert config["function"] == "cnnfast.activations.exponential"
    assert layer_from_config({"class_name": "Lambda", "config": config}).function is activations.exponential


def test_wrappers_in_wrappers_and_models_in_wrappers(rng):
    inner = models.Sequential([layers.Input((4, 4, 1)), layers.Conv2D(2, 3), layers.Flatten()])
    layer = layers.TimeDistributed(layers.TimeDistributed(inner))
    x = rng.standard_normal((2, 3, 2, 4, 4, 1)).astype(np.float32)
    y = layer(x)
    np.testing.assert_allclose(y[1, 2, 1], np.asarray(inner(x[1, 2])[1]), rtol=1e-5)
    config = json.loads(json.dumps({"class_name": "TimeDistributed", "config": layer.get_config()}))
    again = layer_from_config(config)
    again(x)
    again.set_weights(layer.get_weights())
    np.testing.assert_array_equal(again(x), y)
    assert layers.TimeDistributed(layers.Dense(3)).multiply_adds((None, 5, 4)) == 5 * 4 * 3


def test_spectral_normalization_finds_the_largest_singular_value(rng):
    layer = layers.SpectralNormalization(layers.Dense(6), power_iterations=50)
    x = rng.standard_normal((2, 8)).astype(np.float32)
    layer(x)
    layer(x, training=True)
    assert abs(np.linalg.norm(layer.layer.kernel.numpy(), 2) - 1) < 1e-3
    before = layer.get_weights()
    layer(x)
    for a, b in zip(before, layer.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    layer.layer.kernel.assign(np.zeros((8, 6)))
    np.testing.assert_array_equal(layer(x, training=True), 0)


def test_softmax_of_what_counts():
    x = np.array([[1.0, 2.0, 3.0], [1.0, 1.0, 5.0]], np.float32)
    y = layers.Softmax()(x, mask=np.array([[True, True, False], [1, 1, 0]]))
    np.testing.assert_allclose(y, [[1 / (1 + np.e), np.e / (1 + np.e), 0], [0.5, 0.5, 0]], rtol=1e-5)


@pytest.mark.parametrize("radius", [0, 1, 2, 7])
@pytest.mark.parametrize("beta", [0.75, 0.5, 1.3])
def test_local_response_normalization(radius, beta, rng):
    x = rng.standard_normal((2, 3, 5)).astype(np.float32)
    expected = np.empty(x.shape)
    for c in range(5):
        near = x[..., max(0, c - radius) : c + radius + 1].astype(np.float64)
        expected[..., c] = x[..., c] / (1.5 + 0.3 * (near**2).sum(-1)) ** beta
    layer = layers.LocalResponseNormalization(radius, 1.5, 0.3, beta)
    np.testing.assert_allclose(layer(x), expected, rtol=2e-5)


@pytest.mark.parametrize("method", ["pca", "zca"])
def test_whitening(method, rng):
    mixing = rng.standard_normal((6, 6))
    data = (rng.standard_normal((500, 6)) @ mixing + 3).astype(np.float32).reshape(500, 2, 3)
    layer = layers.Whitening(method, epsilon=0.0)
    layer.adapt(data)
    white = np.asarray(layer(data))
    assert white.shape == ((500, 6) if method == "pca" else (500, 2, 3))
    flat = white.reshape(500, 6).astype(np.float64)
    np.testing.assert_allclose(flat.mean(0), 0, atol=1e-3)
    np.testing.assert_allclose(flat.T @ flat / 500, np.eye(6), atol=2e-3)
    if method == "zca":  # as near to the data as whitened data can be: the matrix is symmetric
        np.testing.assert_allclose(layer.matrix, layer.matrix.numpy().T, atol=1e-5)
    else:  # the strongest direction comes first
        kept = layers.Whitening("pca", epsilon=0.0, components=2)
        kept.adapt(data)
        np.testing.assert_allclose(np.abs(kept(data)), np.abs(flat[:, :2]), atol=1e-3)
        strengths = np.linalg.norm(layer.matrix.numpy(), axis=0)
        assert (np.diff(strengths) > 0).all()


def test_whitening_of_what_does_not_vary():
    data = np.ones((5, 3), np.float32) * [[1.0], [2.0], [3.0], [4.0], [5.0]]
    layer = layers.Whitening(epsilon=0.0)
    layer.adapt(data)
    assert np.isfinite(layer(data)).all()
    with pytest.raises(ValueError, match="expects finite data"):
        layer.adapt(data * np.inf)
    with pytest.raises(ValueError, match="expects examples of 3 values"):
        layer.adapt(data[:, :2])
    with pytest.raises(ValueError, match="expects examples of 3 values"):
        layer.adapt(data[:0])
    with pytest.raises(ValueError, match="components expects at most the 3 values"):
        layers.Whitening("pca", components=4).adapt(data)


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
def test_blocks_of_a_functional_model_are_their_layers_one_by_one(training, data_format, rng):
    first = data_format == "channels_first"
    conv = layers.Conv2D(4, 3, padding="same", data_format=data_format)
    norm = layers.BatchNormalization(axis=1 if first else -1)
    enlarge = layers.UpSampling2D(2, data_format, "bilinear")
    gate = layers.GlobalAveragePooling2D(data_format, keepdims=True)
    image = layers.Input((4, 6, 5) if first else (6, 5, 4))
    y = layers.ReLU()(layers.add([norm(conv(image)), image]))
    model = models.Model(image, enlarge(layers.multiply([y, gate(y)])))

    x = rng.standard_normal((3, *image.shape[1:])).astype(np.float32)
    kept = norm.get_weights()
    found = model(x, training=training)
    moved = norm.get_weights()
    norm.set_weights(kept)
    y = np.maximum(norm(conv(x), training=training) + x, 0)
    np.testing.assert_allclose(found, enlarge(y * np.asarray(gate(y))), rtol=1e-4, atol=1e-5)
    for a, b in zip(moved, norm.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5)
    assert np.array_equal(kept[2], moved[2]) is not training
