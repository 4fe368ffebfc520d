"""What inference keeps ready in whole models: once for a layer's calls, with any activation, in models in models."""

import copy
import gc

import numpy as np
import pytest

from cnnfast import Model, Sequential, layers, memory
from cnnfast.models.prepared import PreparedLayer
from cnnfast.ops._prepared import INFERENCE_ACTIVATIONS


def check(model, x):
    for _ in range(2):
        expected = model(x, training=False)
        np.testing.assert_allclose(model.infer(x), expected, rtol=1e-4, atol=1e-5 * np.abs(expected).max())


# What a layer's calls share


def pyramid():
    """Heads of five levels, the layers of which they share."""
    head, normal = layers.Conv2D(64, 3, padding="same"), layers.Conv2D(64, 3, padding="same", activation="silu")
    norm, pad, last = layers.BatchNormalization(), layers.ZeroPadding2D(1), layers.Conv2D(64, 3)
    inputs = [layers.Input((size, size, 64)) for size in (4, 5, 6, 7, 8)]
    outputs = []
    for x in inputs:
        y = layers.ReLU()(norm(head(normal(x))))
        outputs.append(last(pad(y)))
    return Model(inputs, outputs)


def test_calls_of_one_layer_share_their_weights(rng):
    def used():
        gc.collect()
        return memory.stats()["used_bytes"]

    model = pyramid()
    x = [rng.standard_normal((1, *t.shape[1:])).astype(np.float32) for t in model.inputs]
    before = used()
    for y, expected in zip(model.infer(x), model(x), strict=True):
        np.testing.assert_allclose(y, expected, rtol=1e-4, atol=1e-4)
    del y, expected
    steps = model._graph.inference_steps()
    ready = [step.compute._ready for step in steps]
    assert len(ready) == 15
    assert len({id(r) for r in ready}) == 3
    most = 3 * (1 + 4 + 16 / 9)  # panels and two transforms of each of three layers
    assert used() - before <= (most + 1) * 4 * 9 * 64 * 64  # the folded kernel
    other = copy.deepcopy(model)  # computes with weights of its own
    other.set_weights([w * 1.1 for w in model.get_weights()])
    assert np.abs(other.infer(x)[0] - model.infer(x)[0]).max() > 1e-4


def test_borders_and_activations_have_their_own_forms(rng):
    layer = layers.Conv2D(8, 3)
    x = layers.Input((9, 9, 4))
    calls = [layer(x), layers.ReLU()(layer(x)), layer(layers.ZeroPadding2D(1)(x)), layer(layers.ZeroPadding2D(2)(x))]
    calls += [layers.Activation("silu")(layer(x)), layers.LeakyReLU(0.3)(layer(x)), layer(x)]
    calls += [layers.BatchNormalization()(layer(x)), layers.ReLU()(layers.BatchNormalization(epsilon=0.5)(layer(x)))]
    model = Model(x, calls)
    values = rng.standard_normal((2, 9, 9, 4)).astype(np.float32)
    for y, expected in zip(model.infer(values), model(values), strict=True):
        np.testing.assert_allclose(y, expected, rtol=1e-4, atol=1e-4)
    assert len({id(step.compute._ready) for step in model._graph.inference_steps()}) == 8


# Activations of the layers themselves


OTHERS = ["softmax", "gelu", "elu", "relu", lambda x: x * 2.0]


@pytest.mark.parametrize("activation", [*sorted(INFERENCE_ACTIVATIONS), *OTHERS])
def test_layers_with_activations_are_prepared(isa, rng, activation):
    x = layers.Input((6, 6, 5))
    y = layers.Conv2D(20, 3, padding="same", activation=activation)(x)
    y = layers.DepthwiseConv2D(3, activation=activation)(y)
    model = Model(x, layers.Dense(7, activation=activation)(layers.Flatten()(y)))
    model.set_weights([rng.uniform(-0.5, 0.5, w.shape) for w in model.weights])
    steps = [s for s in model._graph.inference_steps() if type(s.compute) is PreparedLayer]
    assert len(steps) == 3
    check(model, rng.standard_normal((1, 6, 6, 5)).astype(np.float32))
    assert all(s.compute._ready._made is not None for s in steps)
    model.layers[1].activation = "tanh"
    check(model, rng.standard_normal((1, 6, 6, 5)).astype(np.float32))


def test_errors_of_an_activation_name_the_layer(rng):
    def refusing(x):
        if isinstance(x, np.ndarray):
            raise ValueError("not this")
        return x

    x = layers.Input((4,))
    model = Model(x, layers.Dense(3, name="last")(x))
    model.layers[-1].activation = refusing
    with pytest.raises(ValueError, match="'last': not this"):
        model.infer(np.zeros((1, 4), np.float32))


# Models in models


def nested(rng):
    """A model that holds others, one of them twice, with normalization to be folded in each."""

    def block(filters, *names):
        return Sequential(
            [layers.Conv2D(filters, 3, use_bias=False, name=names[0]), layers.BatchNormalization(), layers.ReLU()]
        )

    x = layers.Input((None, None, 6))
    twice = layers.Conv2D(6, 3, padding="same", activation="silu")
    two = layers.Input((None, None, 6)), layers.Input((None, None, 6))
    joined = Model(list(two), [layers.Add()(list(two)), twice(two[0])])
    y, z = joined([twice(x), x])
    inner = block(6, "inner")
    y = inner(inner(layers.Add()([y, z])))
    model = Model(x, layers.Dense(5, activation="softmax")(layers.GlobalAveragePooling2D()(block(12, "other")(y))))
    model.set_weights([rng.uniform(0.1, 1, w.shape) - 0.5 * (w.ndim > 1) for w in model.weights])
    return model


def test_models_in_models_are_prepared(isa, rng):
    model = nested(rng)
    x = rng.standard_normal((2, 12, 12, 6)).astype(np.float32)
    check(model, x)
    inner = [layer for layer in model.layers if isinstance(layer, Model)]
    assert len(inner) == 3
    for part in inner:
        computes = [step.compute for step in part._graph.inference_steps() if hasattr(step.compute, "_ready")]
        assert computes
        assert all(c._ready._made is not None for c in computes)
    inner[0].layers[-1].activation = "relu"
    check(model, x)
    model.set_weights([w + 0.1 for w in model.get_weights()])
    check(model, x)
    with pytest.raises(ValueError, match="inner"):
        model.infer(x[:, :3, :3])
    model.compile("sgd", "mse")
    model.fit(x, np.ones((2, 5)), verbose=0)
    check(model, x)


def test_models_in_models_that_compute_otherwise(rng):
    class Twice(Model):
        def call(self, x, training=None):
            return 2 * super().call(x, training=training)

    def stack(cls):
        x = layers.Input((5,))
        return cls(x, layers.BatchNormalization()(layers.Dense(4)(x)))

    x = layers.Input((5,))
    overridden, trains = stack(Model), stack(Model)
    overridden.call = lambda x, training=None: 3 * Model.call(overridden, x, training=training)
    model = Model(x, [stack(Twice)(x), overridden(x), trains(x, training=True)])
    model.set_weights([rng.uniform(0.2, 1, w.shape) for w in model.weights])
    values = rng.standard_normal((3, 5)).astype(np.float32)
    for y, expected in zip(model.infer(values), model(values, training=False), strict=True):
        np.testing.assert_allclose(y, expected, rtol=1e-5, atol=1e-5)


class Scaled(Model):
    def __init__(self):
        super().__init__()
        self.dense = layers.Dense(3)

    def call(self, x, shift=None, scale=1.0):
        y = self.dense(x) * scale
        return y if shift is None else y + shift


def test_models_in_models_whose_call_takes_more(rng):
    x, shift = layers.Input((4,)), layers.Input((3,))
    inner = Scaled()
    model = Model([x, shift], [inner(x, scale=2.0), inner(x, shift), inner(x, shift=shift)])
    data = [rng.standard_normal((2, *t.shape[1:])).astype(np.float32) for t in (x, shift)]
    for found, expected in zip(model.predict(data, verbose=0), model(data), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-5)
