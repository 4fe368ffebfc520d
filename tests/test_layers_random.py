"""Layers that disturb their input in training: what they keep, what they change, and that a seed repeats it."""

import numpy as np
import pytest

from cnnfast import layers, random
from cnnfast.autograd import GradientTape, Tensor

X = np.random.default_rng(3).standard_normal((40, 5, 5, 50)).astype(np.float32)

MADE = [
    lambda seed=None: layers.Dropout(0.25, seed=seed),
    lambda seed=None: layers.SpatialDropout2D(0.25, seed=seed),
    lambda seed=None: layers.AlphaDropout(0.25, seed=seed),
    lambda seed=None: layers.GaussianDropout(0.25, seed=seed),
    lambda seed=None: layers.GaussianNoise(0.25, seed=seed),
]


@pytest.mark.parametrize("make", MADE)
def test_random_layers(make):
    layer = make()
    np.testing.assert_array_equal(layer(X), X)
    y = np.asarray(layer(X, training=True))
    assert abs(y.mean() - X.mean()) < 0.02
    assert not np.array_equal(layer(X, training=True), y)
    first = [np.asarray(make(seed=5)(X, training=True)) for _ in range(2)]
    np.testing.assert_array_equal(*first)
    random.set_random_seed(1)
    again = layer(X, training=True)
    random.set_random_seed(1)
    np.testing.assert_array_equal(layer(X, training=True), again)


@pytest.mark.parametrize("make", MADE)
def test_gradients_see_the_same_choice(make):
    x = Tensor(X)
    layer = make()
    with GradientTape() as tape:
        tape.watch(x)
        y = layer(x, training=True)
    slope = tape.gradient(y, x).numpy()
    rest = y.numpy() - slope * X  # all these layers are straight lines: what is left does not depend on x
    if isinstance(layer, layers.GaussianNoise):
        np.testing.assert_array_equal(slope, 1)
        assert abs(rest.std() - 0.25) < 0.01
    elif isinstance(layer, layers.GaussianDropout):
        assert abs(slope.std() - np.sqrt(0.25 / 0.75)) < 0.01
        np.testing.assert_allclose(rest, 0, atol=1e-5)
    elif isinstance(layer, layers.AlphaDropout):
        assert abs((slope == 0).mean() - 0.25) < 0.02
        assert len(np.unique(rest.round(4))) == 2
    else:
        assert set(np.unique(slope)) == {np.float32(0), np.float32(1 / 0.75)}
        np.testing.assert_allclose(rest, 0, atol=1e-5)


def test_alpha_dropout_keeps_mean_and_variance():
    x = np.random.default_rng(1).standard_normal((400, 400)).astype(np.float32)
    y = np.asarray(layers.AlphaDropout(0.3)(x, training=True))
    assert abs(y.mean()) < 0.01
    assert abs(y.std() - 1) < 0.01
    y = np.asarray(layers.AlphaDropout(0.3, noise_shape=(None, 1))(x, training=True))
    assert 0.2 < (y.std(axis=1) < 1e-5).mean() < 0.4  # whole rows are set to one value


@pytest.mark.parametrize(
    ("layer", "shape", "axes"),
    [
        (layers.SpatialDropout1D(0.5), (20, 9, 16), 1),
        (layers.SpatialDropout2D(0.5), (20, 4, 4, 16), (1, 2)),
        (layers.SpatialDropout3D(0.5), (20, 3, 2, 4, 16), (1, 2, 3)),
        (layers.SpatialDropout2D(0.5, "channels_first"), (20, 16, 4, 4), (2, 3)),
    ],
)
def test_spatial_dropout_drops_whole_channels(layer, shape, axes):
    y = np.asarray(layer(np.ones(shape, np.float32), training=True))
    np.testing.assert_array_equal(y.min(axis=axes), y.max(axis=axes))
    assert set(np.unique(y)) == {0.0, 2.0}
    assert 0.35 < y.mean() / 2 < 0.65
    with pytest.raises(ValueError, match="expects x of shape"):
        type(layer)(0.5)(np.ones((2, 3), np.float32), training=True)
