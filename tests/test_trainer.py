"""Steps, losses and metrics that a subclass defines, and what compile makes of its arguments."""

import numpy as np
import pytest

import cnnfast as keras
from cnnfast import layers, losses, metrics, models, ops, optimizers
from cnnfast.autograd import GradientTape

X = np.random.default_rng(0).standard_normal((12, 4)).astype(np.float32)
Y = (X @ np.array([[1.0], [-1.0], [0.5], [2.0]])).astype(np.float32)


def regressor(cls=models.Model, **compiled):
    keras.utils.set_random_seed(0)
    x = layers.Input((4,))
    model = cls(x, layers.Dense(1)(x))
    model.compile(**({"optimizer": optimizers.SGD(0.05), "loss": "mse"} | compiled))
    return model


def test_a_loss_of_ones_own():
    class Own(models.Model):
        def __init__(self, *args, **kwargs):
            super().__init__(*args, **kwargs)
            self.mean = metrics.Mean(name="loss")

        def compute_loss(self, x, y, y_pred, sample_weight, training=True):
            loss = ops.mean(ops.square(ops.subtract(y_pred, y))) * 3.0
            self.mean.update_state(loss)
            return loss

        def reset_metrics(self):
            self.mean.reset_state()

        @property
        def metrics(self):
            return [self.mean]

    own, plain = regressor(Own), regressor()
    own.compile("sgd")
    plain.set_weights(own.get_weights())
    assert own.test_on_batch(X, Y) == pytest.approx(3 * plain.test_on_batch(X, Y), rel=1e-6)
    history = own.fit(X, Y, epochs=5, verbose=0).history["loss"]
    assert history[-1] < history[0]


def test_compute_loss_without_training():
    class Own(models.Model):
        def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None):
            return ops.sum(ops.abs(ops.subtract(y_pred, y)))

    model = regressor(Own)
    assert model.test_on_batch(X, Y) == pytest.approx(float(np.abs(model.predict(X) - Y).sum()), rel=1e-5)


def test_metrics_of_ones_own():
    class Own(models.Model):
        def __init__(self, *args, **kwargs):
            super().__init__(*args, **kwargs)
            self.largest = metrics.Mean(name="largest")

        def compute_metrics(self, x, y, y_pred, sample_weight=None):
            found = super().compute_metrics(x, y, y_pred, sample_weight)
            self.largest.update_state(float(np.abs(np.asarray(y_pred) - y).max()))
            return found | {"largest": self.largest.result(), "constant": 7.0}

    model = regressor(Own, metrics=["mae"])
    found = model.evaluate(X, Y, verbose=0, return_dict=True)
    assert found["largest"] == pytest.approx(float(np.abs(model.predict(X) - Y).max()), rel=1e-6)
    assert found["constant"] == 7.0
    assert list(model.fit(X, Y, verbose=0).history) == ["loss", "mae", "largest", "constant"]


def test_steps_of_ones_own():
    class Own(models.Model):
        def train_step(self, data):
            x, y, weights = data
            assert weights.shape == (12,)
            with GradientTape() as tape:
                loss = self.compute_loss(x, y, self(x, training=True), weights)
            variables = self.trainable_variables
            self.optimizer.apply_gradients(zip(tape.gradient(loss, variables), variables, strict=True))
            return {"mine": loss, "deep": {"er": np.float32(2.0)}}

        def test_step(self, data):
            return {"tested": float(len(data[0]))}

        def predict_step(self, data):
            return self(data) + 100.0

    model, plain = regressor(Own), regressor()
    plain.set_weights(model.get_weights())
    history = model.fit(X, Y, sample_weight=np.ones(12), epochs=2, verbose=0).history
    assert list(history) == ["mine", "er"]
    np.testing.assert_allclose(history["mine"], plain.fit(X, Y, epochs=2, verbose=0).history["loss"], rtol=1e-5)
    assert model.evaluate(X, Y, verbose=0, return_dict=True) == {"tested": 12.0}
    np.testing.assert_allclose(model.predict(X), plain.predict(X) + 100.0, rtol=1e-5)


def test_a_model_of_two_networks_without_a_call():
    keras.utils.set_random_seed(0)

    class Rivals(models.Model):
        def __init__(self):
            super().__init__()
            self.maker = models.Sequential([layers.Input((2,)), layers.Dense(4)])
            self.judge = models.Sequential([layers.Input((4,)), layers.Dense(1)])
            self.judged = metrics.Mean(name="judged")

        def compile(self, maker_optimizer, judge_optimizer):
            super().compile(optimizer=None)
            self.maker_optimizer, self.judge_optimizer = maker_optimizer, judge_optimizer

        def train_step(self, real):
            noise = np.ones((len(real), 2), np.float32)
            with GradientTape() as tape:
                loss = ops.mean(self.judge(real)) - ops.mean(self.judge(self.maker(noise)))
            weights = self.judge.trainable_weights
            self.judge_optimizer.apply_gradients(zip(tape.gradient(loss, weights), weights, strict=True))
            with GradientTape() as tape:
                cheated = ops.mean(self.judge(self.maker(noise)))
            weights = self.maker.trainable_weights
            self.maker_optimizer.apply_gradients(zip(tape.gradient(cheated, weights), weights, strict=True))
            self.judged.update_state(loss)
            return {"judged": self.judged.result()}

    model = Rivals()
    model.compile(optimizers.SGD(0.0001), optimizers.SGD(0.01))  # the judge learns faster
    before = model.maker.get_weights()
    history = model.fit(X, epochs=3, batch_size=4, verbose=0).history
    assert list(history) == ["judged"]
    assert history["judged"][2] < history["judged"][0]
    assert not np.array_equal(before[0], model.maker.get_weights()[0])


def test_subclasses_with_several_outputs():
    class Two(models.Model):
        def __init__(self):
            super().__init__()
            self.a, self.b = layers.Dense(1, name="a"), layers.Dense(2, name="b")

        def call(self, x):
            return {"first": self.a(x), "second": self.b(x)}

    model = Two()
    model.compile(optimizers.SGD(0.05), {"first": "mse", "second": losses.MeanAbsoluteError()},
                  metrics={"second": ["mse"]})  # fmt: skip
    labels = {"first": Y, "second": np.concatenate([Y, -Y], axis=1)}
    history = model.fit(X, labels, epochs=4, verbose=0).history
    assert list(history) == ["loss", "second_mse", "first_loss", "second_loss"]
    np.testing.assert_allclose(history["loss"], np.add(history["first_loss"], history["second_loss"]), rtol=1e-5)
    assert history["loss"][-1] < history["loss"][0]
    assert len(model.trainable_weights) == 4


def test_losses_of_layers_are_added():
    class Penalized(layers.Layer):
        def build(self, input_shape):
            self.w = self.add_weight((4,), "ones", name="w")

        def call(self, x):
            self.add_loss(2.0 * ops.sum(self.w))
            return x * self.w

    x = layers.Input((4,))
    model = models.Model(x, Penalized()(x))
    model.compile(optimizers.SGD(0.1), "mse")
    assert model.test_on_batch(X, X) == pytest.approx(8.0)
    model.compile(optimizers.SGD(0.1))  # no loss but the layer's
    assert model.train_on_batch(X) == pytest.approx(8.0)
    np.testing.assert_allclose(model.get_weights()[0], np.full(4, 0.8), rtol=1e-5)
    assert model.fit(X, epochs=2, verbose=0).history["loss"] == pytest.approx([6.4, 4.8], rel=1e-5)


def test_what_is_compiled():
    model = regressor(metrics=["mae"], weighted_metrics=["mse"], loss_weights=[2.0])
    assert model.compiled
    assert [m.name for m in model.metrics] == ["loss", "compile_metrics"]
    assert model.metrics_names == ["loss", "mae", "mse"]
    assert model.loss == "mse"
    config = model.get_compile_config()
    assert config["loss"] == "mse"
    other = regressor()
    other.compile_from_config(config)
    other.set_weights(model.get_weights())
    assert other.evaluate(X, Y, verbose=0) == model.evaluate(X, Y, verbose=0)
    assert model.evaluate(X, Y, verbose=0)[0] == pytest.approx(2 * model.evaluate(X, Y, verbose=0)[2], rel=1e-5)


@pytest.mark.parametrize(
    ("compiled", "message"),
    [
        ({"loss": {"nobody": "mse"}}, r"compile: the model has one output named 'dense.*', got .*'nobody'"),
        ({"loss_weights": [1.0, 2.0]}, "loss_weights expects one number for each of 1 losses, got 2"),
        ({"loss": losses.MeanSquaredError(reduction="none")}, r"a loss expects to be one number .* got shape \(12,\)"),
        ({"loss": None}, "no loss to compute"),
        ({"optimizer": None}, "training needs an optimizer"),
    ],
)
def test_what_cannot_be_compiled_or_trained(compiled, message):
    with pytest.raises(ValueError, match=message):
        regressor(**compiled).fit(X, Y, verbose=0)


def test_two_outputs_and_what_does_not_fit_them():
    x = layers.Input((4,))
    model = models.Model(x, [layers.Dense(1, name="a")(x), layers.Dense(1, name="b")(x)])
    for arguments, message in (
        ({"loss": {"a": "mse", "c": "mse"}}, r"loss expects one entry for each of the 2 outputs named \['a', 'b'"),
        ({"loss": ["mse"] * 3}, "compile: loss expects one entry for each of the 2 outputs"),
        ({"loss": "mse", "metrics": "mae"}, "metrics expects a list or dict with an entry for each of 2 outputs"),
        ({"loss": "mse", "loss_weights": 2.0}, "loss_weights expects one number for each of 2 losses"),
    ):  # fmt: skip
        with pytest.raises(ValueError, match=message):
            model.compile("sgd", **arguments)
    model.compile("sgd", "mse")
    with pytest.raises(ValueError, match=r"y expects one entry for each of the 2 outputs"):
        model.fit(X, [Y, Y, Y], verbose=0)
    assert model.metrics_names == ["loss", "a_loss", "b_loss"]


def test_frozen_models_say_so():
    model = regressor()
    model.trainable = False
    with pytest.warns(UserWarning, match="has no trainable weights"):
        model.fit(X, Y, verbose=0)


def test_metrics_in_attributes_are_found_whenever_they_are_added():
    class Own(models.Model):
        def __init__(self):
            super().__init__()
            self.dense = layers.Dense(1)
            self.several = []

        def call(self, x):
            return self.dense(x)

    model = Own()
    model.compile("sgd", "mse")
    x, y = np.zeros((4, 2), np.float32), np.zeros((4, 1), np.float32)
    model.train_on_batch(x, y)
    assert [m.name for m in model.metrics] == ["loss"]
    model.several.append(metrics.Mean(name="in_a_list"))
    model.later = metrics.Mean(name="later")
    assert {m.name for m in model.metrics} == {"loss", "in_a_list", "later"}
    del model.later
    assert {m.name for m in model.metrics} == {"loss", "in_a_list"}


def test_accuracy_finds_its_kind_again_after_a_reset():
    accuracy = metrics.as_metric("accuracy")
    assert accuracy([1, 1], [[0.3, 0.7], [0.6, 0.4]]) == 0.5
    accuracy.reset_state()
    assert accuracy.result() == 0.0
    assert accuracy([[1.0], [1.0]], [[0.7], [0.6]]) == 1.0
    accuracy.reset_state()
    assert accuracy([0, 1], [[0.3, 0.7], [0.6, 0.4]]) == 0.0
