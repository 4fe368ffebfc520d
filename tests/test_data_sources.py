"""What fit, evaluate and predict take as data, and what becomes of it."""

import threading
import time

import numpy as np
import pytest

from cnnfast import layers, models, ops, utils
from cnnfast.models.training.sources import ArraySource

N = 20
X = np.random.default_rng(0).standard_normal((N, 4)).astype(np.float32)
Y = (X @ np.array([[1.0], [-1.0], [0.5], [2.0]])).astype(np.float32)


def regressor(**compiled):
    utils.set_random_seed(0)
    model = models.Sequential([layers.Input((4,)), layers.Dense(1)])
    model.compile(**({"optimizer": "sgd", "loss": "mse"} | compiled))
    return model


def batches(size=5, x=X, y=Y):
    return [(x[i : i + size], y[i : i + size]) for i in range(0, len(x), size)]


class Parts(utils.PyDataset):
    """The data in batches of five, with a note of who asked for what."""

    def __init__(self, convert=lambda a: a, **kwargs):
        super().__init__(**kwargs)
        self.convert, self.threads, self.epochs = convert, set(), []

    def __len__(self):
        return N // 5

    def __getitem__(self, index):
        self.threads.add(threading.current_thread())
        return tuple(self.convert(part) for part in batches()[index])

    def on_epoch_begin(self):
        self.epochs.append("begin")

    def on_epoch_end(self):
        self.epochs.append("end")


class OldStyle:
    """A sequence without the base class, as code of old has it."""

    def __len__(self):
        return N // 5

    def __getitem__(self, index):
        return batches()[index]


def endless():
    while True:
        yield from batches()


def expected(epochs=2):
    model = regressor()
    history = model.fit(X, Y, batch_size=5, epochs=epochs, shuffle=False, verbose=0)
    return history.history["loss"], model.get_weights()


@pytest.mark.parametrize(
    "data",
    [
        lambda: Parts(),
        lambda: Parts(workers=0),
        lambda: Parts(workers=3, max_queue_size=2),
        lambda: OldStyle(),
        lambda: DataLoaderLike(),
    ],
)
def test_batches_train_as_arrays_do(data):
    model = regressor()
    history = model.fit(data(), epochs=2, shuffle=False, verbose=0)
    losses, weights = expected()
    assert history.history["loss"] == losses
    for a, b in zip(model.get_weights(), weights, strict=True):
        np.testing.assert_array_equal(a, b)
    whole = regressor()
    assert whole.evaluate(data(), verbose=0) == pytest.approx(whole.evaluate(X, Y, verbose=0), rel=1e-6)
    np.testing.assert_allclose(whole.predict(data()), whole.predict(X), rtol=1e-5)


class DataLoaderLike:
    """An iterable with a length, that can be gone through again and again."""

    def __len__(self):
        return N // 5

    def __iter__(self):
        return iter([list(batch) for batch in batches()])


def test_generators_go_on_from_epoch_to_epoch():
    model = regressor()
    data = endless()
    history = model.fit(data, steps_per_epoch=2, epochs=4, verbose=0)
    losses, weights = expected(2)
    first, second = np.mean(history.history["loss"][:2]), np.mean(history.history["loss"][2:])
    np.testing.assert_allclose([first, second], losses, rtol=1e-6)
    for a, b in zip(model.get_weights(), weights, strict=True):
        np.testing.assert_array_equal(a, b)
    np.testing.assert_array_equal(next(data)[0], X[:5])  # none was taken too much
    assert model.predict(data, steps=3).shape == (15, 1)


def test_a_generator_that_ends():
    model = regressor()
    with pytest.warns(UserWarning, match="the data ended after 0 batches"):
        history = model.fit(iter(batches()), epochs=3, verbose=0)
    assert history.epoch == [0]
    with pytest.warns(UserWarning, match="the data ended after 1 batches of an epoch of 3"):
        model.fit(iter(batches()), epochs=2, steps_per_epoch=3, verbose=0)
    for call in (model.fit, model.evaluate, model.predict):
        with pytest.raises(ValueError, match="expected at least one batch, there is none"):
            call(iter([]), verbose=0)


def test_data_sets_are_told_of_epochs_and_shuffled():
    data = Parts()
    regressor().fit(data, epochs=3, verbose=0)
    assert data.epochs == ["end", *["begin", "end"] * 3]  # once before the first, as in Keras
    assert threading.main_thread() not in data.threads
    seen = []

    class Spy(layers.Layer):
        def call(self, x, training=False):
            seen.append(np.asarray(x)[0])
            return x

    model = models.Sequential([layers.Input((4,)), Spy(), layers.Dense(1)])
    model.compile("sgd", "mse")
    seen.clear()
    model.fit(Parts(), epochs=4, verbose=0)
    orders = [np.argmax([np.array_equal(row, X[5 * i]) for i in range(4)]) for row in seen]
    assert len(orders) == 16
    assert all(sorted(orders[i : i + 4]) == [0, 1, 2, 3] for i in range(0, 16, 4))
    assert orders != [0, 1, 2, 3] * 4


def test_processes_make_batches_too():
    data = Parts(workers=2, use_multiprocessing=True)
    history = regressor().fit(data, epochs=2, shuffle=False, verbose=0)
    assert history.history["loss"] == expected()[0]
    assert data.threads == set()  # the copies in the processes were asked


def test_threads_work_ahead_and_end():
    class Slow(Parts):
        def __getitem__(self, index):
            time.sleep(0.03)
            return super().__getitem__(index)

    model = regressor()
    start = time.perf_counter()
    model.evaluate(Slow(workers=4), verbose=0)
    assert time.perf_counter() - start < 0.03 * 3.5
    assert not [t for t in threading.enumerate() if t.name.startswith("cnnfast-batches")]


def test_errors_of_a_data_set_arrive():
    class Broken(Parts):
        def __getitem__(self, index):
            if index == 2:
                raise OSError("no such picture")
            return super().__getitem__(index)

    with pytest.raises(OSError, match="no such picture"):
        regressor().fit(Broken(workers=2), verbose=0)
    assert not [t for t in threading.enumerate() if t.name.startswith("cnnfast-batches")]


def test_validation_with_batches():
    model = regressor()
    expected_loss = model.evaluate(X, Y, verbose=0)
    model.optimizer.learning_rate = 0.0
    for data, steps in ((Parts(), None), (DataLoaderLike(), None), (endless(), 4)):
        history = model.fit(X, Y, epochs=2, verbose=0, validation_data=data, validation_steps=steps)
        np.testing.assert_allclose(history.history["val_loss"], [expected_loss] * 2, rtol=1e-5)


def test_class_and_sample_weights_in_batches():
    y = (Y > 0).astype(np.int64)
    model = models.Sequential([layers.Input((4,)), layers.Dense(2, activation="softmax")])
    model.compile("sgd", "sparse_categorical_crossentropy")
    model.optimizer.learning_rate = 0.0
    weighed = model.fit(X, y, batch_size=5, class_weight={0: 2.0, 1: 0.5}, verbose=0).history["loss"]
    in_batches = model.fit(iter(batches(y=y)), class_weight={0: 2.0, 1: 0.5}, verbose=0).history["loss"]
    given = [(a, b, np.where(b[:, 0] == 0, 2.0, 0.5)) for a, b in batches(y=y)]
    np.testing.assert_allclose(in_batches, weighed, rtol=1e-6)
    np.testing.assert_allclose(model.fit(iter(given), verbose=0).history["loss"], weighed, rtol=1e-6)
    with pytest.raises(ValueError, match="class_weight or sample_weight, not both"):
        model.fit(X, y, class_weight={0: 2.0}, sample_weight=np.ones(N), verbose=0)


def test_tensors_and_tables():
    torch = pytest.importorskip("torch")
    model = regressor()
    losses, _ = expected(1)
    for x, y in ((torch.tensor(X), torch.tensor(Y)), (torch.tensor(X, requires_grad=True), Y)):
        model = regressor()
        assert model.fit(x, y, batch_size=5, shuffle=False, verbose=0).history["loss"] == losses
    loader = torch.utils.data.DataLoader(
        torch.utils.data.TensorDataset(torch.tensor(X), torch.tensor(Y)), batch_size=5, shuffle=False
    )
    model = regressor()
    assert model.fit(loader, verbose=0).history["loss"] == losses
    assert np.asarray(regressor().predict(torch.tensor(X).bfloat16())).shape == (N, 1)


def test_pandas():
    pandas = pytest.importorskip("pandas")
    x, y = pandas.DataFrame(X, columns=list("abcd")), pandas.Series(Y[:, 0])
    model = regressor()
    assert model.fit(x, y, batch_size=5, shuffle=False, verbose=0).history["loss"] == expected(1)[0]


def test_a_table_like_object():
    class Table:
        def __init__(self, values):
            self.values, self.shape = values, values.shape

        def to_numpy(self):
            return self.values.astype(object)

    assert regressor().fit(Table(X), Table(Y), batch_size=5, shuffle=False, verbose=0).history["loss"] == expected(1)[0]


def test_nested_inputs_by_name():
    a, b, c = layers.Input((4,), name="a"), layers.Input((2,), name="b"), layers.Input((1,), name="c")
    model = models.Model({"a": a, "more": {"b": b, "c": c}}, layers.Dense(1)(ops.concatenate([a, b, c], axis=-1)))
    model.compile("sgd", "mse")
    data = {"a": X, "more": {"b": X[:, :2], "c": Y}}
    model.fit(data, Y, batch_size=7, epochs=2, verbose=0)
    model.fit(iter([({"a": X, "more": {"b": X[:, :2], "c": Y}}, Y)]), verbose=0)
    assert model.predict(data, batch_size=7).shape == (N, 1)
    with pytest.raises(ValueError, match=r"x expects as many rows as x has, 20, got 19"):
        model.predict({"a": X, "more": {"b": X[1:, :2], "c": Y}})
    with pytest.raises(ValueError, match=r"expects x of shape \(N, 2\), got \(20, 3\)"):
        model.predict({"a": X, "more": {"b": X[:, :3], "c": Y}})


def test_several_outputs_are_put_together():
    x = layers.Input((4,))
    model = models.Model(x, {"sum": layers.Dense(1)(x), "parts": [layers.Dense(3)(x)]})
    found = model.predict(X, batch_size=6)
    whole = model.predict(X, batch_size=N)
    assert list(found) == ["sum", "parts"]
    np.testing.assert_allclose(found["sum"], whole["sum"], rtol=1e-6)
    np.testing.assert_allclose(found["parts"][0], whole["parts"][0], rtol=1e-6)
    np.testing.assert_allclose(model.predict(iter([X[:6], X[6:]]))["sum"], whole["sum"], rtol=1e-6)


@pytest.mark.parametrize("dtype", [np.uint8, np.int64, np.float64, np.float16, bool])
def test_large_batches_are_prepared_ahead_without_other_results(dtype, monkeypatch):
    x = (np.random.default_rng(0).random((40, 6, 6, 2)) * 2).astype(dtype)
    orders = []

    def run(threshold):
        monkeypatch.setattr("cnnfast.models.training.sources._WORTH_A_THREAD", threshold)
        utils.set_random_seed(4)
        order = []
        for part, labels, _ in ArraySource((x, np.arange(40), None), 7, shuffle=True).one_pass():
            assert part.dtype == np.float32
            np.testing.assert_array_equal(part, x[labels].astype(np.float32))
            order += labels.tolist()
        orders.append(order)

    run(1)
    run(1 << 40)
    assert orders[0] == orders[1]
    assert sorted(orders[0]) == list(range(40))


def test_shuffling_within_batches():
    utils.set_random_seed(0)
    rows = [y.tolist() for _, y, _ in ArraySource((X, np.arange(N), None), 5, shuffle="batch").one_pass()]
    assert [sorted(row) for row in rows] == [list(range(i, i + 5)) for i in range(0, N, 5)]
    assert rows != [sorted(row) for row in rows]


def test_an_interrupted_training_can_go_on():
    from cnnfast import callbacks

    class Interrupt(callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            if batch == 2:
                raise KeyboardInterrupt

    model = regressor()
    with pytest.raises(KeyboardInterrupt):
        model.fit(Parts(workers=2), epochs=3, verbose=1, callbacks=[Interrupt()])
    assert not [t for t in threading.enumerate() if t.name.startswith("cnnfast-batches")]
    assert np.isfinite(model.predict(X)).all()
    history = model.fit(X, Y, epochs=20, verbose=0).history["loss"]
    assert history[-1] < history[0]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"x": iter([1])}, "fit: expected batches x"),
        ({"x": iter(batches()), "y": Y}, "fit: y must be part of the batches"),
        ({"x": Parts(), "sample_weight": np.ones(N)}, "fit: sample_weight must be part of the batches"),
        ({"x": Parts(), "validation_split": 0.5}, "validation_split expects x and y as arrays"),
        ({"x": iter([(X, Y, None, None)])}, "data expects x, .* got 4 parts"),
        ({"x": X, "y": Y, "steps_per_epoch": 0}, "steps expects a positive integer, got 0"),
        ({"x": X, "y": {"a": Y, "b": Y}}, "y expects one array for the one output"),
    ],
)
def test_wrong_data_raise(given, message):
    with pytest.raises(ValueError, match=message):
        regressor().fit(**given, verbose=0)


def test_endless_data_sets_need_steps():
    class Endless(Parts):
        num_batches = None

        def __getitem__(self, index):
            return super().__getitem__(index % 4)

    with pytest.raises(ValueError, match="never end"):
        regressor().fit(Endless(), verbose=0)
    assert regressor().fit(Endless(), steps_per_epoch=4, epochs=2, verbose=0).history["loss"] == expected()[0]


def test_data_sets_are_told_as_often_as_by_keras():
    model = regressor()
    for run, expected in [
        (lambda data: model.evaluate(data, verbose=0), 2),
        (lambda data: model.predict(data, verbose=0), 1),
        (lambda data: model.fit(data, epochs=2, validation_data=data, verbose=0), 7),
    ]:
        data = Parts()
        run(data)
        assert data.epochs.count("end") == expected


def test_data_without_labels_and_inputs_too_many_are_named():
    model = regressor()
    x = batches()[0][0]
    with pytest.raises(ValueError, match=r"expects labels: data of the form \(x, y\).*got x alone"):
        model.fit(iter([x]), verbose=0)
    i = layers.Input((3,))
    model = models.Model(i, layers.Dense(1)(i))
    with pytest.raises(ValueError, match="expects 1 input, got 2"):
        model([i, i])
