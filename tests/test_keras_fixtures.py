"""Reading files that Keras wrote, without Keras (tests/data/make_keras_files.py made them)."""

import shutil
from pathlib import Path

import numpy as np
import pytest

import cnnfast
from cnnfast import layers, models

DATA = Path(__file__).parent / "data"


def expected(name):
    with np.load(DATA / f"{name}.npz") as file:
        found = dict(file)
    return found, [found[f"w{n}"] for n in range(sum(key.startswith("w") for key in found))]


@pytest.mark.parametrize("file", ["keras3.keras", "keras3.h5", "keras2.h5"])
def test_models_are_read_and_train_on(file):
    model = cnnfast.load_model(DATA / file)
    found, weights = expected(file.split(".")[0])
    np.testing.assert_allclose(model.predict(found["x"], verbose=0), found["out"], rtol=1e-4, atol=1e-6)
    assert model.optimizer.name == "adam" or file == "keras2.h5"
    assert int(model.optimizer.iterations) == 1
    logs = model.train_on_batch(found["x"], found["y"], return_dict=True)
    assert set(logs) == {"loss", "accuracy"}
    for one, other in zip(model.get_weights(), weights, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("file", ["keras3.keras", "keras3.h5", "keras2.h5"])
def test_compile_false_leaves_the_training_out(file):
    assert not cnnfast.load_model(DATA / file, compile=False).compiled


@pytest.mark.parametrize("file", ["keras3.weights.h5", "keras3.h5", "keras3.keras"])
def test_weights_are_read_into_a_model_of_ones_own(file):
    i = layers.Input((6, 6, 2))
    x = layers.BatchNormalization()(layers.Conv2D(3, 3, padding="same", activation="relu")(i))
    x = layers.Add()([x, layers.Conv2D(3, 1)(x)])
    head = models.Sequential([layers.GlobalAveragePooling2D(), layers.Dense(2, "softmax")])
    model = models.Model(i, head(x))
    model.load_weights(DATA / file)
    found, _ = expected("keras3")
    np.testing.assert_allclose(model.predict(found["x"], verbose=0), found["out"], rtol=1e-4, atol=1e-6)


def keras_2_network(width=2):
    return models.Sequential(
        [
            layers.Input((6, 6, 2)),
            layers.Conv2D(3, 3, use_bias=False, name="conv"),
            layers.BatchNormalization(name="norm"),
            layers.LeakyReLU(0.2),
            layers.Flatten(),
            layers.Dense(width, "softmax", name="scores" if width == 2 else "other"),
        ]
    )


def test_layers_by_order_and_by_name():
    found, _ = expected("keras2")
    model = keras_2_network()
    model.load_weights(DATA / "keras2.h5")
    np.testing.assert_allclose(model.predict(found["x"], verbose=0), found["out"], rtol=1e-4, atol=1e-6)
    other = keras_2_network(width=5)
    before = other.layers[-1].get_weights()
    with pytest.raises(ValueError, match=r"keras2.h5: Dense 'other': .* expects shape \(48, 5\), got \(48, 2\)"):
        other.load_weights(DATA / "keras2.h5")
    other.load_weights(DATA / "keras2.h5", by_name=True)
    for number in (0, 1):
        for one, peer in zip(other.layers[number].get_weights(), model.layers[number].get_weights(), strict=True):
            np.testing.assert_array_equal(one, peer)
    for one, peer in zip(other.layers[-1].get_weights(), before, strict=True):
        np.testing.assert_array_equal(one, peer)
    third = keras_2_network(width=5)
    with pytest.warns(UserWarning, match="left as it is"):
        third.load_weights(DATA / "keras2.h5", skip_mismatch=True)
    np.testing.assert_array_equal(third.layers[0].get_weights()[0], model.layers[0].get_weights()[0])


def test_by_name_is_refused_where_there_are_no_names(tmp_path):
    model = keras_2_network()
    model.save_weights(tmp_path / "a.weights.h5")
    with pytest.raises(ValueError, match="by_name cannot be honoured: the file tells layers by their places"):
        model.load_weights(tmp_path / "a.weights.h5", by_name=True)
    model.save(tmp_path / "a.keras")
    with pytest.raises(ValueError, match="by_name cannot be honoured: only"):
        model.load_weights(tmp_path / "a.keras", by_name=True)


def test_what_is_in_a_file_tells_its_form(tmp_path):
    """TensorFlow 2 wrote Keras 2's form into every file that ends in .h5."""
    shutil.copy(DATA / "keras2.h5", tmp_path / "old.weights.h5")
    shutil.copy(DATA / "keras3.weights.h5", tmp_path / "new.h5")
    keras_2_network().load_weights(tmp_path / "old.weights.h5")
    model = cnnfast.load_model(DATA / "keras3.keras")
    model.load_weights(tmp_path / "new.h5")
    with pytest.raises(ValueError, match="holds no architecture"):
        cnnfast.load_model(tmp_path / "new.h5")


@pytest.mark.parametrize("suffix", [".keras", ".h5", ".hdf5"])
def test_round_trip(tmp_path, suffix):
    model = cnnfast.load_model(DATA / "keras3.keras")
    found, _ = expected("keras3")
    model.save(tmp_path / f"a{suffix}")
    again = cnnfast.load_model(tmp_path / f"a{suffix}")
    np.testing.assert_array_equal(again.predict(found["x"], verbose=0), model.predict(found["x"], verbose=0))
    for one in (model, again):
        one.train_on_batch(found["x"], found["y"])
    for one, other in zip(model.get_weights(), again.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
    model.save(tmp_path / f"b{suffix}", include_optimizer=False)
    assert not cnnfast.load_model(tmp_path / f"b{suffix}").compiled
    with pytest.raises(ValueError, match="metadata cannot be honoured"):
        model.save(tmp_path / f"c{suffix}", metadata={"a": 1})
    with pytest.raises(FileExistsError):
        model.save(tmp_path / f"b{suffix}", overwrite=False)


@pytest.mark.parametrize("suffix", [".keras", ".h5"])
def test_layers_that_keras_lacks_come_back(tmp_path, rng, suffix):
    stack = [
        layers.Input((9, 9, 3)), layers.Conv2D(6, 3, activation="relu"),
        layers.LocalResponseNormalization(3, 0.2, 0.5, 2.0), layers.GlobalAveragePooling2D(),
        layers.Whitening("zca", 0.1), layers.Maxout(3), layers.Dense(2),
    ]  # fmt: skip
    model, x = models.Sequential(stack), rng.normal(size=(20, 9, 9, 3)).astype(np.float32)
    model.layers[3].adapt(rng.normal(size=(50, 6)))
    model.compile("adam", "mse")
    model.fit(x, rng.normal(size=(20, 2)), verbose=0)
    model.save(tmp_path / f"a{suffix}")
    again = cnnfast.load_model(tmp_path / f"a{suffix}")
    assert [layer.get_config() for layer in again.layers] == [layer.get_config() for layer in model.layers]
    np.testing.assert_array_equal(again.predict(x, verbose=0), model.predict(x, verbose=0))
    for one in (model, again):
        one.train_on_batch(x, np.ones((20, 2)))
    for one, other in zip(model.get_weights(), again.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize(("network", "arguments"), [("AlexNet", {"style": "paper"}), ("ZFNet", {})])
def test_networks_of_the_papers_come_back(tmp_path, rng, network, arguments):
    """Without the top, which is most of the weights."""
    make = getattr(cnnfast.applications, network)
    model = make(include_top=False, input_shape=(131, 131, 3), **arguments)
    assert any(isinstance(layer, layers.LocalResponseNormalization) for layer in model.layers)
    model.save(tmp_path / "net.keras")
    x = rng.normal(size=(2, 131, 131, 3)).astype(np.float32)
    again = cnnfast.load_model(tmp_path / "net.keras")
    np.testing.assert_array_equal(again.predict(x, verbose=0), model.predict(x, verbose=0))


def test_what_cannot_be_told_is_refused(tmp_path):
    rated = models.Sequential([layers.Input((4,)), layers.Dense(2, learning_rate_multiplier=0.5)])
    with pytest.raises(ValueError, match="no learning_rate_multiplier"):
        rated.save(tmp_path / "a.keras")
    with pytest.raises(ValueError, match="not built"):
        models.Sequential([layers.Dense(2)]).save(tmp_path / "a.keras")
    with pytest.raises(ValueError, match="safe_mode=False cannot be honoured"):
        cnnfast.load_model(DATA / "keras3.keras", safe_mode=False)
    model = models.Sequential([layers.Input((4,)), layers.Dense(2)])
    model.compile("adam", lambda y, p: (y - p) ** 2)
    with pytest.warns(UserWarning, match="without its training configuration"):
        model.save(tmp_path / "a.keras")
    assert not cnnfast.load_model(tmp_path / "a.keras").compiled


class Scale(layers.Layer):
    def __init__(self, start=1.0, **kwargs):
        super().__init__(**kwargs)
        self.start = start

    def build(self, input_shape):
        self.factor = self.add_weight(input_shape[-1:], "ones", name="factor")

    def call(self, x):
        return x * self.factor * self.start


class Net(models.Model):
    def __init__(self, units, **kwargs):
        super().__init__(**kwargs)
        self.hidden = [layers.Dense(units, activation="tanh"), Scale(2.0)]
        self.last, self.first = layers.Dense(2), layers.Dense(3)

    def call(self, x):
        x = self.first(x)
        for layer in self.hidden:
            x = layer(x)
        return self.last(x)


class Named(models.Model):
    pass


@pytest.mark.parametrize("kind", ["layer", "subclass", "functional"])
@pytest.mark.parametrize("suffix", [".keras", ".weights.h5", ".h5"])
def test_classes_of_ones_own(tmp_path, rng, kind, suffix):
    def build():
        if kind == "layer":
            return models.Sequential([layers.Input((4,)), Scale(3.0), layers.Dense(2)])
        i = layers.Input((4,))
        return Net(5) if kind == "subclass" else Named(i, Scale()(layers.Dense(2)(i)))

    x, y = rng.random((6, 4), np.float32), rng.random((6, 2), np.float32)
    model, path = build(), tmp_path / f"a{suffix}"
    model.compile("adam", "mse")
    model.fit(x, y, epochs=2, verbose=0)
    if suffix == ".weights.h5":
        model.save_weights(path)
        other = build()
        other.compile("adam", "mse")
        other.build((None, 4))
        other.load_weights(path)
    else:
        model.save(path)
        other = cnnfast.load_model(path, custom_objects={"Scale": Scale, "Net": Net, "Named": Named})
        assert type(other) is type(model)
        with pytest.raises(ValueError, match="custom_objects"):
            cnnfast.load_model(path)
    np.testing.assert_array_equal(model.predict(x, verbose=0), other.predict(x, verbose=0))
    for each in (model, other):
        each.train_on_batch(x, y)
    for one, peer in zip(model.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_array_equal(one, peer)


def test_registered_classes_are_found_by_themselves(tmp_path, rng):
    @cnnfast.saving.register_keras_serializable("own")
    class Twice(layers.Layer):
        def call(self, x):
            return x * 2.0

    @cnnfast.saving.register_keras_serializable("own")
    class Error(cnnfast.losses.Loss):
        def __init__(self, scale=1.0, **kwargs):
            super().__init__(**kwargs)
            self.scale = scale

        def call(self, y, p):
            return cnnfast.ops.mean(cnnfast.ops.square(y - p), axis=-1) * self.scale

    @cnnfast.saving.register_keras_serializable("own")
    class Steps(cnnfast.optimizers.SGD):
        pass

    x, y = rng.random((6, 4), np.float32), rng.random((6, 2), np.float32)
    model = models.Sequential([layers.Input((4,)), Twice(), layers.Dense(2)])
    model.compile(Steps(0.1, momentum=0.9), Error(3.0), metrics=["mae"])
    model.fit(x, y, verbose=0)
    for suffix in (".keras", ".h5"):
        model.save(tmp_path / f"a{suffix}")
        other = cnnfast.load_model(tmp_path / f"a{suffix}")
        assert (type(other.layers[0]), type(other.optimizer), other.loss.scale) == (Twice, Steps, 3.0)
        assert other.evaluate(x, y, verbose=0) == model.evaluate(x, y, verbose=0)
    model.compile(Steps(), Error(), metrics=[cnnfast.metrics.MeanAbsoluteError()])
    model.save(tmp_path / "b.keras")
    del cnnfast.saving.get_custom_objects()["own>Error"]
    with pytest.raises(ValueError, match="Error"):
        cnnfast.load_model(tmp_path / "b.keras")
    cnnfast.load_model(tmp_path / "b.keras", custom_objects={"Error": Error})


@pytest.mark.parametrize("name", ["best.keras", "best.h5", "best.safetensors", "best.weights.h5"])
def test_checkpoints(tmp_path, name, rng):
    x, y = rng.random((8, 6, 6, 2), np.float32), rng.integers(0, 2, 8)
    model = keras_2_network()
    model.compile("adam", "sparse_categorical_crossentropy")
    alone = name.endswith(".weights.h5")
    keeper = cnnfast.callbacks.ModelCheckpoint(tmp_path / "{epoch}" / name, save_weights_only=alone)
    model.fit(x, y, epochs=2, verbose=0, callbacks=[keeper])
    other = keras_2_network() if alone else cnnfast.load_model(tmp_path / "2" / name)
    if alone:
        other.load_weights(tmp_path / "2" / name)
    np.testing.assert_array_equal(model.predict(x, verbose=0), other.predict(x, verbose=0))
    resumed = cnnfast.callbacks.BackupAndRestore(tmp_path / "backup")
    other.compile("adam", "sparse_categorical_crossentropy")
    other.fit(x, y, epochs=1, verbose=0, callbacks=[resumed])


@pytest.mark.parametrize("arguments", [{"filepath": "best"}, {"filepath": "{epoch}.weights.h5"},
                                       {"filepath": "a.keras", "save_weights_only": True}])  # fmt: skip
def test_an_unusable_path_is_refused_when_the_callback_is_made(arguments):
    with pytest.raises(ValueError, match="with one of the endings"):
        cnnfast.callbacks.ModelCheckpoint(**arguments)


def _shared_in_a_model_and_outside():
    conv = layers.Conv2D(2, 3, padding="same")
    i = layers.Input((8, 8, 2))
    inner = models.Model(i, layers.ReLU()(conv(i)))
    o = layers.Input((8, 8, 2))
    return models.Model(o, layers.Add()([inner(o), conv(o)]))


def _shared_in_two_sequential_models():
    conv, norm = layers.Conv2D(2, 3, padding="same"), layers.BatchNormalization()
    a = models.Sequential([layers.Input((8, 8, 2)), conv, norm, layers.ReLU()])
    b = models.Sequential([layers.Input((8, 8, 2)), norm, conv])
    i = layers.Input((8, 8, 2))
    return models.Model(i, layers.Add()([conv(i), a(i), b(a(i)), layers.TimeDistributed(layers.Dense(2))(i)]))


@pytest.mark.parametrize("suffix", [".keras", ".h5"])
@pytest.mark.parametrize("make", [_shared_in_a_model_and_outside, _shared_in_two_sequential_models])
def test_layers_that_several_models_hold_stay_one(tmp_path, rng, make, suffix):
    model, x = make(), rng.normal(size=(4, 8, 8, 2)).astype(np.float32)
    model.compile("adam", "mse")
    model.train_on_batch(x, x)
    model.save(tmp_path / f"a{suffix}")
    again = cnnfast.load_model(tmp_path / f"a{suffix}")
    assert [w.shape for w in again.get_weights()] == [w.shape for w in model.get_weights()]
    for one in (model, again):
        one.train_on_batch(x, x)
    np.testing.assert_array_equal(again.predict(x, verbose=0), model.predict(x, verbose=0))


@pytest.mark.parametrize("suffix", [".keras", ".h5", ".safetensors"])
def test_a_metric_without_a_name_is_left_out_alone(tmp_path, suffix):
    x, y = np.ones((4, 4), np.float32), np.ones((4, 2), np.float32)
    model = models.Sequential([layers.Input((4,)), layers.Dense(2)])
    model.compile(cnnfast.optimizers.Adam(0.02), "mse", metrics=["mae", lambda y, p: p - y, "mape"])
    model.train_on_batch(x, y)
    with pytest.warns(UserWarning, match="saved without this metric"):
        model.save(tmp_path / f"a{suffix}")
    again = cnnfast.load_model(tmp_path / f"a{suffix}")
    assert int(again.optimizer.iterations) == 1
    assert list(again.evaluate(x, y, verbose=0, return_dict=True)) == ["loss", "mae", "mape"]
    i = layers.Input((4,))
    model = models.Model(i, [layers.Dense(2, name="a")(i), layers.Dense(2, name="b")(i)])
    for metrics in ([lambda y, p: p - y, "mae"], {"a": [lambda y, p: p - y], "b": ["mae"]}, [[abs], ["mae"]]):
        model.compile("sgd", "mse", metrics=metrics)
        with pytest.warns(UserWarning, match="saved without this metric"):
            model.save(tmp_path / f"b{suffix}")
        again = cnnfast.load_model(tmp_path / f"b{suffix}")
        assert "b_mae" in again.evaluate(x, [y, y], verbose=0, return_dict=True)
