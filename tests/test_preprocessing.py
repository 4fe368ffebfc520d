"""Preprocessing layers: against Keras where nothing is random, by their properties where something is."""

import numpy as np
import pytest

import cnnfast
import keras_peer
from cnnfast import GradientTape, Tensor, layers, ops, random

RNG = np.random.default_rng(2)
X = RNG.random((6, 9, 12, 3)).astype(np.float32) * 255
FIRST = np.moveaxis(X, -1, 1).copy()

# Name of a layer, its arguments, the input, and whether it is called as in training: nothing is left to chance.
SETTLED = [
    ("Rescaling", {"scale": 1 / 127.5, "offset": -1.0}, X, None),
    ("Rescaling", {"scale": [1.0, 2.0, 3.0], "offset": [0.0, 1.0, 2.0]}, X, None),
    ("Normalization", {"mean": [1.0, 2.0, 3.0], "variance": [4.0, 5.0, 6.0]}, X, None),
    ("Normalization", {"axis": None, "mean": 1.0, "variance": 2.0, "invert": True}, X, None),
    ("Normalization", {"axis": (1, -1), "mean": [1.0, 2.0, 3.0], "variance": [1.0, 0.0, 4.0]}, X, None),
    ("Resizing", {"height": 5, "width": 20}, X, None),
    ("Resizing", {"height": 5, "width": 4, "interpolation": "nearest"}, X, None),
    ("Resizing", {"height": 5, "width": 4, "antialias": True, "crop_to_aspect_ratio": True}, X, None),
    ("Resizing", {"height": 5, "width": 4, "pad_to_aspect_ratio": True, "fill_value": 7.0}, X, None),
    ("Resizing", {"height": 5, "width": 4, "data_format": "channels_first"}, FIRST, None),
    ("CenterCrop", {"height": 4, "width": 7}, X, None),
    ("CenterCrop", {"height": 4, "width": 20}, X, None),
    ("CenterCrop", {"height": 4, "width": 7, "data_format": "channels_first"}, FIRST, None),
    ("RandomTranslation", {"height_factor": (0.25, 0.25), "width_factor": (-0.1, -0.1)}, X, True),
    ("RandomTranslation", {"height_factor": 0.0, "width_factor": (0.5, 0.5), "fill_mode": "wrap"}, X, True),
    ("RandomTranslation", {"height_factor": (-1, -1), "width_factor": 0.0, "fill_mode": "constant"}, X, True),
    ("RandomTranslation", {"height_factor": 0.2, "width_factor": 0.3}, X, False),
    ("RandomRotation", {"factor": (0.1, 0.1), "fill_mode": "nearest"}, X, True),
    ("RandomRotation", {"factor": (-0.3, -0.3), "fill_mode": "constant", "fill_value": 9.0}, X, True),
    ("RandomRotation", {"factor": (0.25, 0.25), "interpolation": "nearest"}, X[:, :9, :9], True),
    ("RandomZoom", {"height_factor": (0.3, 0.3)}, X, True),
    ("RandomZoom", {"height_factor": (-0.5, -0.5), "width_factor": (0.2, 0.2), "fill_mode": "wrap"}, X, True),
    ("RandomZoom", {"height_factor": (0.3, 0.3), "data_format": "channels_first"}, FIRST, True),
    ("RandomContrast", {"factor": 0.3}, X, False),
    ("RandomBrightness", {"factor": (0.2, 0.2)}, X, True),
    ("RandomBrightness", {"factor": (-0.3, -0.3), "value_range": (0.0, 200.0)}, X, True),
    ("RandomFlip", {"mode": "horizontal"}, X, False),
]


def called(layer, x, training):
    return layer(x) if training is None else layer(x, training=training)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("name", "arguments", "x", "training"), SETTLED)
def test_as_keras(name, arguments, x, training):
    keras = keras_peer.keras()
    theirs = getattr(keras.layers, name)(**arguments)
    if name == "Normalization":
        theirs.build(x.shape)
    expected = keras.ops.convert_to_numpy(called(theirs, keras.ops.convert_to_tensor(x), training))
    layer = getattr(layers, name)(**arguments)
    found = called(layer, x, training)
    # A place is rounded in another order; what is read there differs by as much times a pixel's range.
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=2e-2 if "Rotation" in name or "Zoom" in name else 1e-3)
    assert layer.compute_output_shape((None, *x.shape[1:])) == (None, *found.shape[1:])
    again = type(layer).from_config(layer.get_config())
    np.testing.assert_array_equal(called(again, x, training), found)
    np.testing.assert_allclose(called(layer, Tensor(x), training), found, rtol=1e-5, atol=1e-3)


RANDOM = {
    "RandomFlip": {},
    "RandomCrop": {"height": 4, "width": 5},
    "RandomTranslation": {"height_factor": 0.3, "width_factor": 0.3},
    "RandomRotation": {"factor": 0.2},
    "RandomZoom": {"height_factor": 0.4, "width_factor": 0.4},
    "RandomContrast": {"factor": 0.5},
    "RandomBrightness": {"factor": 0.3},
}


@pytest.mark.parametrize("name", RANDOM)
def test_every_image_is_changed_by_itself_and_reproducibly(name):
    def made():
        return getattr(layers, name)(**RANDOM[name], seed=4)

    same = np.repeat(X[:1], 32, axis=0)
    layer = made()
    first, second = layer(same, training=True), layer(same, training=True)
    assert len(np.unique(first.reshape(32, -1), axis=0)) > 2
    assert not np.array_equal(first, second)
    np.testing.assert_array_equal(made()(same, training=True), first)
    # Without a seed of its own it follows the one source.
    for _ in range(2):
        random.set_random_seed(11)
        drawn = getattr(layers, name)(**RANDOM[name])(same, training=True)
        random.set_random_seed(11)
        np.testing.assert_array_equal(getattr(layers, name)(**RANDOM[name])(same, training=True), drawn)
    # Channels first sees the same numbers.
    turned = getattr(layers, name)(**RANDOM[name], seed=4, data_format="channels_first")
    found = turned(np.moveaxis(same, -1, 1).copy(), training=True)
    np.testing.assert_allclose(np.moveaxis(np.asarray(found), 1, -1), first, atol=1e-3)


@pytest.mark.parametrize("name", RANDOM)
def test_one_image_and_no_image(name):
    layer = getattr(layers, name)(**RANDOM[name], seed=4)
    size = (4, 5) if name == "RandomCrop" else (9, 12)
    assert layer(X[0], training=True).shape == (*size, 3)
    assert layer(X[:0], training=True).shape == (0, *size, 3)
    assert layer(X[:0], training=False).shape == (0, *size, 3)
    with pytest.raises(ValueError, match=rf"{name}.*expects a batch of images"):
        layer(X[0, 0], training=True)


@pytest.mark.parametrize("name", [name for name in RANDOM if name != "RandomCrop"])
def test_nothing_happens_outside_training(name):
    layer = getattr(layers, name)(**RANDOM[name])
    np.testing.assert_array_equal(layer(X, training=False), X)
    model = cnnfast.Sequential([layers.Input(X.shape[1:]), layer])
    np.testing.assert_array_equal(model.predict(X), X)
    assert not np.array_equal(layer(X), X)  # by default it is active, as in Keras
    assert not np.array_equal(model(X), X)
    assert not np.array_equal(model(X, training=True), X)


def test_who_trains_is_asked_once():
    """A layer that says so by its signature decides for those in it."""

    class Around(layers.Layer):
        def __init__(self):
            super().__init__()
            self.inner = layers.RandomFlip(seed=1)

        def call(self, x, training=False):
            return self.inner(x)

    np.testing.assert_array_equal(Around()(X), X)
    assert not np.array_equal(Around()(X, training=True), X)


def test_flips_are_images_turned_over_half_of_the_time():
    x = np.repeat(X[:1], 2000, axis=0)
    turned = {(h, v): X[0][:: -1 if v else 1, :: -1 if h else 1] for h in (False, True) for v in (False, True)}
    for mode, possible in (
        ("horizontal", [(False, False), (True, False)]),
        ("vertical", [(False, False), (False, True)]),
        ("horizontal_and_vertical", list(turned)),
    ):
        y = layers.RandomFlip(mode, seed=7)(x, training=True)
        counts = [np.count_nonzero((y == turned[key]).all((1, 2, 3))) for key in possible]
        assert sum(counts) == 2000
        assert min(counts) > 2000 / len(possible) - 120


def test_crops_are_parts_at_all_places():
    places = np.arange(7 * 6, dtype=np.float32).reshape(1, 7, 6, 1)
    y = np.asarray(layers.RandomCrop(5, 4, seed=1)(np.repeat(places, 500, axis=0), training=True))
    corners = y[:, 0, 0, 0].astype(int)
    assert set(corners) == {row * 6 + column for row in range(3) for column in range(3)}
    for image, corner in zip(y, corners, strict=True):
        np.testing.assert_array_equal(image, places[0, corner // 6 : corner // 6 + 5, corner % 6 : corner % 6 + 4])
    resized = ops.image.resize(X, (5, 4), crop_to_aspect_ratio=True)
    np.testing.assert_array_equal(layers.RandomCrop(5, 4)(X, training=False), resized)
    # Also where an image is too small, as Keras's documentation says.
    larger = ops.image.resize(X, (9, 20), crop_to_aspect_ratio=True)
    np.testing.assert_array_equal(layers.RandomCrop(9, 20)(X, training=True), larger)


def test_shifts_and_zooms_stay_within_their_bounds():
    ramp = np.broadcast_to(np.arange(40.0)[:, None, None], (1000, 40, 40, 1))
    rows = np.asarray(layers.RandomTranslation((-0.25, 0.1), 0.0, "nearest", seed=1)(ramp, training=True))
    shift = 20 - rows[:, 20, 0, 0]
    assert -10.01 <= shift.min() < -9.5
    assert 3.5 < shift.max() <= 4.01
    zoomed = np.asarray(layers.RandomZoom((-0.4, 0.2), seed=1)(ramp, training=True))
    slope = zoomed[:, 21, 0, 0] - zoomed[:, 20, 0, 0]
    assert 0.599 <= slope.min() < 0.63
    assert 1.17 < slope.max() <= 1.201


def test_contrast_and_brightness():
    factor = layers.RandomContrast((0.5, 0.25), value_range=(-1e6, 1e6), seed=1)(np.repeat(X, 100, 0), training=True)
    x = np.repeat(X, 100, 0)
    mean = x.mean((1, 2), keepdims=True)
    stretch = ((np.asarray(factor) - mean) / (x - mean)).reshape(600, -1)
    middle = np.median(stretch, axis=1)
    assert 0.499 <= middle.min() < 0.53
    assert 1.22 < middle.max() <= 1.251
    np.testing.assert_allclose(np.asarray(factor).mean((1, 2)), mean[:, 0, 0], rtol=1e-4)
    y = np.asarray(layers.RandomBrightness(0.2, value_range=(0.0, 100.0), seed=1)(x * 0 + 50, training=True))
    assert y.min() >= 30
    assert y.max() <= 70
    assert np.ptp(y[:, 0, 0, 0]) > 35
    np.testing.assert_array_equal(y, np.broadcast_to(y[:, :1, :1, :1], y.shape))
    clipped = layers.RandomContrast(1.0, value_range=(0, 200), seed=1)(X, training=True)
    assert np.asarray(clipped).max() <= 200


def test_gradients_pass():
    for name, arguments in RANDOM.items():
        layer = getattr(layers, name)(**arguments, seed=3)
        x = Tensor(X)
        with GradientTape() as tape:
            tape.watch(x)
            y = ops.sum(layer(x, training=True))
        gradient = np.asarray(tape.gradient(y, x))
        assert gradient.shape == X.shape
        assert gradient.any(), name


@pytest.mark.parametrize("axis", [-1, None, (1, -1), (2, 3)])
def test_normalization_adapts(axis):
    reduced = tuple(a for a in range(4) if axis is None or a not in {a % 4 for a in np.atleast_1d(axis)})
    expected = (X - X.mean(reduced, keepdims=True)) / X.std(reduced, keepdims=True)
    for data in (X, Tensor(X), [X[:4], X[4:]], iter([(X[:1], None), (X[1:], None)])):
        layer = layers.Normalization(axis=axis)
        layer.adapt(data)
        np.testing.assert_allclose(layer(X), expected, rtol=1e-3, atol=1e-4)
    inverse = layers.Normalization(axis=axis, invert=True)
    inverse.adapt(X)
    np.testing.assert_allclose(inverse(layer(X)), X, rtol=1e-3, atol=1e-2)


@pytest.mark.filterwarnings("ignore")
def test_normalization_adapts_as_keras():
    keras = keras_peer.keras()
    theirs, ours = keras.layers.Normalization(axis=(1, -1)), layers.Normalization(axis=(1, -1))
    theirs.adapt(X)
    ours.adapt(X)
    weights = theirs.get_weights()
    assert [w.shape for w in ours.get_weights()] == [w.shape for w in weights]
    for found, expected in zip(ours.get_weights(), weights, strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-4)


def test_normalization_is_saved(tmp_path):
    layer = layers.Normalization()
    layer.adapt(X)
    model = cnnfast.Sequential(
        [layers.Input(X.shape[1:]), layer, layers.RandomFlip(seed=1), layers.Rescaling([1, 2, 3])]
    )
    model.save(tmp_path / "model.safetensors")
    again = cnnfast.load_model(tmp_path / "model.safetensors")
    np.testing.assert_array_equal(again.predict(X), model.predict(X))


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: layers.RandomFlip("diagonal"), ValueError, "RandomFlip: mode expects one of"),
        (lambda: layers.RandomTranslation(2.0, 0.0), ValueError, "RandomTranslation: height_factor"),
        (lambda: layers.RandomTranslation("a", 0.0), TypeError, "height_factor expects a number"),
        (lambda: layers.RandomZoom(-1.0), ValueError, "RandomZoom: height_factor"),
        (lambda: layers.RandomRotation((0.1, 0.2, 0.3)), ValueError, "factor expects a number or two"),
        (lambda: layers.RandomRotation(0.1, "mirrored"), ValueError, "fill_mode expects one of constant"),
        (lambda: layers.RandomRotation(0.1, interpolation="bicubic"), ValueError, "interpolation expects"),
        (lambda: layers.RandomContrast(-0.1), ValueError, "RandomContrast: factor"),
        (lambda: layers.RandomBrightness(0.1, value_range=3), ValueError, "value_range expects"),
        (lambda: layers.RandomCrop(0, 4), ValueError, "RandomCrop: height"),
        (lambda: layers.Resizing(3, 3, "cubic"), ValueError, "Resizing: interpolation expects"),
        (lambda: layers.Resizing(3, 3, data_format="NHWC"), ValueError, "data_format"),
        (lambda: layers.Normalization(mean=1.0), ValueError, "expects both mean and variance"),
        (lambda: layers.Normalization(mean=[1.0, 2.0], variance=[1.0, 2.0])(X), ValueError, "do not fit axes"),
        (lambda: layers.Normalization(axis=7)(X), ValueError, "axis .* is out of range"),
        (lambda: layers.Normalization().adapt([]), ValueError, "axis|no data"),
        (lambda: layers.Normalization().adapt(3), TypeError, "adapt expects an array or an iterable"),
    ],
)  # fmt: skip
def test_errors_say_what_is_wrong(call, error, message):
    with pytest.raises(error, match=message):
        call()
