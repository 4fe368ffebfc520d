"""Training against Keras: the same architecture, weights and data in, the same losses, metrics and weights out."""

import warnings

import numpy as np
import pytest

import cnnfast
import keras_peer

N = 24
SPARSE = "sparse_categorical_crossentropy"


@pytest.fixture(scope="module")
def peer():
    return keras_peer.keras()


@pytest.fixture(autouse=True)
def quiet():
    """Keras and PyTorch warn of their own affairs."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def data(seed=0):
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((N, 6)).astype(np.float32)
    return {
        "x": x,
        "scores": rng.integers(0, 3, N),
        "size": (x[:, :1] * 2 + 1).astype(np.float32),
        "weights": rng.random(N).astype(np.float32),
    }


def two_headed(k, form="list"):
    inputs = k.layers.Input((6,), name="x")
    hidden = k.layers.Dense(8, activation="relu", name="hidden")(inputs)
    scores = k.layers.Dense(3, activation="softmax", name="scores")(hidden)
    size = k.layers.Dense(1, name="size")(hidden)
    outputs = {"list": [scores, size], "tuple": (scores, size), "dict": {"scores": scores, "size": size}}[form]
    return k.Model(inputs, outputs)


def one_headed(k):
    inputs = k.layers.Input((6,), name="x")
    hidden = k.layers.Dense(8, activation="relu", name="hidden")(inputs)
    return k.Model(inputs, k.layers.Dense(3, activation="softmax", name="scores")(hidden))


def pair(peer, make):
    theirs, ours = make(peer), make(cnnfast)
    ours.set_weights([np.asarray(w) for w in theirs.get_weights()])
    return ours, theirs


def assert_logs_equal(ours, theirs, rtol=2e-4, atol=1e-5):
    assert set(ours) == set(theirs)
    for key, value in theirs.items():
        np.testing.assert_allclose(ours[key], value, rtol=rtol, atol=atol, err_msg=key)


def assert_same_training(ours, theirs, compiled, x, y, fitted=None, make_optimizer=None):
    """Both learn for two epochs, and are evaluated: names, values and weights agree."""
    fitted = {"epochs": 2, "batch_size": 5, "shuffle": False, "verbose": 0} | (fitted or {})
    for model, k in ((ours, cnnfast), (theirs, None)):
        from_k = k or __import__("keras")
        model.compile(optimizer=from_k.optimizers.SGD(0.05), **compiled)
    our_history, their_history = ours.fit(x, y, **fitted).history, theirs.fit(x, y, **fitted).history
    assert_logs_equal(our_history, their_history)
    for a, b in zip(ours.get_weights(), theirs.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-5)
    weights = {"sample_weight": fitted["sample_weight"]} if "sample_weight" in fitted else {}
    ours_found, theirs_found = (m.evaluate(x, y, batch_size=7, verbose=0, **weights) for m in (ours, theirs))
    np.testing.assert_allclose(ours_found, theirs_found, rtol=2e-4, atol=1e-5)  # lists in the same order
    assert_logs_equal(*(m.evaluate(x, y, batch_size=7, verbose=0, return_dict=True, **weights) for m in (ours, theirs)))


@pytest.mark.parametrize(
    "compiled",
    [
        {"loss": [SPARSE, "mse"]},
        {"loss": [SPARSE, "mse"], "loss_weights": [0.3, 2.0]},
        {"loss": [SPARSE, "mse"], "metrics": ["accuracy", "mae"]},
        {"loss": [SPARSE, "mse"], "metrics": [["accuracy"], ["mae", "mse"]]},
        {"loss": [SPARSE, "mse"], "metrics": [None, ["mae"]]},
        {
            "loss": {"scores": SPARSE, "size": "mae"},
            "loss_weights": {"scores": 0.5, "size": 1.5},
            "metrics": {"size": ["mse"], "scores": "accuracy"},
        },
        {"loss": [SPARSE, "mse"], "weighted_metrics": [["accuracy"], ["mae"]]},
        {
            "loss": [SPARSE, "mse"],
            "metrics": [["acc"], []],
            "weighted_metrics": [["acc"], []],
        },
        {"loss": [None, "mse"], "metrics": [None, "mae"]},
    ],
)
def test_two_outputs(peer, compiled):
    d = data()
    ours, theirs = pair(peer, two_headed)
    assert_same_training(ours, theirs, compiled, d["x"], [d["scores"], d["size"]])


@pytest.mark.parametrize("labels", ["list", "dict"])
def test_outputs_in_a_dict(peer, labels):
    d = data()
    ours, theirs = pair(peer, lambda k: two_headed(k, "dict"))
    compiled = {
        "loss": {"scores": SPARSE, "size": "mse"},
        "metrics": {"scores": ["accuracy"]},
    }
    y = {"scores": d["scores"], "size": d["size"]}
    assert_same_training(ours, theirs, compiled, {"x": d["x"]}, y if labels == "dict" else list(y.values()))


@pytest.mark.parametrize("weights", ["one", "each"])
def test_sample_weights_of_two_outputs(peer, weights):
    d = data()
    ours, theirs = pair(peer, two_headed)
    given = d["weights"] if weights == "one" else [d["weights"], d["weights"][::-1].copy()]
    compiled = {
        "loss": [SPARSE, "mse"],
        "metrics": [["accuracy"], []],
        "weighted_metrics": [["accuracy"], ["mae"]],
    }
    assert_same_training(ours, theirs, compiled, d["x"], [d["scores"], d["size"]], {"sample_weight": given})


@pytest.mark.parametrize(
    "fitted",
    [
        {},
        {"class_weight": {0: 1.0, 1: 4.0}},
        {"sample_weight": data()["weights"]},
        {"validation_split": 0.25},
        {"steps_per_epoch": 3, "epochs": 3},
        {"steps_per_epoch": 4, "batch_size": None},
        {"validation_split": 0.5, "validation_freq": 2, "validation_batch_size": 3, "epochs": 4},
        {"validation_split": 0.5, "validation_freq": [1, 3], "validation_steps": 2, "epochs": 3},
    ],
)
def test_one_output(peer, fitted):
    d = data()
    ours, theirs = pair(peer, one_headed)
    compiled = {
        "loss": SPARSE,
        "metrics": ["accuracy"],
        "weighted_metrics": [SPARSE],
    }
    assert_same_training(ours, theirs, compiled, d["x"], d["scores"], fitted)


def test_penalties_on_weights(peer):
    def make(k):
        x = k.layers.Input((6,))
        hidden = k.layers.Dense(8, kernel_regularizer=k.regularizers.L2(0.05), activity_regularizer="l1")(x)
        return k.Model(x, k.layers.Dense(3, activation="softmax", bias_regularizer="l2")(hidden))

    d = data()
    ours, theirs = pair(peer, make)
    assert_same_training(ours, theirs, {"loss": SPARSE, "metrics": ["accuracy"]}, d["x"], d["scores"])


def test_metrics_of_the_same_name(peer):
    d = data()
    ours, theirs = pair(peer, one_headed)
    histories = []
    for model, k in ((ours, cnnfast), (theirs, peer)):
        model.compile(k.optimizers.SGD(0.1), SPARSE, metrics=["accuracy"] * 2, weighted_metrics=["accuracy"] * 2)
        histories.append(model.fit(d["x"], d["scores"], sample_weight=d["weights"], shuffle=False, verbose=0).history)
    assert_logs_equal(*histories)
    assert set(ours.metrics_names) == set(histories[1])


@pytest.mark.parametrize("name", ["crossentropy", "ce"])
@pytest.mark.parametrize("labels", ["sparse", "one-hot"])
def test_names_that_the_shapes_make_clear(peer, name, labels):
    d = data()
    ours, theirs = pair(peer, one_headed)
    y = d["scores"] if labels == "sparse" else np.eye(3, dtype=np.float32)[d["scores"]]
    assert_same_training(ours, theirs, {"loss": name, "metrics": ["acc"]}, d["x"], y)


def test_steps_on_batches(peer):
    d = data()
    ours, theirs = pair(peer, two_headed)
    y = [d["scores"], d["size"]]
    for model, k in ((ours, cnnfast), (theirs, peer)):
        model.compile(k.optimizers.SGD(0.1), [SPARSE, "mse"], metrics=[["accuracy"], ["mae"]])
    for _ in range(3):
        found = [model.train_on_batch(d["x"], y, return_dict=True) for model in (ours, theirs)]
        assert_logs_equal(*found)
    np.testing.assert_allclose(ours.test_on_batch(d["x"], y), theirs.test_on_batch(d["x"], y), rtol=1e-4)
    for a, b in zip(ours.predict_on_batch(d["x"]), theirs.predict_on_batch(d["x"]), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6)


def custom(k, tape_of_ours):
    """A model with a step of its own, written for either library."""

    class Own(k.Model):
        def train_step(self, data):
            x, y = data
            if tape_of_ours:
                with cnnfast.GradientTape() as tape:
                    loss = self.compute_loss(y=y, y_pred=self(x, training=True)) * 2.0
                gradients = tape.gradient(loss, self.trainable_variables)
                self.optimizer.apply_gradients(zip(gradients, self.trainable_variables, strict=True))
            else:
                self.zero_grad()
                loss = self.compute_loss(y=y, y_pred=self(x, training=True)) * 2.0
                loss.backward()
                gradients = [v.value.grad for v in self.trainable_weights]
                import torch

                with torch.no_grad():
                    self.optimizer.apply(gradients, self.trainable_weights)
            y_pred = self(x, training=False)
            for metric in self.metrics:
                if metric.name == "loss":
                    metric.update_state(loss)
                else:
                    metric.update_state(y, y_pred)
            return {m.name: m.result() for m in self.metrics}

    inputs = k.layers.Input((6,))
    return Own(inputs, k.layers.Dense(3, activation="softmax")(inputs))


def test_a_step_of_ones_own(peer):
    d = data()
    theirs, ours = custom(peer, False), custom(cnnfast, True)
    ours.set_weights(theirs.get_weights())
    compiled = {"loss": SPARSE, "metrics": ["accuracy"]}
    assert_same_training(ours, theirs, compiled, d["x"], d["scores"])


def convnet(k):
    return k.Sequential(
        [
            k.layers.Input((12, 12, 1)),
            k.layers.Conv2D(6, 3, padding="same", activation="relu"),
            k.layers.MaxPooling2D(2),
            k.layers.Conv2D(8, 3, activation="relu"),
            k.layers.BatchNormalization(),
            k.layers.Flatten(),
            k.layers.Dense(16, activation="relu"),
            k.layers.Dense(4, activation="softmax"),
        ]
    )


def test_whole_trainings_run_alike(peer):
    rng = np.random.default_rng(5)
    y = rng.integers(0, 4, 96)
    x = rng.standard_normal((96, 12, 12, 1)).astype(np.float32)
    x[np.arange(96), 3 * (y // 2) + 2, 6 * (y % 2) + 3] += 6.0
    ours, theirs = pair(peer, convnet)
    histories = []
    for model, k in ((ours, cnnfast), (theirs, peer)):
        model.compile(k.optimizers.SGD(0.02, momentum=0.9), SPARSE, metrics=["accuracy"])
        histories.append(
            model.fit(x, y, batch_size=16, epochs=5, shuffle=False, verbose=0, validation_data=(x[:20], y[:20])).history
        )
    assert histories[1]["loss"][-1] < 0.5 * histories[1]["loss"][0]
    assert_logs_equal(*histories, rtol=1e-3, atol=1e-3)
    np.testing.assert_allclose(ours.predict(x), theirs.predict(x, verbose=0), atol=1e-3)
