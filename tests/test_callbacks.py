"""Callbacks: when they act, and what they leave behind."""

import csv
import warnings

import numpy as np
import pytest

import cnnfast
import keras_peer
from cnnfast import callbacks, layers, models, optimizers, utils

RNG = np.random.default_rng(0)
X = RNG.standard_normal((40, 4)).astype(np.float32)
Y = (X[:, :1] > 0).astype(np.float32)


def small(**compiled):
    utils.set_random_seed(1)
    model = models.Sequential([layers.Input((4,)), layers.Dense(3, activation="relu"), layers.Dense(1)])
    model.compile(**({"optimizer": optimizers.SGD(0.1), "loss": "mse"} | compiled))
    return model


class Scripted(callbacks.Callback):
    """Puts values of a script into the logs, and notes the weights and rates of every epoch."""

    def __init__(self, values, key="val_loss"):
        super().__init__()
        self.values, self.key, self.weights, self.rates = values, key, [], []

    def on_epoch_end(self, epoch, logs=None):
        logs[self.key] = self.values[epoch]
        self.weights.append([np.asarray(w) for w in self.model.get_weights()])
        self.rates.append(float(np.asarray(self.model.optimizer.learning_rate)))


def peer_scripted(keras):
    class Script(keras.callbacks.Callback):
        __init__, on_epoch_end = Scripted.__init__, Scripted.on_epoch_end

    Script.__init__ = lambda self, values, key="val_loss": (
        keras.callbacks.Callback.__init__(self),
        vars(self).update(values=values, key=key, weights=[], rates=[]),
    )[0]
    return Script


VALUES = [1.0, 0.8, 0.81, 0.79, 0.795, 0.7, 0.75, 0.76, 0.77, 0.6, 0.61, 0.62, 0.63, 0.64]


def run(keras, make, values=VALUES, epochs=14):
    """The script of a training in either library with a callback that `make` returns."""
    x = keras.layers.Input((4,))
    model = keras.Model(x, keras.layers.Dense(1)(x))
    model.compile(keras.optimizers.SGD(0.1), "mse")
    script = Scripted(values) if keras is cnnfast else peer_scripted(keras)(values)
    callback = make(keras.callbacks)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        history = model.fit(X, Y, epochs=epochs, verbose=0, callbacks=[script, callback])
    return model, script, callback, history


@pytest.mark.parametrize(
    "arguments",
    [
        {"patience": 2},
        {"patience": 0},
        {"patience": 3, "min_delta": 0.05},
        {"patience": 2, "start_from_epoch": 3},
        {"patience": 2, "baseline": 0.75},
        {"patience": 2, "mode": "max"},
        {"patience": 2, "restore_best_weights": True},
        {"patience": 2, "restore_best_weights": True, "start_from_epoch": 4},
    ],
)
def test_early_stopping_as_keras_does(arguments):
    keras = keras_peer.keras()
    for values in (VALUES, [float("nan")] * 14):
        ours = run(cnnfast, lambda c: c.EarlyStopping(**arguments), values)
        theirs = run(keras, lambda c: c.EarlyStopping(**arguments), values)
        assert ours[3].epoch == theirs[3].epoch
        assert ours[2].stopped_epoch == theirs[2].stopped_epoch
        assert ours[2].best_epoch == theirs[2].best_epoch
        if arguments.get("restore_best_weights"):
            kept = ours[1].weights[ours[2].best_epoch]
            for a, b in zip(ours[0].get_weights(), kept, strict=True):
                np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize(
    "arguments",
    [
        {"patience": 1},
        {"patience": 2, "factor": 0.5, "min_delta": 0.05},
        {"patience": 1, "factor": 0.3, "cooldown": 2},
        {"patience": 1, "factor": 0.5, "min_lr": 0.03},
        {"patience": 2, "mode": "max", "factor": 0.7},
    ],
)
def test_reduce_on_plateau_as_keras_does(arguments):
    keras = keras_peer.keras()
    ours = run(cnnfast, lambda c: c.ReduceLROnPlateau(**arguments))
    theirs = run(keras, lambda c: c.ReduceLROnPlateau(**arguments))
    np.testing.assert_allclose(ours[1].rates, theirs[1].rates, rtol=1e-6)
    np.testing.assert_allclose(ours[3].history["learning_rate"], theirs[3].history["learning_rate"], rtol=1e-6)
    assert min(ours[1].rates) < 0.1


def test_the_direction_is_known_by_the_metric():
    for metric, values in (("accuracy", [0.1, 0.5, 0.4, 0.3, 0.9]), ("mae", [0.9, 0.5, 0.6, 0.7, 0.1])):
        model = small(metrics=[metric])
        stopping = callbacks.EarlyStopping(f"val_{metric}", patience=2)
        model.fit(X, Y, epochs=5, verbose=0, callbacks=[Scripted(values, f"val_{metric}"), stopping])
        assert (stopping.best_epoch, stopping.stopped_epoch) == (1, 3)
    with pytest.raises(ValueError, match="whether more or less of 'mystery' is better is not known"):
        small().fit(
            X, Y, epochs=2, verbose=0, callbacks=[Scripted([1, 2], "mystery"), callbacks.EarlyStopping("mystery")]
        )
    with pytest.warns(UserWarning, match="'val_loss' is not among the logs"):
        small().fit(X, Y, verbose=0, callbacks=callbacks.EarlyStopping())


def test_learning_rate_scheduler(capsys):
    rates = []
    note = callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: rates.append(logs["learning_rate"]))
    scheduler = callbacks.LearningRateScheduler(lambda epoch, rate: rate * 0.5, verbose=1)
    history = small().fit(X, Y, epochs=3, verbose=0, callbacks=[scheduler, note])
    np.testing.assert_allclose(rates, [0.05, 0.025, 0.0125], rtol=1e-6)
    assert history.history["learning_rate"] == rates
    assert capsys.readouterr().out.count("the learning rate is") == 3
    model = small()
    model.fit(X, Y, epochs=2, verbose=0, callbacks=[callbacks.LearningRateScheduler(lambda epoch: 0.1 / (epoch + 1))])
    assert float(model.optimizer.learning_rate) == pytest.approx(0.05)
    with pytest.raises(TypeError, match="the result of schedule expects a number"):
        small().fit(X, Y, verbose=0, callbacks=[callbacks.LearningRateScheduler(lambda epoch, rate: None)])


def test_checkpoints_of_every_epoch_and_of_batches(tmp_path):
    model = small()
    pattern = tmp_path / "kept" / "{epoch:02d}-{loss:.3f}.safetensors"
    note = Scripted([0] * 3)
    history = model.fit(X, Y, epochs=3, verbose=0, callbacks=[note, callbacks.ModelCheckpoint(pattern)])
    names = [f"{i + 1:02d}-{loss:.3f}.safetensors" for i, loss in enumerate(history.history["loss"])]
    assert sorted(p.name for p in (tmp_path / "kept").iterdir()) == names
    for name, weights in zip(names, note.weights, strict=True):
        for a, b in zip(models.load_model(tmp_path / "kept" / name).get_weights(), weights, strict=True):
            np.testing.assert_array_equal(a, b)
    checkpoint = callbacks.ModelCheckpoint(tmp_path / "b{epoch}-{batch}.safetensors", save_freq=3)
    small().fit(X, Y, batch_size=10, epochs=2, verbose=0, callbacks=[checkpoint])
    assert sorted(p.name for p in tmp_path.glob("b*")) == ["b1-3.safetensors", "b2-2.safetensors"]
    with pytest.raises(ValueError, match=r"expects 'val_loss', there are \['epoch', 'loss'\]"):
        small().fit(X, Y, verbose=0, callbacks=[callbacks.ModelCheckpoint("{val_loss}.safetensors")])


def test_the_best_model_is_kept(tmp_path, capsys):
    path = tmp_path / "best.safetensors"
    note = Scripted([3.0, 1.0, 2.0, 0.9, 5.0])
    checkpoint = callbacks.ModelCheckpoint(path, save_best_only=True, verbose=1)
    small().fit(X, Y, epochs=5, verbose=0, callbacks=[note, checkpoint])
    for a, b in zip(models.load_model(path).get_weights(), note.weights[3], strict=True):
        np.testing.assert_array_equal(a, b)
    assert capsys.readouterr().out.count("saving the model") == 3
    path.unlink()
    checkpoint = callbacks.ModelCheckpoint(path, save_best_only=True, initial_value_threshold=0.5)
    small().fit(X, Y, epochs=5, verbose=0, callbacks=[Scripted([3.0, 1.0, 2.0, 0.9, 5.0]), checkpoint])
    assert not path.exists()


def test_a_table_of_epochs(tmp_path):
    path = tmp_path / "log.csv"
    model = small(metrics=["mae"])
    history = model.fit(X, Y, epochs=3, verbose=0, validation_split=0.5, callbacks=[callbacks.CSVLogger(path)])
    model.fit(
        X, Y, epochs=4, initial_epoch=3, verbose=0, validation_split=0.5,
        callbacks=[callbacks.CSVLogger(path, append=True)],
    )  # fmt: skip
    with open(path, newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["epoch", "loss", "mae", "val_loss", "val_mae"]
    assert [row["epoch"] for row in rows] == ["0", "1", "2", "3"]
    for key in ("loss", "mae", "val_loss", "val_mae"):
        assert [float(row[key]) for row in rows[:3]] == history.history[key]
    small().fit(X, Y, verbose=0, callbacks=[callbacks.CSVLogger(path, separator=";")])
    assert path.read_text().splitlines()[0] == "epoch;loss;val_loss"


def test_functions_as_hooks():
    heard = []
    hooks = {
        name: (lambda *args, name=name: heard.append(name))
        for name in ("on_train_begin", "on_epoch_begin", "on_train_batch_begin", "on_train_batch_end", "on_epoch_end",
                     "on_train_end", "on_test_begin", "on_test_batch_end")
    }  # fmt: skip
    small().fit(X, Y, verbose=0, batch_size=40, validation_data=(X, Y), callbacks=[callbacks.LambdaCallback(**hooks)])
    assert heard == [
        "on_train_begin", "on_epoch_begin", "on_train_batch_begin", "on_train_batch_end", "on_test_begin",
        "on_test_batch_end", "on_epoch_end", "on_train_end",
    ]  # fmt: skip
    with pytest.raises(TypeError, match="on_epoch_end expects a function"):
        callbacks.LambdaCallback(on_epoch_end=3)


def test_hooks_by_their_older_names():
    class Old(callbacks.Callback):
        def __init__(self):
            super().__init__()
            self.heard = []

        def on_batch_begin(self, batch, logs=None):
            self.heard.append(("begin", batch))

        def on_batch_end(self, batch, logs=None):
            self.heard.append(("end", batch, "loss" in logs))

    old = Old()
    small().fit(X, Y, batch_size=20, verbose=0, callbacks=[old])
    assert old.heard == [("begin", 0), ("end", 0, True), ("begin", 1), ("end", 1, True)]


@pytest.mark.filterwarnings("ignore:fit. the loss became NaN")
def test_a_training_gone_wrong_ends(capsys):
    x = X.copy()
    x[25:] = np.nan
    model = small()
    history = model.fit(x, Y, batch_size=10, epochs=5, shuffle=False, verbose=0, callbacks=callbacks.TerminateOnNaN())
    assert history.epoch == [0]
    assert model.optimizer.iterations == 3
    assert "Batch 2: the loss is nan" in capsys.readouterr().out
    with pytest.raises(RuntimeError, match="the loss is nan after batch 2"):
        small().fit(x, Y, batch_size=10, shuffle=False, verbose=0, callbacks=callbacks.TerminateOnNaN(raise_error=True))


def test_activations_are_watched():
    model = models.Sequential(
        [
            layers.Input((6, 6, 2)),
            layers.Conv2D(4, 3, activation="relu", name="conv"),
            layers.Flatten(name="flat"),
            layers.Dense(5, name="dense"),
            layers.ReLU(name="relu"),
            layers.Dense(1, name="last"),
        ]
    )
    model.compile(optimizers.SGD(0.0), "mse")
    kernel, _ = model.get_layer("conv").get_weights()
    model.get_layer("conv").set_weights([kernel, np.array([-1e3, 0.5, -1e3, 0.1])])
    x = RNG.standard_normal((50, 6, 6, 2)).astype(np.float32)
    monitor = callbacks.ActivationMonitor(x, frequency=2)
    history = model.fit(x, np.zeros((50, 1)), epochs=4, verbose=0, callbacks=[monitor])
    assert monitor.epochs == [1, 3]
    assert list(monitor.history) == ["conv", "flat", "dense", "relu", "last"]
    conv = models.Model(model.inputs, model.get_layer("conv").output).predict(x)
    relu = models.Model(model.inputs, model.get_layer("relu").output).predict(x)
    assert history.history["conv/mean"] == [pytest.approx(conv.mean(), rel=1e-4)] * 2
    assert history.history["conv/std"] == [pytest.approx(conv.std(), rel=1e-4)] * 2
    assert monitor.history["conv"]["dead"] == [0.5, 0.5]
    assert monitor.history["relu"]["dead"] == [pytest.approx((relu == 0).all(axis=0).mean())] * 2
    assert "dead" not in monitor.history["dense"]
    assert "call" not in vars(model.get_layer("conv"))
    with pytest.raises(ValueError, match="no layer 'nobody'"):
        model.fit(x, np.zeros((50, 1)), verbose=0, callbacks=[callbacks.ActivationMonitor(x, layers=["nobody"])])


def test_activations_are_drawn(tmp_path):
    pytest.importorskip("matplotlib")
    monitor = callbacks.ActivationMonitor(X)
    with pytest.raises(ValueError, match="nothing to draw"):
        monitor.plot()
    small().fit(X, Y, epochs=2, verbose=0, callbacks=[monitor])
    figure = monitor.plot(tmp_path / "activations.png")
    assert [len(axes.lines) for axes in figure.axes] == [2, 2, 1]
    assert (tmp_path / "activations.png").stat().st_size > 1000


def averaging(k, swap_on_epoch, epochs):
    """What evaluations and checkpoints see of a model whose weights are averaged, and what it ends with."""
    x = k.layers.Input((4,))
    model = k.Model(x, k.layers.Dense(1, kernel_initializer="ones")(x))
    model.compile(k.optimizers.SGD(0.1, use_ema=True, ema_momentum=0.8), "mse")
    seen = []

    class Note(k.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            seen.append(np.asarray(self.model.get_weights()[0]))

    history = model.fit(
        X, Y, batch_size=10, shuffle=False, epochs=epochs, verbose=0, validation_data=(X, Y),
        callbacks=[k.callbacks.SwapEMAWeights(swap_on_epoch), Note()],
    )  # fmt: skip
    return history.history["val_loss"], seen, model.get_weights()[0]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("swap_on_epoch", [False, True])
def test_averages_are_looked_at_as_in_keras(swap_on_epoch):
    keras = keras_peer.keras()
    ours, theirs = averaging(cnnfast, swap_on_epoch, 3), averaging(keras, swap_on_epoch, 3)
    for a, b in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6)
    # However the training ended, the model keeps the averages.
    np.testing.assert_allclose(ours[2], averaging(cnnfast, False, 3)[2], rtol=1e-6)


def test_averages_are_asked_for():
    with pytest.raises(ValueError, match="the optimizer keeps no averages; make it with use_ema=True"):
        small().fit(X, Y, verbose=0, callbacks=[callbacks.SwapEMAWeights()])
