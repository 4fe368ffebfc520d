"""Files of Keras against Keras itself: what it writes is read here, what is written here it reads, training goes on."""

import warnings

import numpy as np
import pytest

import cnnfast
import keras_peer
import test_keras_config
import test_keras_fixtures
from cnnfast import layers, models

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")
IMAGES = (8, 16, 16, 3)


@pytest.fixture(scope="module")
def keras():
    return keras_peer.keras()


def quiet(function, *args, **kwargs):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return function(*args, **kwargs)


class Here:
    layers, Model, Sequential = layers, models.Model, models.Sequential


def mnist(k):
    conv = [k.layers.Conv2D(8, 3, activation="relu"), k.layers.MaxPooling2D(), k.layers.Conv2D(8, 3)]
    end = [k.layers.Flatten(), k.layers.Dense(16, "relu"), k.layers.Dropout(0.0), k.layers.Dense(3, "softmax")]
    return k.Sequential([k.layers.Input(IMAGES[1:]), *conv, *end])


def resnet(k):
    x = i = k.layers.Input(IMAGES[1:])
    for filters, strides in ((8, 1), (12, 2), (12, 1)):
        y = k.layers.Conv2D(filters, 3, strides, padding="same", use_bias=False)(x)
        y = k.layers.ReLU()(k.layers.BatchNormalization()(y))
        y = k.layers.BatchNormalization()(k.layers.Conv2D(filters, 3, padding="same", use_bias=False)(y))
        if strides > 1 or x.shape[-1] != filters:
            x = k.layers.Conv2D(filters, 1, strides)(x)
        x = k.layers.Activation("relu")(k.layers.Add()([x, y]))
    x = k.layers.GlobalAveragePooling2D()(x)
    return k.Model(i, k.layers.Dense(3, "softmax")(x))


def unet(k):
    x = i = k.layers.Input(IMAGES[1:])
    kept = []
    for filters in (4, 8):
        x = k.layers.Conv2D(filters, 3, padding="same", activation="relu")(x)
        kept.append(x)
        x = k.layers.MaxPooling2D()(x)
    x = k.layers.Conv2D(8, 3, padding="same", activation="relu")(x)
    for filters in (8, 4):
        x = k.layers.Conv2DTranspose(filters, 2, 2)(x)
        x = k.layers.Concatenate()([x, kept.pop()])
        x = k.layers.GroupNormalization(2)(k.layers.UpSampling2D()(k.layers.MaxPooling2D()(x)))
    x = k.layers.Conv2D(3, 1)(x)
    return k.Model(i, k.layers.Softmax()(k.layers.GlobalAveragePooling2D()(x)))


def mobilenet(k):
    x = i = k.layers.Input(IMAGES[1:])
    for filters in (8, 12):
        x = k.layers.DepthwiseConv2D(3, padding="same", use_bias=False)(x)
        x = k.layers.ReLU(6.0)(k.layers.BatchNormalization(momentum=0.9)(x))
        x = k.layers.PReLU(shared_axes=[1, 2])(k.layers.Conv2D(filters, 1)(x))
    x = k.layers.SeparableConv2D(8, 3, strides=2)(x)
    x = k.layers.SpectralNormalization(k.layers.Conv2D(6, 1))(x)
    x = k.layers.LayerNormalization()(k.layers.GlobalMaxPooling2D()(x))
    return k.Model(i, k.layers.Dense(3, "softmax")(x))


def nested(k):
    inside = k.layers.Input((6,))
    head = k.Model(inside, k.layers.Dense(3)(k.layers.Dense(4, "tanh")(inside)))
    inner = k.Sequential([k.layers.Conv2D(4, 3), k.layers.BatchNormalization(), k.layers.Conv2D(6, 3)])
    x = i = k.layers.Input(IMAGES[1:])
    x = k.layers.GlobalAveragePooling2D()(inner(x))
    return k.Model(i, k.layers.Softmax()(k.layers.Add()([head(x), head(k.layers.Activation("relu")(x))])))


def operations(k):
    i = k.layers.Input(IMAGES[1:])
    x = 1.0 - k.layers.Conv2D(4, 3)(i) * 2.0
    return k.Model(i, k.layers.Dense(3, "softmax")(k.layers.GlobalAveragePooling2D()(x + x)))


NETWORKS = [mnist, resnet, unet, mobilenet, nested]


def examples(rng):
    return rng.random(IMAGES, np.float32), rng.integers(0, 3, IMAGES[0])


def filled(model, rng):
    """The model with other weights: kernels around zero, all others (variances among them) above."""
    scales = [(w.shape, 1 / np.sqrt(w[..., 0].size)) for w in model.get_weights()]
    values = [rng.uniform(-scale, scale, s) if len(s) > 1 else rng.uniform(0.1, 0.5, s) for s, scale in scales]
    model.set_weights([value.astype(np.float32) for value in values])
    return model


def same(ours, theirs, x):
    found, expected = ours.predict(x, verbose=0), quiet(theirs.predict, x, verbose=0)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


def same_weights(ours, theirs):
    """The weights, whatever their order in a layer."""
    for mine, other in zip(ours.layers, theirs.layers, strict=True):
        expected = [*other.trainable_weights, *other.non_trainable_weights]
        found = [*mine.trainable_weights, *mine.non_trainable_weights]
        for one, peer in zip(found, expected, strict=True):
            np.testing.assert_allclose(
                one.numpy(), peer.numpy(), rtol=1e-3, atol=2e-4, err_msg=f"{mine.name} {one.name}"
            )


def step(model, x, y):
    return np.ravel(quiet(model.train_on_batch, x, y))[0]


# Keras does not read its own operations from .h5 files.
@pytest.mark.parametrize(
    ("network", "suffix"),
    [*((f, suffix) for f in NETWORKS for suffix in (".keras", ".h5")), (operations, ".keras")],
    ids=lambda p: getattr(p, "__name__", p),
)
def test_what_keras_writes_is_read_and_training_goes_on(keras, tmp_path, rng, network, suffix):
    theirs, (x, y) = filled(network(keras), rng), examples(rng)
    theirs.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    step(theirs, x, y)
    quiet(theirs.save, tmp_path / f"net{suffix}")
    ours = cnnfast.load_model(tmp_path / f"net{suffix}")
    same(ours, theirs, x)
    assert int(ours.optimizer.iterations) == 1
    assert step(ours, x, y) == pytest.approx(step(theirs, x, y), rel=1e-4)
    same_weights(ours, theirs)


@pytest.mark.parametrize("network", [*NETWORKS, operations], ids=lambda f: f.__name__)
def test_what_is_written_here_keras_reads_and_trains_on(keras, tmp_path, rng, network):
    ours, (x, y) = filled(network(Here), rng), examples(rng)
    ours.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    step(ours, x, y)
    ours.save(tmp_path / "net.keras")
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)  # Keras warns where it does not find an optimizer's state
        theirs = keras.models.load_model(tmp_path / "net.keras")
    same(ours, theirs, x)
    assert int(theirs.optimizer.iterations) == 1
    assert step(ours, x, y) == pytest.approx(step(theirs, x, y), rel=1e-4)
    same_weights(ours, theirs)
    again = cnnfast.load_model(tmp_path / "net.keras")
    assert [type(layer) for layer in again.layers] == [type(layer) for layer in ours.layers]
    step(again, x, y)
    for one, other in zip(again.get_weights(), ours.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("network", NETWORKS, ids=lambda f: f.__name__)
def test_the_old_form_is_read_by_keras(keras, tmp_path, rng, network):
    ours, (x, y) = filled(network(Here), rng), examples(rng)
    ours.compile(
        cnnfast.optimizers.RMSprop(0.01, momentum=0.5), "sparse_categorical_crossentropy", metrics=["accuracy"]
    )
    step(ours, x, y)
    ours.save(tmp_path / "net.h5")
    theirs = quiet(keras.models.load_model, tmp_path / "net.h5")
    same(ours, theirs, x)
    step(theirs, x, y)  # with an optimizer that begins anew
    again = cnnfast.load_model(tmp_path / "net.h5")
    step(again, x, y), step(ours, x, y)
    for one, other in zip(again.get_weights(), ours.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("network", NETWORKS, ids=lambda f: f.__name__)
def test_weights_alone_go_both_ways(keras, tmp_path, rng, network):
    theirs, ours, x = filled(network(keras), rng), network(Here), examples(rng)[0]
    theirs.save_weights(tmp_path / "a.weights.h5")
    ours.load_weights(tmp_path / "a.weights.h5")
    same(ours, theirs, x)
    for suffix in (".weights.h5", ".h5"):
        filled(ours, rng).save_weights(tmp_path / f"b{suffix}")
        theirs.load_weights(tmp_path / f"b{suffix}")
        same(ours, theirs, x)
        network(Here).load_weights(tmp_path / f"b{suffix}")
    quiet(theirs.save, tmp_path / "c.keras")
    ours.load_weights(tmp_path / "c.keras")
    same(ours, theirs, x)


def test_every_layer_goes_both_ways(keras, tmp_path, rng):
    """One model with all rows side by side: an input and an output for each."""
    rows = [row for row in test_keras_config.ROWS if row[0] not in test_keras_config.ELSEWHERE]
    rows = [row for row in rows if not isinstance(row[2], list)]
    assert len(rows) > 60
    pairs = []
    for name, arguments, shape in rows:
        i = keras.layers.Input(batch_shape=shape)
        pairs.append((i, quiet(getattr(keras.layers, name)(**arguments), i)))
    theirs = filled(keras.Model([i for i, _ in pairs], [o for _, o in pairs]), rng)
    x = [rng.random(shape, np.float32) for _, _, shape in rows]

    def check(ours, peer):
        found, expected = ours(x, training=False), quiet(peer, x, training=False)
        for row, one, other in zip(rows, found, expected, strict=True):
            np.testing.assert_allclose(one, other.detach().numpy(), rtol=1e-4, atol=1e-4, err_msg=str(row))

    theirs.save(tmp_path / "a.keras")
    ours = cnnfast.load_model(tmp_path / "a.keras")
    check(ours, theirs)
    filled(ours, rng).save(tmp_path / "b.keras")
    check(ours, keras.models.load_model(tmp_path / "b.keras"))


OPTIMIZERS = [
    ("SGD", {"learning_rate": 0.1, "momentum": 0.9, "nesterov": True}), ("SGD", {}), ("Adam", {"amsgrad": True}),
    ("RMSprop", {"momentum": 0.5, "centered": True}), ("Adagrad", {}), ("Adadelta", {}), ("Adamax", {}), ("Nadam", {}),
    ("Ftrl", {}), ("Lion", {}), ("Lamb", {}), ("AdamW", {"use_ema": True, "ema_momentum": 0.9}),
    ("Adam", {"gradient_accumulation_steps": 2, "global_clipnorm": 1.0}),
]  # fmt: skip


@pytest.mark.parametrize(("name", "arguments"), OPTIMIZERS, ids=lambda p: p if isinstance(p, str) else None)
def test_every_optimizer_goes_on(keras, tmp_path, rng, name, arguments):
    x, y = rng.random((6, 5), np.float32), rng.random((6, 2), np.float32)
    theirs = filled(keras.Sequential([keras.Input((5,)), keras.layers.Dense(4, "tanh"), keras.layers.Dense(2)]), rng)
    theirs.compile(getattr(keras.optimizers, name)(**arguments), keras.losses.Huber(), metrics=["mae"])
    for _ in range(3):
        step(theirs, x, y)
    theirs.save(tmp_path / "a.keras")
    ours = cnnfast.load_model(tmp_path / "a.keras")
    for _ in range(3):
        assert step(ours, x, y) == pytest.approx(step(theirs, x, y), rel=1e-4)
    same_weights(ours, theirs)
    ours.save(tmp_path / "b.keras")
    theirs = keras.models.load_model(tmp_path / "b.keras")
    for _ in range(3):
        assert step(ours, x, y) == pytest.approx(step(theirs, x, y), rel=1e-4)
    same_weights(ours, theirs)


def test_schedules_losses_and_metrics_come_along(keras, tmp_path, rng):
    x, y = rng.random((6, 5), np.float32), rng.integers(0, 2, 6)
    theirs = filled(keras.Sequential([keras.Input((5,)), keras.layers.Dense(2)]), rng)
    rate = keras.optimizers.schedules.CosineDecay(0.1, 10)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True, ignore_class=1)
    metrics = ["accuracy", keras.metrics.SparseTopKCategoricalAccuracy(1, name="top"), "sparse_categorical_accuracy"]
    theirs.compile(
        keras.optimizers.SGD(rate),
        loss,
        metrics=metrics,
        weighted_metrics=[
            keras.metrics.MeanMetricWrapper(
                keras.losses.sparse_categorical_crossentropy, name="wrapped", from_logits=True
            )
        ],
    )
    step(theirs, x, y)
    theirs.save(tmp_path / "a.keras")
    ours = cnnfast.load_model(tmp_path / "a.keras")
    expected = quiet(theirs.evaluate, x, y, verbose=0, return_dict=True)
    assert ours.evaluate(x, y, verbose=0, return_dict=True) == pytest.approx(expected, rel=1e-4)
    ours.save(tmp_path / "b.keras")
    theirs = keras.models.load_model(tmp_path / "b.keras")
    assert quiet(theirs.evaluate, x, y, verbose=0, return_dict=True) == pytest.approx(expected, rel=1e-4)
    assert float(theirs.optimizer.learning_rate) == pytest.approx(float(ours.optimizer.learning_rate))


def test_frozen_layers_and_several_outputs(keras, tmp_path, rng):
    x, labels = rng.random((6, 5), np.float32), {"a": rng.random((6, 2)), "b": rng.integers(0, 3, 6)}

    def build(k):
        i = k.layers.Input((5,))
        base = k.layers.Dense(4, "tanh", name="base")
        y = k.layers.BatchNormalization(name="norm")(base(i))
        model = k.Model(i, {"a": k.layers.Dense(2, name="a")(y), "b": k.layers.Dense(3, "softmax", name="b")(y)})
        base.trainable = False
        return model

    for one, other in ((keras, cnnfast), (cnnfast, keras)):
        first = filled(build(one if one is keras else Here), rng)
        first.compile("adam", {"a": "mse", "b": "sparse_categorical_crossentropy"}, loss_weights={"a": 0.5, "b": 2.0})
        step(first, x, labels)
        first.save(tmp_path / "net.keras")
        second = other.models.load_model(tmp_path / "net.keras")
        assert not second.get_layer("base").trainable
        assert step(first, x, labels) == pytest.approx(step(second, x, labels), rel=1e-4)
        same_weights(*((first, second) if other is keras else (second, first)))


def test_registered_classes_and_subclassed_models(keras, tmp_path, rng):
    @keras.saving.register_keras_serializable(package="own")
    class Scale(keras.layers.Layer):
        def __init__(self, start=1.0, **kwargs):
            super().__init__(**kwargs)
            self.start = start

        def build(self, input_shape):
            self.factor = self.add_weight(shape=input_shape[-1:], initializer="ones", name="factor")

        def call(self, x):
            return x * self.factor * self.start

        def get_config(self):
            return {**super().get_config(), "start": self.start}

    class Net(keras.Model):
        def __init__(self, units):
            super().__init__()
            self.hidden = [keras.layers.Dense(units, activation="tanh"), Scale(2.0)]
            self.last, self.first = keras.layers.Dense(2), keras.layers.Dense(3)

        call = test_keras_fixtures.Net.call

    x = rng.random((5, 4), np.float32)
    theirs = filled(keras.Sequential([keras.Input((4,)), Scale(3.0), keras.layers.Dense(2)]), rng)
    theirs.save(tmp_path / "a.keras")
    same(cnnfast.load_model(tmp_path / "a.keras", custom_objects={"Scale": test_keras_fixtures.Scale}), theirs, x)
    theirs, ours = Net(5), test_keras_fixtures.Net(5)
    quiet(theirs, x), ours(x)
    filled(theirs, rng).save_weights(tmp_path / "a.weights.h5")
    ours.load_weights(tmp_path / "a.weights.h5")
    same(ours, theirs, x)
    filled(ours, rng).save_weights(tmp_path / "b.weights.h5")
    theirs.load_weights(tmp_path / "b.weights.h5")
    same(ours, theirs, x)


def test_a_network_of_keras_applications(keras, tmp_path, rng):
    theirs = keras.applications.MobileNetV3Small((64, 64, 3), weights=None, classes=10)
    theirs.set_weights([w + rng.uniform(0.0, 0.05, w.shape).astype(np.float32) for w in theirs.get_weights()])
    theirs.save(tmp_path / "a.keras")
    ours, x = cnnfast.load_model(tmp_path / "a.keras"), rng.uniform(0, 255, (2, 64, 64, 3)).astype(np.float32)
    same(ours, theirs, x)
    ours.save(tmp_path / "b.keras")
    same(ours, keras.models.load_model(tmp_path / "b.keras"), x)
