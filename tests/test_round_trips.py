"""Models of users' own classes and parts of models: in files, cloned, and changed after they were made."""

import numpy as np
import pytest

from cnnfast import Model, Sequential, layers, ops
from cnnfast.models import clone_model, load_model

X = np.random.default_rng(3).random((20, 6), np.float32)


class Block(layers.Layer):
    def __init__(self, units, **kwargs):
        super().__init__(**kwargs)
        self.inner = layers.Dense(units)

    def call(self, x):
        return self.inner(x)


class Subclassed(Model):
    def __init__(self, units=2, **kwargs):
        super().__init__(**kwargs)
        self.first, self.last = layers.Dense(units), layers.Dense(1)

    def call(self, x):
        return self.last(self.first(x))


class OwnStep(Model):
    def train_step(self, data):
        return {**super().train_step(data), "mine": 1.0}


def test_layers_that_constructors_make_are_found_again_in_a_file(tmp_path):
    x = layers.Input((6,))
    model = Model(x, Block(4)(layers.Dense(3)(x)))
    model.save(tmp_path / "m.safetensors")
    for _ in range(2):
        again = load_model(tmp_path / "m.safetensors", custom_objects={"Block": Block})
        np.testing.assert_array_equal(again(X), model(X))


def test_a_subclass_in_a_file(tmp_path):
    model = Subclassed(3)
    model.compile("adam", "mse")
    model.fit(X, X[:, :1], verbose=0)
    model.save(tmp_path / "m.safetensors")
    again = load_model(tmp_path / "m.safetensors", custom_objects={"Subclassed": Subclassed})
    np.testing.assert_array_equal(again.predict(X, verbose=0), model.predict(X, verbose=0))
    again.fit(X, X[:, :1], verbose=0, shuffle=False)
    model.fit(X, X[:, :1], verbose=0, shuffle=False)
    np.testing.assert_array_equal(again(X), model(X))


def test_weights_go_to_the_same_architecture_whatever_its_names(tmp_path):
    def build():
        return Sequential([layers.Input((6,)), layers.Dense(6), layers.Dense(6), layers.Dense(6)])

    model, other = build(), build()
    model.save_weights(tmp_path / "w.safetensors")
    other.load_weights(tmp_path / "w.safetensors")
    np.testing.assert_array_equal(other(X), model(X))
    shifted = Sequential([layers.Input((6,))])
    for layer in model.layers[1:]:  # the first two names are those of the model's last two layers
        shifted.add(layers.Dense(6, name=layer.name))
    shifted.add(layers.Dense(6))
    shifted.load_weights(tmp_path / "w.safetensors")
    np.testing.assert_array_equal(shifted(X), model(X))


def test_a_part_of_a_model_in_a_file(tmp_path):
    x = layers.Input((6,))
    hidden = layers.Dense(4)(x)
    model = Model(x, layers.Dense(1)(hidden))
    head = Model(hidden, model.output)
    head.save(tmp_path / "h.safetensors")
    again = load_model(tmp_path / "h.safetensors")
    assert again.input_shape == (None, 4)
    np.testing.assert_array_equal(again(X[:, :4]), head(X[:, :4]))


def test_clones_keep_their_class():
    x = layers.Input((6,))
    assert type(clone_model(OwnStep(x, layers.Dense(1)(x)))) is OwnStep
    with pytest.raises(ValueError, match="structure is not known"):
        clone_model(Subclassed())


def test_weights_of_classes_do_not_judge_the_validation():
    y = (X[:, 0] > 0.5).astype("int32")
    x = layers.Input((6,))
    model = Model(x, layers.Dense(2, activation="softmax")(x))
    model.compile("sgd", "sparse_categorical_crossentropy")
    seen = model.fit(X, y, class_weight={0: 1.0, 1: 30.0}, validation_split=0.25, shuffle=False, verbose=0)
    expected = model.evaluate(X[15:], y[15:], verbose=0)
    assert seen.history["val_loss"] == [pytest.approx(expected, rel=1e-5)]


def test_an_activation_assigned_later():
    x = layers.Input((6,))
    dense, other = layers.Dense(3, activation="softmax"), layers.Dense(3)
    model = Model(x, [dense(x), layers.ReLU()(other(x))])
    model.predict(X, verbose=0)
    dense.activation = "linear"
    other.activation = ops.tanh
    first, second = model.predict(X, verbose=0)
    np.testing.assert_allclose(first, X @ dense.kernel.numpy(), rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(second, np.maximum(np.tanh(X @ other.kernel.numpy()), 0), rtol=1e-4, atol=1e-6)
    assert layers.Dense.from_config(dense.get_config()).activation is dense.activation


def test_folding_notices_other_parameters():
    x = layers.Input((6, 6, 3))
    conv, norm = layers.Conv2D(4, 3), layers.BatchNormalization()
    model = Model(x, norm(conv(x)))
    images = np.random.default_rng(0).random((2, 6, 6, 3), np.float32)
    model.predict(images, verbose=0)
    norm.epsilon = 0.5
    np.testing.assert_allclose(model.predict(images, verbose=0), model(images), rtol=1e-4, atol=1e-5)
    conv.activation = "relu"
    np.testing.assert_allclose(model.predict(images, verbose=0), model(images), rtol=1e-4, atol=1e-5)


def test_lists_for_inputs_that_have_names():
    a, b = layers.Input((6,), name="a"), layers.Input((6,), name="b")
    model = Model({"b": b, "a": a}, layers.Subtract()([b, a]))
    with pytest.raises(ValueError, match=r"expects a dict with the inputs \['b', 'a'\], got list"):
        model([X, X])


def test_outputs_of_more_rows_than_there_are_examples():
    x = layers.Input((6, 3))
    given = np.random.default_rng(0).random((16, 6, 3), np.float32)
    found = Model(x, ops.reshape(x, (-1, 3))).predict(given, batch_size=8, verbose=0)
    np.testing.assert_array_equal(found, given.reshape(-1, 3))
