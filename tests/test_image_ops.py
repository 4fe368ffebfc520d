"""ops.image: against Keras, against definitions in NumPy, gradients by differences."""

import numpy as np
import pytest

import cnnfast
import keras_peer
from cnnfast import Tensor, gradcheck, ops

RNG = np.random.default_rng(8)


def normal(*shape):
    return RNG.standard_normal(shape).astype(np.float32)


X = normal(2, 7, 9, 3)
FIRST = np.moveaxis(X, -1, 1).copy()
BYTES = RNG.integers(0, 256, (2, 7, 9, 3), np.uint8)
TURN = np.array(
    [
        [0.8137, -0.6071, 2.2313, 0.6071, 0.8137, -1.3127, 0, 0],
        [1.3313, 0.1237, -3.7411, -0.2113, 0.9317, 4.4231, 0, 0],
    ],
    np.float32,
)

# Name -> what is computed with a module of image operations.
RESIZES = {
    "bilinear": {"size": (5, 12)},
    "nearest": {"size": (5, 12), "interpolation": "nearest"},
    "smaller": {"size": (3, 4)},
    "smaller, smoothed": {"size": (3, 4), "antialias": True},
    "bicubic, smoothed": {"size": (4, 14), "interpolation": "bicubic", "antialias": True},
    "one pixel": {"size": (1, 1), "antialias": True},
    "the same": {"size": (7, 9)},
    "cropped": {"size": (6, 4), "crop_to_aspect_ratio": True},
    "cropped below": {"size": (2, 8), "crop_to_aspect_ratio": True},
    "padded": {"size": (6, 4), "pad_to_aspect_ratio": True, "fill_value": 2.5},
    "padded at the sides": {"size": (4, 13), "pad_to_aspect_ratio": True},
}
CASES = {
    **{name: (lambda o, x, options=options: o.resize(x, **options), X) for name, options in RESIZES.items()},
    "resize of one": (lambda o, x: o.resize(x, (5, 5)), X[0]),
    "resize channels first": (lambda o, x: o.resize(x, (5, 12), data_format="channels_first"), FIRST),
    "grey": (lambda o, x: o.rgb_to_grayscale(x), X),
    "grey channels first": (lambda o, x: o.rgb_to_grayscale(x, "channels_first"), FIRST[0]),
    "pad": (lambda o, x: o.pad_images(x, 1, 2, target_height=12, right_padding=3), X),
    "pad channels first": (lambda o, x: o.pad_images(x, 1, 2, 3, 4, data_format="channels_first"), FIRST),
    "crop": (lambda o, x: o.crop_images(x, 1, 2, bottom_cropping=2, target_width=4), X),
    "crop channels first": (lambda o, x: o.crop_images(x, 1, 2, 3, 4, data_format="channels_first"), FIRST[0]),
    "patches": (lambda o, x: o.extract_patches(x, 3), X),
    "patches with strides": (lambda o, x: o.extract_patches(x, (2, 3), (1, 2), padding="same"), X),
    "patches with dilation": (lambda o, x: o.extract_patches(x, 3, 1, dilation_rate=2), X[0]),
    "patches channels first": (lambda o, x: o.extract_patches(x, 3, data_format="channels_first"), FIRST),
    **{
        f"affine {interpolation} {mode}": (
            lambda o, x, i=interpolation, m=mode: o.affine_transform(x, _turn(o), i, m, 3.0),
            X,
        )
        for interpolation in ("bilinear", "nearest")
        for mode in ("constant", "nearest", "wrap", "mirror", "reflect")
    },
    "affine of one": (lambda o, x: o.affine_transform(x, _turn(o)[0]), X[0]),
    "affine channels first": (lambda o, x: o.affine_transform(x, _turn(o), data_format="channels_first"), FIRST),
}


def _turn(o):
    """The transforms; Keras overwrites what it is given."""
    return TURN if o is ops.image else keras_peer.keras().ops.convert_to_tensor(TURN.copy())


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", CASES)
def test_as_keras(name):
    keras = keras_peer.keras()
    function, x = CASES[name]
    expected = keras.ops.convert_to_numpy(function(keras.ops.image, keras.ops.convert_to_tensor(x)))
    for found in (function(ops.image, x), function(ops.image, Tensor(x))):
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=2e-5)


@pytest.mark.parametrize("name", CASES)
def test_gradients(name):
    function, x = CASES[name]
    assert gradcheck(lambda v: function(ops.image, v), [x], atol=2e-4)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("interpolation", ["bilinear", "nearest"])
def test_bytes_stay_bytes(interpolation):
    keras = keras_peer.keras()
    found = ops.image.resize(BYTES, (5, 12), interpolation)
    assert found.dtype == np.uint8
    expected = keras.ops.convert_to_numpy(keras.ops.image.resize(BYTES, (5, 12), interpolation))
    assert np.abs(found.astype(int) - expected).max() <= (interpolation == "bilinear")
    assert ops.image.affine_transform(BYTES, TURN).dtype == np.uint8
    assert ops.image.crop_images(BYTES, 1, 1, 1, 1).dtype == np.uint8


def _filtered(x, new, function, radius, stretch):
    """One axis resized, pixel by pixel."""
    old = len(x)
    y = np.zeros((new, *x.shape[1:]))
    for i in range(new):
        middle = (i + 0.5) * old / new
        weights = np.array([function((j + 0.5 - middle) / stretch) for j in range(old)])
        y[i] = np.tensordot(weights / weights.sum(), x, 1)
    return y


def _keys(d):
    d = abs(d)
    if d >= 2:
        return 0.0
    return 1.5 * d**3 - 2.5 * d**2 + 1 if d <= 1 else -0.5 * d**3 + 2.5 * d**2 - 4 * d + 2


FUNCTIONS = {
    "bilinear": (lambda d: max(0.0, 1 - abs(d)), 1),
    "bicubic": (_keys, 2),
    "lanczos3": (lambda d: np.sinc(d) * np.sinc(d / 3) if abs(d) < 3 else 0.0, 3),
    "lanczos5": (lambda d: np.sinc(d) * np.sinc(d / 5) if abs(d) < 5 else 0.0, 5),
}


@pytest.mark.parametrize("antialias", [False, True])
@pytest.mark.parametrize("new", [1, 3, 7, 20])
@pytest.mark.parametrize("interpolation", FUNCTIONS)
def test_resize_against_its_definition(interpolation, new, antialias):
    x = normal(23, 1, 2)
    function, radius = FUNCTIONS[interpolation]
    expected = _filtered(x, new, function, radius, max(1.0, 23 / new) if antialias else 1.0)
    np.testing.assert_allclose(ops.image.resize(x, (new, 1), interpolation, antialias), expected, atol=1e-4)
    turned = ops.image.resize(x.swapaxes(0, 1), (1, new), interpolation, antialias)
    np.testing.assert_allclose(turned, expected.swapaxes(0, 1), atol=1e-4)


def test_perspective():
    """With c0 and c1 a pixel is read at a quotient."""
    x = normal(1, 6, 6, 1)
    y = ops.image.affine_transform(x, [1, 0, 0, 0, 1, 0, 0.25, 0.0], "nearest", "nearest")
    for row in range(6):
        for column in range(6):
            k = 0.25 * column + 1
            assert y[0, row, column, 0] == x[0, round(row / k), round(column / k), 0]
    far = ops.image.affine_transform(x, [1, 0, 0, 0, 1, 0, -0.5, 0.0], fill_value=9.0)
    assert np.isfinite(far).all()  # the denominator passes zero
    assert (far[0, 3, 2] == 9).all()


def test_large_batches_are_cut_into_parts():
    x = normal(5, 200, 190, 2)
    transforms = np.tile(np.float32([1, 0, 0.5, 0, 1, -2.25, 0, 0]), (5, 1))
    transforms[:, 2] += np.arange(5)
    together = ops.image.affine_transform(x, transforms)
    for i in range(5):
        np.testing.assert_array_equal(together[i], ops.image.affine_transform(x[i], transforms[i]))


def test_empty_batches():
    nothing = np.zeros((0, 4, 4, 3), np.float32)
    assert ops.image.resize(nothing, (2, 8)).shape == (0, 2, 8, 3)
    assert ops.image.affine_transform(nothing, TURN[0]).shape == (0, 4, 4, 3)


def test_symbolic():
    x = cnnfast.layers.Input((7, 9, 3))
    model = cnnfast.Model(x, ops.image.rgb_to_grayscale(ops.image.resize(x, (14, 18))))
    assert model.output_shape == (None, 14, 18, 1)
    np.testing.assert_allclose(model(X), ops.image.rgb_to_grayscale(ops.image.resize(X, (14, 18))), atol=1e-6)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda o: o.resize(X, (3, 0)), ValueError, "resize: size expects a height and a width"),
        (lambda o: o.resize(X, 3), ValueError, "resize: size expects"),
        (lambda o: o.resize(X, (3, 3), "cubic"), ValueError, "resize: interpolation expects one of nearest, bilinear"),
        (lambda o: o.resize(X[0, 0], (3, 3)), ValueError, "resize: images expects 3 axes"),
        (lambda o: o.resize(X[:, :0], (3, 3)), ValueError, "have no pixels"),
        (lambda o: o.resize(X, (3, 3), fill_mode="wrap"), ValueError, "resize: fill_mode expects 'constant'"),
        (
            lambda o: o.resize(X, (3, 3), crop_to_aspect_ratio=True, pad_to_aspect_ratio=True),
            ValueError, "only one of crop_to_aspect_ratio",
        ),
        (lambda o: o.affine_transform(X, TURN[0, :6]), ValueError, "transform expects shape"),
        (lambda o: o.affine_transform(X, TURN, fill_mode="edge"), ValueError, "fill_mode expects one of constant"),
        (lambda o: o.pad_images(X, 1, 1, 1, 1, 20), ValueError, "pad_images: expects two of top_padding"),
        (lambda o: o.pad_images(X, 1, 1, 1, target_width=3), ValueError, "do not fit an axis of length 9"),
        (lambda o: o.crop_images(X, 4, 1, 4, 1), ValueError, "do not fit an axis of length 7"),
        (lambda o: o.crop_images(X, -1, 1, 4, 1), ValueError, "top_cropping expects a number from 0 on"),
        (lambda o: o.rgb_to_grayscale(X[..., :2]), ValueError, "expects 1 or 3 channels"),
        (lambda o: o.extract_patches(X, (1, 2, 3, 4)), ValueError, "extract_patches: size expects"),
    ],
)  # fmt: skip
def test_errors_say_what_is_wrong(call, error, message):
    with pytest.raises(error, match=message):
        call(ops.image)
