"""Layers that several models hold stay one layer in files of one's own and in JSON."""

import numpy as np
import pytest

import cnnfast
from cnnfast import Model, Sequential, layers


def inside_and_outside():
    shared, x = layers.Dense(4, name="shared"), layers.Input((4,))
    inner = Model(x, shared(x), name="inner")
    y = layers.Input((4,))
    return Model(y, layers.Add()([inner(y), shared(y)]))


def in_two_models():
    shared, outer = layers.Conv2D(2, 3, padding="same"), layers.Input((6, 5, 2))
    parts = [Sequential([layers.Input((6, 5, 2)), layers.ReLU(), shared, layers.BatchNormalization()]) for _ in "ab"]
    return Model(outer, layers.Concatenate()([part(outer) for part in parts]))


def a_model_in_two():
    core = Sequential([layers.Input((3,)), layers.Dense(3, "tanh")], name="core")
    x = layers.Input((3,))
    first = Model(x, core(x), name="first")
    z = layers.Input((3,))
    return Model(z, core(first(core(z))))


@pytest.mark.parametrize("make", [inside_and_outside, in_two_models, a_model_in_two])
@pytest.mark.parametrize("way", ["safetensors", "json"])
def test_a_shared_layer_stays_one(make, way, tmp_path):
    model = make()
    model.compile("adam", "mse")
    x = np.random.default_rng(0).standard_normal((3, *model.input_shape[1:])).astype(np.float32)
    y = np.zeros_like(model.predict(x, verbose=0))
    model.train_on_batch(x, y)
    if way == "json":
        again = cnnfast.models.model_from_json(model.to_json())
        again.set_weights(model.get_weights())
        again.compile("adam", "mse")
    else:
        model.save(tmp_path / "net.safetensors")
        again = cnnfast.load_model(tmp_path / "net.safetensors")
    assert [w.shape for w in again.weights] == [w.shape for w in model.weights]
    np.testing.assert_array_equal(again.predict(x, verbose=0), model.predict(x, verbose=0))
    if way == "safetensors":  # with the optimizer's state
        for one in (model, again):
            one.train_on_batch(x, y)
        for a, b in zip(model.get_weights(), again.get_weights(), strict=True):
            np.testing.assert_array_equal(a, b)


def test_a_damaged_number_shares_nothing():
    model = inside_and_outside()
    told = model.to_json().replace('"shared_object_id": 1', '"shared_object_id": [1]')
    assert len(cnnfast.models.model_from_json(told).weights) == 4
