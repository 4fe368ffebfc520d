"""Sequential models: putting together, training, evaluating, predicting, and what goes wrong."""

import warnings

import numpy as np
import pytest

from cnnfast import callbacks, layers, models, optimizers, utils


def blobs(n=200, classes=3, seed=0):
    """Points around `classes` centres, with their class numbers."""
    rng = np.random.default_rng(seed)
    y = rng.integers(0, classes, n)
    centres = 4 * np.eye(classes, 4)
    return (centres[y] + rng.standard_normal((n, 4))).astype(np.float32), y


def classifier(classes=3, seed=1, **arguments):
    utils.set_random_seed(seed)
    model = models.Sequential(
        [layers.Input((4,)), layers.Dense(16, activation="relu"), layers.Dense(classes, activation="softmax")]
    )
    arguments = {"optimizer": optimizers.Adam(0.02), "loss": "sparse_categorical_crossentropy"} | arguments
    model.compile(**arguments)
    return model


# Putting together


def test_input_build_first_layer_and_data_all_give_the_shape():
    def stack():
        return [layers.Conv2D(4, 3), layers.Flatten(), layers.Dense(2)]

    with_input = models.Sequential([layers.Input((8, 8, 1)), *stack()])
    with_build = models.Sequential(stack())
    with_build.build((None, 8, 8, 1))
    with_first = models.Sequential([layers.Conv2D(4, 3, input_shape=(8, 8, 1)), *stack()[1:]])
    with_data = models.Sequential(stack())
    assert not with_data.built
    with_data(np.zeros((3, 8, 8, 1)))
    for model in (with_input, with_build, with_first, with_data):
        assert model.built
        assert model.input_shape == (None, 8, 8, 1)
        assert model.output_shape == (None, 2)
        assert model.count_params() == 40 + 290
        assert [type(layer).__name__ for layer in model.layers] == ["Conv2D", "Flatten", "Dense"]


def test_add_and_pop():
    model = models.Sequential(name="growing")
    model.add(layers.Input((4,)))
    model.add(layers.Dense(3, name="a"))
    model.add(layers.Dense(2, name="b"))
    assert model.output_shape == (None, 2)
    assert model.pop().name == "b"
    assert model.output_shape == (None, 3)
    assert model.count_params() == 15
    model.add(layers.Dense(5, name="c"))
    assert model(np.zeros((1, 4))).shape == (1, 5)
    with pytest.raises(ValueError, match=r"growing\.add: there is a layer named 'a' already"):
        model.add(layers.Dense(3, name="a"))
    with pytest.raises(TypeError, match=r"growing\.add expects a layer, got <function"):
        model.add(blobs)
    with pytest.raises(ValueError, match="Input must be the first entry"):
        model.add(layers.Input((3,)))
    with pytest.raises(ValueError, match="Conv2D 'late': "):
        model.add(layers.Conv2D(3, 3, name="late"))
    assert [layer.name for layer in model.layers] == ["a", "c"]
    with pytest.raises(ValueError, match="pop: there are no layers"):
        models.Sequential().pop()


def test_get_layer():
    model = classifier()
    assert model.get_layer(index=-1) is model.layers[1]
    assert model.get_layer(model.layers[0].name) is model.layers[0]
    with pytest.raises(ValueError, match="no layer 'nobody'; there are"):
        model.get_layer("nobody")
    with pytest.raises(ValueError, match="index 5 of 2 layers"):
        model.get_layer(index=5)
    with pytest.raises(ValueError, match="either a name or an index"):
        model.get_layer()


def test_models_in_models():
    inner = models.Sequential([layers.Dense(5, activation="relu"), layers.Dense(4)], name="inner")
    outer = models.Sequential([layers.Input((3,)), inner, layers.Dense(2, name="head")])
    assert outer.count_params() == 20 + 24 + 10
    assert len(outer.weights) == 6
    inner.trainable = False
    assert [w.shape for w in outer.trainable_weights] == [(4, 2), (2,)]
    before = inner.get_weights()
    outer.compile("sgd", "mse")
    outer.fit(np.ones((4, 3)), np.ones((4, 2)), verbose=0)
    for a, b in zip(before, inner.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_parts_of_a_frozen_model_may_be_freed(tmp_path):
    inner = models.Sequential([layers.Dense(5, activation="relu"), layers.Dense(4)], name="inner")
    outer = models.Sequential([layers.Input((3,)), inner, layers.Dense(2)])
    inner.trainable = False
    inner.layers[-1].trainable = True
    outer.save(tmp_path / "freed.keras")
    for model in (outer, models.load_model(tmp_path / "freed.keras")):
        assert [w.shape for w in model.trainable_weights] == [(5, 4), (4,), (4, 2), (2,)]
        assert model.layers[0].trainable_weights == []


def test_an_unbuilt_model_says_so():
    model = models.Sequential([layers.Dense(3)], name="bare")
    for ask in (model.summary, lambda: model.output_shape, model.count_params):
        with pytest.raises(ValueError, match=r"bare.*(not built|build the layer)"):
            ask()
    model.build((None, 4))
    with pytest.raises(ValueError, match=r"bare\.build: the model is built for \(None, 4\), got \(None, 5\)"):
        model.build((None, 5))


def test_summary(capsys):
    model = models.Sequential(
        [
            layers.Input((28, 28, 1)),
            layers.Conv2D(8, 3, name="conv"),
            layers.BatchNormalization(name="norm"),
            layers.Flatten(name="flat"),
            layers.Dense(10, name="scores"),
        ],
        name="net",
    )
    model.summary()
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == 'Model: "net"'
    assert lines[2].split() == ["Layer", "(type)", "Output", "shape", "Params", "Multiply-adds"]
    assert lines[4].split("  ")[0] == "conv (Conv2D)"
    assert "(None, 26, 26, 8)" in lines[4]
    assert lines[4].split()[-2:] == ["80", f"{26 * 26 * 8 * 9:,}"]
    assert lines[7].split()[-2:] == [f"{26 * 26 * 8 * 10 + 10:,}", f"{26 * 26 * 8 * 10:,}"]
    assert lines[-4].startswith(f"Total params: {80 + 32 + 54090:,} (")
    assert lines[-2].startswith("Non-trainable params: 16 (64.00 B)")
    assert lines[-1] == f"Multiply-adds per example: {26 * 26 * 8 * 9 + 26 * 26 * 8 * 10:,}"
    texts = []
    model.summary(print_fn=texts.append)
    assert texts == ["\n".join(lines)]


def test_weights_can_be_read_and_set():
    a, b = classifier(seed=1), classifier(seed=2)
    x, _ = blobs(10)
    assert not np.allclose(a.predict(x), b.predict(x))
    b.set_weights(a.get_weights())
    np.testing.assert_array_equal(a.predict(x), b.predict(x))


# Training


def test_fit_learns_and_reports():
    x, y = blobs(300)
    model = classifier(metrics=["accuracy"])
    history = model.fit(x, y, batch_size=32, epochs=5, verbose=0, validation_data=blobs(100, seed=5))
    assert history is model.history
    assert history.epoch == [0, 1, 2, 3, 4]
    assert list(history.history) == ["loss", "accuracy", "val_loss", "val_accuracy"]
    assert all(len(values) == 5 for values in history.history.values())
    assert history.history["loss"][-1] < 0.5 * history.history["loss"][0]
    assert history.history["val_accuracy"][-1] > 0.9
    assert model.optimizer.iterations == 5 * 10


def test_equal_seeds_give_equal_trainings():
    x, y = blobs()
    weights = []
    for _ in range(2):
        model = classifier(seed=3)
        model.fit(x, y, epochs=2, verbose=0)
        weights.append(model.get_weights())
    for a, b in zip(*weights, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("n", [1, 31, 32, 33, 100])
def test_the_last_batch_counts_by_its_size(n):
    x, y = blobs(n)
    model = classifier(metrics=["accuracy"])
    whole = model.evaluate(x, y, batch_size=n, verbose=0)
    np.testing.assert_allclose(model.evaluate(x, y, batch_size=32, verbose=0), whole, rtol=1e-5)
    np.testing.assert_allclose(model.predict(x, batch_size=32), model.predict(x, batch_size=n), atol=1e-6)
    assert model.predict(x).shape == (n, 3)
    # With a rate of zero the epoch's loss is that of the whole set, too.
    model.optimizer.learning_rate = 0.0
    history = model.fit(x, y, batch_size=32, verbose=0)
    assert history.history["loss"][0] == pytest.approx(whole[0], rel=1e-5)


def test_sgd_on_one_batch_is_the_formula():
    x, y = np.array([[1.0, 2.0]], np.float32), np.array([[3.0]], np.float32)
    model = models.Sequential([layers.Input((2,)), layers.Dense(1, kernel_initializer="ones")])
    model.compile(optimizers.SGD(0.1), "mse")
    # y' = 1 + 2 = 3, so a second example moves it: dL/dw = 2 (y' - y) x.
    assert model.train_on_batch(x, y) == 0.0
    assert model.train_on_batch(x, y - 1) == 1.0
    np.testing.assert_allclose(model.get_weights()[0], [[0.8], [0.6]], rtol=1e-6)
    np.testing.assert_allclose(model.get_weights()[1], [-0.2], rtol=1e-6)


def test_validation_split_takes_the_end_and_does_not_train_on_it():
    x, y = blobs(100)
    seen = []

    class Spy(layers.Layer):
        def call(self, x, training=False):
            if training:
                seen.append(np.asarray(x))
            return x

    model = models.Sequential([layers.Input((4,)), Spy(), layers.Dense(3, activation="softmax")])
    model.compile("adam", "sparse_categorical_crossentropy")
    model.fit(x, y, epochs=1, validation_split=0.25, verbose=0)
    trained = np.concatenate(seen)
    np.testing.assert_array_equal(np.sort(trained, axis=0), np.sort(x[:75], axis=0))
    assert not np.array_equal(trained, x[:75])  # shuffled
    seen.clear()
    model.fit(x, y, epochs=1, shuffle=False, verbose=0)
    np.testing.assert_array_equal(np.concatenate(seen), x)


def test_sample_and_class_weights():
    x, y = blobs(60)
    model = classifier(optimizer=optimizers.SGD(0.0))
    losses = np.array([model.test_on_batch(x[i : i + 1], y[i : i + 1]) for i in range(60)])
    weights = np.linspace(0, 2, 60)
    expected = (losses * weights).mean()
    assert model.evaluate(x, y, sample_weight=weights, verbose=0) == pytest.approx(expected, rel=1e-4)
    history = model.fit(x, y, sample_weight=weights, verbose=0)
    assert history.history["loss"][0] == pytest.approx(expected, rel=1e-4)
    by_class = np.array([1.0, 5.0, 0.0])
    history = model.fit(x, y, class_weight={1: 5.0, 2: 0.0}, verbose=0)
    assert history.history["loss"][0] == pytest.approx((losses * by_class[y]).mean(), rel=1e-4)
    with pytest.raises(TypeError, match="class_weight expects class numbers as keys, got '1'"):
        model.fit(x, y, class_weight={"1": 5.0}, verbose=0)


def test_two_arrays_for_one_input_are_refused():
    model = models.Sequential([layers.Input((4, 3)), layers.Flatten(), layers.Dense(2)], name="one")
    x = np.ones((5, 4, 3), np.float32)
    for ask in (model, model.predict):
        with pytest.raises(ValueError, match="one expects 1 input, got 2"):
            ask([x, x])


def test_images_of_bytes_are_taken_as_they_are():
    x = np.arange(2 * 64, dtype=np.uint8).reshape(2, 8, 8, 1)
    model = models.Sequential([layers.Input((8, 8, 1)), layers.Flatten(), layers.Dense(2)])
    np.testing.assert_allclose(model.predict(x), model.predict(x.astype(np.float64)))
    np.testing.assert_allclose(model.predict(x[:, ::-1]), model.predict(np.ascontiguousarray(x[:, ::-1])))


def test_labels_may_be_lists_and_losses_functions():
    model = classifier(loss=lambda y, p: (p[:, 0] - y) * (p[:, 0] - y), metrics=[lambda y, p: np.abs(y - p[:, 0])])
    assert model.metrics_names == ["loss", "<lambda>"]
    history = model.fit([[0.0, 0, 0, 1]] * 4, [1.0, 1.0, 1.0, 1.0], epochs=3, verbose=0)
    assert history.history["loss"][-1] < history.history["loss"][0]


def test_what_evaluate_returns():
    x, y = blobs(20)
    assert isinstance(classifier().evaluate(x, y, verbose=0), float)
    model = classifier(metrics=["accuracy", "sparse_top_k_categorical_accuracy"])
    found = model.evaluate(x, y, verbose=0)
    assert isinstance(found, list)
    by_name = model.evaluate(x, y, verbose=0, return_dict=True)
    assert list(by_name) == model.metrics_names
    assert list(by_name.values()) == found
    assert model.test_on_batch(x, y, return_dict=True) == by_name
    np.testing.assert_array_equal(model.predict_on_batch(x), model.predict(x))


def test_the_input_gradient_of_the_first_layer_is_not_computed(monkeypatch):
    from cnnfast import _core

    calls, needed = [], []
    backward, chain_backward = _core.conv_backward_data, _core.LayerChain.backward
    monkeypatch.setattr(_core, "conv_backward_data", lambda *a: calls.append(1) or backward(*a))
    monkeypatch.setattr(_core.LayerChain, "backward", lambda *a: needed.append(a[-1]) or chain_backward(*a))
    row = [layers.Conv2D(4, 3), layers.Conv2D(4, 3), layers.Flatten()]
    model = models.Sequential([layers.Input((8, 8, 1)), *row])
    model.compile("sgd", "mse")
    model.train_on_batch(np.ones((2, 8, 8, 1)), np.ones((2, 64)))
    assert needed == [[False, True, True, True, True]]
    monkeypatch.setattr("cnnfast.models.chains.LARGEST_KEPT", -1)
    model = models.Sequential([layers.Input((8, 8, 1)), *row])
    model.compile("sgd", "mse")
    model.train_on_batch(np.ones((2, 8, 8, 1)), np.ones((2, 64)))
    assert len(calls) == 1


# Callbacks and progress


class Recorder(callbacks.Callback):
    def __init__(self, stop_after=None):
        self.calls, self.stop_after = [], stop_after

    def on_train_begin(self, logs=None):
        self.calls.append("train")

    def on_train_end(self, logs=None):
        self.calls.append("/train")

    def on_epoch_begin(self, epoch, logs=None):
        self.calls.append(f"epoch {epoch}")

    def on_epoch_end(self, epoch, logs=None):
        self.calls.append(f"/epoch {epoch} {','.join(logs)}")
        if epoch == self.stop_after:
            self.model.stop_training = True

    def on_train_batch_begin(self, batch, logs=None):
        self.calls.append(f"batch {batch}")

    def on_train_batch_end(self, batch, logs=None):
        self.calls.append(f"/batch {batch} {','.join(logs)}")

    def on_test_begin(self, logs=None):
        self.calls.append("test")

    def on_test_end(self, logs=None):
        self.calls.append(f"/test {','.join(logs)}")


def test_callbacks_hear_of_every_step():
    x, y = blobs(40)
    recorder = Recorder()
    classifier().fit(x, y, batch_size=32, epochs=2, initial_epoch=1, verbose=0, callbacks=[recorder],
                     validation_data=(x, y))  # fmt: skip
    assert recorder.calls == [
        "train", "epoch 1", "batch 0", "/batch 0 loss", "batch 1", "/batch 1 loss", "test", "/test loss",
        "/epoch 1 loss,val_loss", "/train",
    ]  # fmt: skip
    assert recorder.params == {"verbose": 0, "epochs": 2, "samples": 40, "batch_size": 32, "steps": 2}


def test_a_callback_can_stop_the_training():
    x, y = blobs(40)
    history = classifier().fit(x, y, epochs=9, verbose=0, callbacks=[Recorder(stop_after=2)])
    assert history.epoch == [0, 1, 2]


def test_validation_frequency():
    x, y = blobs(40)
    history = classifier().fit(x, y, epochs=4, verbose=0, validation_split=0.5, validation_freq=2)
    assert len(history.history["loss"]) == 4
    assert len(history.history["val_loss"]) == 2


@pytest.mark.parametrize(("verbose", "parts"), [(0, []), (1, ["Epoch 2/2", "img/s", "100%", "val_loss="]),
                                                (2, ["Epoch 2/2: ", " img/s, loss=", "val_loss="])])  # fmt: skip
def test_progress(capsys, verbose, parts):
    x, y = blobs(40)
    model = classifier(metrics=["accuracy"])
    model.fit(x, y, epochs=2, verbose=verbose, validation_split=0.5)
    model.evaluate(x, y, verbose=verbose)
    model.predict(x, verbose=min(verbose, 1))
    out = capsys.readouterr().out
    assert all(part in out for part in parts)
    assert bool(out) == bool(parts)


def test_auto_progress_is_a_line_per_epoch_off_a_terminal(capsys):
    x, y = blobs(40)
    classifier().fit(x, y, epochs=3)
    assert len(capsys.readouterr().out.splitlines()) == 3


# What goes wrong


def test_a_loss_that_is_not_a_number_is_warned_about_once():
    x, y = blobs(100)
    x[3] = np.nan
    with pytest.warns(RuntimeWarning, match="loss became NaN at batch") as caught:
        classifier().fit(x, y, epochs=1, verbose=0)
    assert len(caught) == 1
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        classifier().fit(x[4:], y[4:], verbose=0)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"x": np.zeros((0, 4))}, r"fit: x expects at least one example, got shape \(0, 4\)"),
        ({"y": np.zeros(9)}, r"fit: y expects as many rows as x has, 8, got 9 \(x: \(8, 4\), y: \(9,\)\)"),
        ({"x": np.zeros((8, 5))}, r"fit: sequential.* expects x of shape \(N, 4\), got \(8, 5\)"),
        ({"y": None}, "fit: y is missing; pass the labels of the 8 examples"),
        ({"y": np.eye(3)[np.zeros(8, int)]}, "for one-hot rows use categorical_crossentropy"),
        ({"y": np.full(8, 3)}, "class numbers from 0 to 2"),
        ({"x": np.array(["a"] * 8)}, "fit: x expects an array of real numbers, got dtype <U1"),
        ({"x": iter([1])}, "fit: y must be part of the batches where x gives them"),
        ({"batch_size": 0}, "fit: batch_size expects a positive integer, got 0"),
        ({"epochs": 1.5}, "fit: epochs expects an integer, got 1.5"),
        ({"validation_split": 1.0}, "validation_split expects a number between 0 and 1"),
        ({"validation_split": 0.99}, "validation_split=0.99 of 8 examples leaves none on one side"),
        ({"validation_data": np.zeros((8, 4))}, r"validation_data expects \(x, y\)"),
        ({"validation_data": (np.zeros((8, 4)), np.zeros(7))}, "validation_data: y expects as many rows"),
        ({"sample_weight": np.ones(7)}, "sample_weight expects as many rows as x has"),
        ({"verbose": 3}, "verbose expects 0, 1, 2 or 'auto'"),
        ({"callbacks": [print]}, "callbacks expects Callback objects"),
        ({"workers": 3}, "fit: workers=3 cannot be honoured: give it to the PyDataset"),
        ({"batchsize": 3}, "fit: unexpected keyword argument 'batchsize'"),
    ],
)
def test_wrong_data_raise(change, message):
    x, y = blobs(8)
    with pytest.raises((ValueError, TypeError), match=message):
        classifier().fit(**({"x": x, "y": y, "verbose": 0} | change))


def test_one_hot_rows_are_told_apart():
    x, y = blobs(8)
    model = classifier(loss="categorical_crossentropy")
    with pytest.raises(ValueError, match="for integer labels use sparse_categorical_crossentropy"):
        model.fit(x, y, verbose=0)
    model.fit(x, utils.to_categorical(y, 3), verbose=0)


def test_an_axis_of_one_is_added_or_taken_away():
    model = models.Sequential([layers.Input((8, 8, 1)), layers.Flatten(), layers.Dense(2)])
    x = np.random.default_rng(0).standard_normal((5, 8, 8, 1)).astype(np.float32)
    expected = model.predict(x)
    np.testing.assert_array_equal(model.predict(x[..., 0]), expected)
    np.testing.assert_array_equal(model.predict(x[..., None]), expected)
    with pytest.raises(ValueError, match=r"expects x of shape \(N, 8, 8, 1\), got \(5, 8\)"):
        model.predict(np.zeros((5, 8)))
    with pytest.raises(ValueError, match=r"expects x of shape \(N, 8, 8, 1\), got \(5, 9, 8\)"):
        model.predict(np.zeros((5, 9, 8)))


def test_compile_checks():
    model = classifier()
    with pytest.raises(ValueError, match="optimizer 'sdg' is not known"):
        model.compile("sdg", "mse")
    with pytest.raises(ValueError, match="compile: steps_per_execution=2 cannot be honoured"):
        model.compile("sgd", "mse", steps_per_execution=2)
    with pytest.raises(ValueError, match="loss 'msee' is not known"):
        model.compile("sgd", "msee")
    with pytest.raises(ValueError, match="metric 'accurracy' is not known"):
        model.compile("sgd", "mse", metrics=["accurracy"])
    assert isinstance(model.optimizer, optimizers.Adam)  # a failed compile changes nothing
    model.compile("sgd", "mse", metrics=["mae", "mae"], jit_compile=True, run_eagerly=True, auto_scale_loss=False)
    assert model.metrics_names == ["loss", "mae", "mae_1"]
    with pytest.raises(ValueError, match=r"fit: call compile\(optimizer=\.\.\., loss=\.\.\.\) first"):
        models.Sequential([layers.Dense(1)]).fit(np.ones((2, 2)), np.ones(2))


def test_to_categorical_and_normalize():
    np.testing.assert_array_equal(utils.to_categorical([[1], [0]]), [[0, 1], [1, 0]])
    np.testing.assert_array_equal(utils.to_categorical(np.array([2.0]), 4), [[0, 0, 1, 0]])
    assert utils.to_categorical(np.zeros((2, 3), int), 5).shape == (2, 3, 5)
    with pytest.raises(ValueError, match="class numbers from 0 to 1, got values from 2 to 2"):
        utils.to_categorical([2], 2)
    np.testing.assert_allclose(utils.normalize([[3.0, 4.0], [0.0, 0.0]]), [[0.6, 0.8], [0.0, 0.0]])


def test_layers_that_others_build_are_built_once():
    class Outer(layers.Layer):
        def __init__(self):
            super().__init__()
            self.parts = [layers.Dense(3), layers.ReLU(), layers.Dense(2)]

        def build(self, input_shape):
            for part in self.parts:
                part.build(input_shape)
                input_shape = part.compute_output_shape(input_shape)

    outer = Outer()
    outer.build((None, 4))
    assert outer.built
    assert all(part.built for part in outer.parts)
    x = np.zeros((2, 4))
    for part in outer.parts:
        x = part(x)
    assert [w.shape for w in outer.weights] == [(4, 3), (3,), (3, 2), (2,)]

    class Fails(layers.Layer):
        def build(self, input_shape):
            super().build(input_shape)
            raise ValueError("no")

    failing = Fails()
    with pytest.raises(ValueError, match="no"):
        failing.build((None, 4))
    assert not failing.built
