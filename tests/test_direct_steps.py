"""Training steps of models that are one chain, which need no tape: the same numbers as with one."""

import numpy as np
import pytest

import cnnfast
from cnnfast import layers, losses
from cnnfast.models.training import direct, steps

LOSSES = {
    "sparse": ("linear", lambda: losses.SparseCategoricalCrossentropy(from_logits=True)),
    "sparse softmax": ("softmax", lambda: "sparse_categorical_crossentropy"),
    "categorical": ("linear", lambda: losses.CategoricalCrossentropy(from_logits=True, label_smoothing=0.1)),
    "categorical softmax": ("softmax", lambda: "categorical_crossentropy"),
}


def made(activation, loss, functional=False, **others):
    rows = [
        layers.Conv2D(4, 3, activation="relu"),
        layers.MaxPooling2D(),
        layers.Flatten(),
        layers.Dense(8, activation="tanh"),
        layers.Dense(5, activation=activation),
    ]
    if functional:
        x = y = layers.Input((8, 8, 2))
        for layer in rows:
            y = layer(y)
        model = cnnfast.Model(x, y)
    else:
        model = cnnfast.Sequential([layers.Input((8, 8, 2)), *rows])
    rng = np.random.default_rng(0)
    for v in model.weights:
        v.assign(rng.standard_normal(v.shape) * 0.3)
    model.compile(cnnfast.optimizers.Adam(0.01), loss, metrics=["accuracy"], **others)
    return model


def data(batch, sparse):
    rng = np.random.default_rng(1)
    x = rng.standard_normal((batch, 8, 8, 2)).astype(np.float32)
    labels = rng.integers(5, size=batch)
    return x, labels if sparse else np.eye(5, dtype=np.float32)[labels]


def weights_of(model):
    return [v.numpy() for v in model.weights]


def assert_direct(monkeypatch):
    def refused(*args):
        raise AssertionError("a tape was used")

    monkeypatch.setattr(steps, "learned_by_tape", refused)


def assert_same(found, wanted):
    assert found[0] == wanted[0]
    for a, b in zip(found[1], wanted[1], strict=True):
        np.testing.assert_array_equal(a, b)


def trained(model, x, y, tape=False, count=3, **others):
    """Losses and weights after some steps; another tape that records has the step use one too."""
    found = []
    for _ in range(count):
        if tape:
            with cnnfast.GradientTape():
                found.append(model.train_on_batch(x, y, **others))
        else:
            found.append(model.train_on_batch(x, y, **others))
    return found, weights_of(model)


@pytest.mark.parametrize("functional", [False, True])
@pytest.mark.parametrize("batch", [1, 6])
@pytest.mark.parametrize("name", LOSSES)
def test_steps_are_those_of_a_tape(name, batch, functional, monkeypatch):
    activation, loss = LOSSES[name]
    x, y = data(batch, "sparse" in name)
    wanted = trained(made(activation, loss(), functional), x, y, tape=True)
    assert_direct(monkeypatch)
    assert_same(trained(made(activation, loss(), functional), x, y), wanted)
    model = made(activation, loss(), functional)
    model.fit(x, y, batch_size=batch, epochs=3, shuffle=False, verbose=0)
    assert_same((wanted[0], weights_of(model)), wanted)


def test_frozen_layers_stay_as_they_are(monkeypatch):
    x, y = data(4, True)
    found = []
    for tape in (True, False):
        model = made(*[LOSSES["sparse"][0], LOSSES["sparse"][1]()])
        if not tape:
            assert_direct(monkeypatch)
        for frozen in ([0], [0, 4], [3], []):
            for i, layer in enumerate(model.layers):
                layer.trainable = i not in frozen
            before = weights_of(model)
            found.append(trained(model, x, y, tape))
            for v, old in zip(model.weights, before, strict=True):
                assert np.array_equal(v.numpy(), old) == (not v.trainable)
    for direct_one, taped in zip(found[4:], found[:4], strict=True):
        assert_same(direct_one, taped)


def test_a_layer_that_is_used_twice(monkeypatch):
    rng = np.random.default_rng(2)
    x, y = rng.standard_normal((3, 4)).astype(np.float32), rng.integers(4, size=3)
    start = rng.standard_normal((4, 4)) * 0.3
    found = []
    for tape in (True, False):
        dense = layers.Dense(4, activation="tanh")
        image = layers.Input((4,))
        model = cnnfast.Model(image, layers.Dense(4)(dense(dense(image))))
        for v in model.weights:
            v.assign(np.resize(start, v.shape))
        model.compile("sgd", losses.SparseCategoricalCrossentropy(from_logits=True))
        if not tape:
            assert_direct(monkeypatch)
        found.append(trained(model, x, y, tape))
    np.testing.assert_allclose(found[0][0], found[1][0], rtol=1e-6)
    for a, b in zip(found[0][1], found[1][1], strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-7)


def test_penalties_of_this_model_need_a_tape_and_of_others_do_not(monkeypatch):
    x, y = data(4, True)
    used = []
    real = steps.learned_by_tape
    monkeypatch.setattr(steps, "learned_by_tape", lambda *args: used.append(1) or real(*args))
    penalised = cnnfast.Sequential(
        [layers.Input((8, 8, 2)), layers.Flatten(), layers.Dense(5, kernel_regularizer=cnnfast.regularizers.L2(1.0))]
    )
    penalised.compile("sgd", losses.SparseCategoricalCrossentropy(from_logits=True))
    without = float(penalised._compile_loss(y, penalised(x)))
    squares = float(np.square(penalised.layers[-1].kernel.numpy()).sum())
    assert penalised.train_on_batch(x, y) == pytest.approx(without + squares, rel=1e-5)
    assert used == [1]
    trained(made("linear", LOSSES["sparse"][1]()), x, y)
    assert used == [1]


class OwnLoss(cnnfast.Sequential):
    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        return 2.0 * super().compute_loss(x, y, y_pred, sample_weight, training)


class OwnCall(cnnfast.Sequential):
    def call(self, x, training=None):
        return 2.0 * super().call(x, training)


class OwnCrossentropy(losses.SparseCategoricalCrossentropy):
    def call(self, y_true, y_pred):
        return 2.0 * super().call(y_true, y_pred)


def dense_row():
    return [layers.Input((3,)), layers.Dense(4, activation="relu"), layers.Dense(2)]


@pytest.mark.parametrize("kind", ["loss", "call", "crossentropy", "mse", "probabilities", "lambda", "sum", "weights"])
def test_whatever_is_not_plain_uses_a_tape(kind, monkeypatch):
    used = []
    real = steps.learned_by_tape
    monkeypatch.setattr(steps, "learned_by_tape", lambda *args: used.append(1) or real(*args))
    row = dense_row()
    if kind == "probabilities":  # that are taken for logits
        row[-1].activation = "softmax"
    if kind == "lambda":
        row[-1].activation = lambda x: x * 2.0
    model = {"loss": OwnLoss, "call": OwnCall}.get(kind, cnnfast.Sequential)(row)
    loss = losses.SparseCategoricalCrossentropy(from_logits=True)
    loss = {"crossentropy": OwnCrossentropy(from_logits=True), "mse": "mse"}.get(kind, loss)
    if kind == "sum":
        loss.reduction = "sum"
    model.compile("sgd", loss, loss_weights=2.0 if kind == "weights" else None)
    x, y = np.ones((2, 3), np.float32), np.ones((2, 2), np.float32) if kind == "mse" else np.array([0, 1])
    expected = float(model.compute_loss(x=x, y=y, y_pred=model(x)))
    assert model.train_on_batch(x, y) == pytest.approx(expected, rel=1e-6)
    assert used == [1]
    if kind == "call":
        assert direct.learned_directly(model, x, y) is None


def test_weights_of_examples_count(monkeypatch):
    x, y = data(4, True)
    weights = np.array([0.0, 1.0, 2.0, 3.0], np.float32)
    found = [trained(made("linear", LOSSES["sparse"][1]()), x, y, tape, sample_weight=weights) for tape in (0, 1)]
    assert_same(*found)
    assert found[0][0] != trained(made("linear", LOSSES["sparse"][1]()), x, y)[0]


def test_errors_are_those_of_the_loss_and_the_layers():
    model = made("linear", LOSSES["sparse"][1]())
    x, y = data(2, True)
    model.train_on_batch(x, y)
    with pytest.raises(ValueError, match="class numbers from 0 to 4"):
        model.train_on_batch(x, y + 5)
    with pytest.raises(ValueError, match="expects x of shape"):
        model.train_on_batch(x[:, :6], y)
    before = weights_of(model)
    model.layers[0].trainable = model.layers[3].trainable = model.layers[4].trainable = False
    with pytest.warns(UserWarning, match="no trainable weights"):
        model.train_on_batch(x, y)
    for a, b in zip(weights_of(model), before, strict=True):
        np.testing.assert_array_equal(a, b)


def test_labels_as_a_column(monkeypatch):
    x, y = data(4, True)
    wanted = trained(made("softmax", "sparse_categorical_crossentropy"), x, y, tape=True)
    assert_direct(monkeypatch)
    assert_same(trained(made("softmax", "sparse_categorical_crossentropy"), x, y[:, None]), wanted)


@pytest.mark.parametrize(
    ("activation", "arguments"),
    [("linear", {"from_logits": True, "ignore_class": 3}), ("sigmoid", {}), ("softmax", {"from_logits": True})],
)
def test_nothing_is_computed_twice_where_a_tape_is_needed(activation, arguments, monkeypatch):
    used = []
    monkeypatch.setattr(direct, "computed", lambda *args: used.append(1))
    x, y = data(4, True)
    trained(made(activation, losses.SparseCategoricalCrossentropy(**arguments)), x, y)
    assert used == []


def test_penalties_are_computed_once_a_step():
    used = []

    def penalty(w):
        used.append(1)
        return 0.1 * cnnfast.ops.sum(cnnfast.ops.square(w))

    model = made("linear", LOSSES["sparse"][1]())
    model.layers[-1].kernel.regularizer = penalty
    x, y = data(4, True)
    trained(model, x, y, count=3)
    assert len(used) == 3


@pytest.mark.filterwarnings("ignore:.*gradient")
def test_layers_that_a_callback_freezes_stay_as_they_are():
    class Freezing(cnnfast.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            if batch == 0:
                self.model.layers[0].trainable = False
                self.at = self.model.layers[0].kernel.numpy()

    x, y = data(6, True)
    model = made("linear", LOSSES["sparse"][1]())
    callback, before = Freezing(), weights_of(model)
    model.fit(x, y, batch_size=2, shuffle=False, verbose=0, callbacks=[callback])
    np.testing.assert_array_equal(model.layers[0].kernel.numpy(), callback.at)
    assert not np.array_equal(callback.at, before[0])
    assert not np.array_equal(model.layers[-1].kernel.numpy(), before[-2])
