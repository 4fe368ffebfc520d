"""Layers that a program changes after a model has joined them, and weights that change while others read them."""

import numpy as np
import pytest

import cnnfast
from cnnfast import Sequential, _core, activations, layers, optimizers


@pytest.fixture
def x(rng):
    return rng.standard_normal((2, 12, 12, 3)).astype(np.float32)


@pytest.fixture
def model(rng):
    model = Sequential(
        [
            layers.Input((12, 12, 3)),
            layers.ZeroPadding2D(1, name="border"),
            layers.Conv2D(8, 3, name="conv"),
            layers.BatchNormalization(),
            layers.Activation("relu", name="act"),
            layers.DepthwiseConv2D(3, padding="same", name="depthwise"),
            layers.Activation("silu", name="late"),
            layers.Conv2D(8, 3, padding="same", groups=2, name="groups"),
            layers.ReLU(name="relu"),
            layers.Conv2D(8, 3, padding="same", name="pooled"),
            layers.LeakyReLU(0.1, name="leaky"),
            layers.MaxPooling2D(2, 1, name="pooling"),
            layers.GlobalAveragePooling2D(),
            layers.Dense(5, name="dense"),
        ]
    )
    model.set_weights([(rng.uniform(0.1, 1, w.shape) - 0.5 * (w.ndim > 1)) / w.size**0.1 for w in model.weights])
    model.get_layer("pooled").bias.assign(-np.linspace(0, 20, 8))  # something is negative
    return model


def results(model, x):
    """Of the model's ways to compute: layer by layer, joined, for inference, and as a chain."""
    y = x
    for layer in model.layers:
        y = layer(y, training=False)
    t = cnnfast.Tensor(x)
    with cnnfast.GradientTape() as tape:
        tape.watch(t)
        recorded = model(t, training=False)
    return y, model(x, training=False), model.infer(x), recorded


def agree(found, expected):
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5 * np.abs(expected).max())


SETTINGS = {
    "border": ("padding", ((2, 2), (3, 3))),
    "conv": ("strides", (2, 2)),
    "depthwise": ("padding", "valid"),
    "groups": ("dilation_rate", (2, 2)),
    "act": ("activation", activations.tanh),
    "late": ("activation", activations.relu),
    "relu": ("max_value", 0.3),
    "leaky": ("negative_slope", 0.9),
    "pooling": ("strides", (2, 2)),
    "pooled": ("activation", "sigmoid"),
}


@pytest.mark.parametrize("name", SETTINGS)
def test_what_a_layer_computes_may_be_changed(model, x, name):
    before = results(model, x)[0]
    setting, value = SETTINGS[name]
    setattr(model.get_layer(name), setting, value)
    expected, *others = results(model, x)
    assert np.abs(expected - before).max() > 1e-4
    for found in others:
        agree(found, expected)


@pytest.mark.parametrize("name", [*SETTINGS, "dense"])
def test_a_layer_may_be_given_another_call(model, x, name):
    before = results(model, x)[0]
    layer, seen = model.get_layer(name), []
    own = layer.call

    def call(x, *args, **kwargs):
        seen.append(1)
        return 2 * own(x, *args, **kwargs)

    layer.call = call
    expected, *others = results(model, x)
    assert len(seen) == 4
    for found in others:
        agree(found, expected)
    del layer.call
    for found in results(model, x):
        agree(found, before)
    assert len(seen) == 4


def test_weights_of_half_a_step_are_not_kept(model, x):
    """Another thread may compute at any time."""

    class InHalves(optimizers.RMSprop):
        def step(self, w, g, slots, learning_rate):
            half = len(w) // 2
            for part in (slice(None, half), slice(half, None)):
                super().step(w[part], g[part], [slot[part] for slot in slots], learning_rate)
                model.infer(x)

    for optimizer in (InHalves(0.1), InHalves(0.1, weight_decay=0.1)):
        optimizer.apply([np.ones(w.shape, np.float32) for w in model.trainable_weights], model.trainable_weights)
        expected, *others = results(model, x)
        for found in others:
            agree(found, expected)


def test_an_interrupted_step_counts(model, x, monkeypatch):
    update = _core.sgd_update

    def interrupted(*args):
        update(*args)
        raise KeyboardInterrupt

    results(model, x)
    monkeypatch.setattr(_core, "sgd_update", interrupted)
    with pytest.raises(KeyboardInterrupt):
        optimizers.SGD(0.1).apply([np.ones(w.shape) for w in model.trainable_weights], model.trainable_weights)
    expected, *others = results(model, x)
    for found in others:
        agree(found, expected)


@pytest.mark.parametrize("name", ["conv", "groups", "pooled", "dense"])
def test_arrays_in_the_place_of_weights(model, x, name):
    before, layer = results(model, x)[0], model.get_layer(name)
    layer.kernel = layer.kernel.numpy() * np.float32(0.5)
    for _ in range(2):
        expected, *others = results(model, x)
        assert np.abs(expected - before).max() > 1e-4
        for found in others:
            agree(found, expected)
        before = expected
        layer.kernel *= np.float32(1.5)
