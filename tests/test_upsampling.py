"""Enlarging and adaptive pooling against their definitions."""

import numpy as np
import pytest

from cnnfast import gradcheck, ops
from cnnfast.autograd import GradientTape, Tensor

FILTERS = {
    "bilinear": (1, lambda d: 1 - d),
    "bicubic": (2, lambda d: 1.5 * d**3 - 2.5 * d**2 + 1 if d < 1 else -0.5 * d**3 + 2.5 * d**2 - 4 * d + 2),
    "lanczos3": (3, lambda d: np.sinc(d) * np.sinc(d / 3)),
    "lanczos5": (5, lambda d: np.sinc(d) * np.sinc(d / 5)),
}


def matrix(n, factor, interpolation):
    """What each output along an axis takes of each input, written down element by element."""
    weights = np.zeros((n * factor, n))
    for o in range(n * factor):
        middle = (o + 0.5) / factor - 0.5
        for i in range(n):
            if interpolation == "nearest":
                weights[o, i] = o // factor == i
            elif abs(middle - i) < FILTERS[interpolation][0]:
                weights[o, i] = FILTERS[interpolation][1](abs(middle - i))
        weights[o] /= weights[o].sum()
    return weights


@pytest.mark.parametrize("interpolation", ["nearest", *FILTERS])
@pytest.mark.parametrize("size", [(2, 3), (1, 4), (5, 2)])
@pytest.mark.parametrize("channels", [1, 3, 17])
def test_upsample(interpolation, size, channels, rng):
    x = rng.standard_normal((2, 7, 4, channels)).astype(np.float32)
    rows, columns = matrix(7, size[0], interpolation), matrix(4, size[1], interpolation)
    tensor = Tensor(x)
    with GradientTape() as tape:
        tape.watch(tensor)
        y = ops.upsample(tensor, size, interpolation)
    np.testing.assert_allclose(y, np.einsum("oh,pw,nhwc->nopc", rows, columns, x), atol=2e-6)
    dy = rng.standard_normal(y.shape).astype(np.float32)
    dx = tape.gradient(y, tensor, output_gradients=dy)
    np.testing.assert_allclose(dx, np.einsum("oh,pw,nopc->nhwc", rows, columns, dy), atol=1e-5)


def test_nearest_is_exact_and_of_any_rank(rng):
    x = rng.standard_normal((1, 3, 2, 4, 5)).astype(np.float32)
    expected = x.repeat(3, 1).repeat(1, 2).repeat(7, 3)
    np.testing.assert_array_equal(ops.upsample(x, (3, 1, 7)), expected)
    np.testing.assert_array_equal(ops.upsample(x[0], (1, 3))[:, :, ::3], x[0])


@pytest.mark.parametrize("interpolation", ["nearest", "bilinear"])
def test_a_nan_stays_where_it_is(interpolation):
    x = np.zeros((1, 9, 9, 2), np.float32)
    x[0, 4, 4, 0] = np.nan
    y = ops.upsample(x, 3, interpolation)
    assert np.isnan(y[0, 13, 13, 0])
    assert not np.isnan(y[..., 1]).any()
    assert not np.isnan(y[0, :9, :, 0]).any()
    assert not np.isnan(y[0, 18:, :, 0]).any()


def test_same_bits_for_all_threads(rng, same_bits_for_all_threads):
    x = rng.standard_normal((4, 40, 40, 8)).astype(np.float32)
    same_bits_for_all_threads(lambda: [ops.upsample(x, 2, "bilinear"), ops.upsample(x, 3)])


def test_nothing_to_enlarge():
    tensor = Tensor(np.zeros((0, 3, 4, 2), np.float32))
    with GradientTape() as tape:
        tape.watch(tensor)
        y = ops.upsample(tensor, 2, "bicubic")
    assert y.shape == (0, 6, 8, 2)
    assert tape.gradient(y, tensor).shape == tensor.shape


def test_wrong_arguments_of_upsample_raise():
    with pytest.raises(ValueError, match=r"upsample: x expects 3 to 5 axes .* got shape \(2, 3\)"):
        ops.upsample(np.zeros((2, 3)))
    with pytest.raises(ValueError, match="upsample: size expects a positive integer or 1 of them"):
        ops.upsample(np.zeros((2, 3, 1)), (2, 2))
    with pytest.raises(ValueError, match="upsample: interpolation expects one of nearest"):
        ops.upsample(np.zeros((2, 3, 1)), 2, "area")


@pytest.mark.parametrize(("length", "count"), [(7, 3), (5, 8), (12, 4), (10, 10), (3, 1)])
@pytest.mark.parametrize("name", ["average", "max"])
def test_adaptive_pooling(length, count, name, rng):
    x = rng.standard_normal((2, length, 5, 3)).astype(np.float32)
    expected = np.empty((2, count, 2, 3))
    for i in range(count):
        for j in range(2):
            a, b = i * length // count, int(np.ceil((i + 1) * length / count))
            window = x[:, a:b, j * 5 // 2 : int(np.ceil((j + 1) * 5 / 2))].astype(np.float64)
            expected[:, i, j] = window.mean((1, 2)) if name == "average" else window.max((1, 2))
    pool = getattr(ops, f"adaptive_{name}_pool")
    np.testing.assert_allclose(pool(x, (count, 2)), expected, atol=1e-6)
    assert gradcheck(lambda x: pool(x, (count, 2)), [Tensor(x)])


def test_the_first_of_equal_values_wins_in_adaptive_pooling():
    tensor = Tensor(np.ones((1, 3, 3, 1), np.float32))
    with GradientTape() as tape:
        tape.watch(tensor)
        y = ops.adaptive_max_pool(tensor, 2)
    expected = [[1, 1, 0], [1, 1, 0], [0, 0, 0]]
    np.testing.assert_array_equal(tape.gradient(y, tensor)[0, :, :, 0], expected)
    x = np.array([[[1.0], [np.nan], [2.0]]])
    assert np.isnan(ops.adaptive_max_pool(x, 2)).all()
    for pool in (ops.adaptive_average_pool, ops.adaptive_max_pool):
        with pytest.raises(ValueError, match="output_size expects a positive integer or 1 of them, got 0"):
            pool(x, 0)
        with pytest.raises(ValueError, match=r"expects 3 to 5 axes .* and pixels, got shape \(1, 0, 2\)"):
            pool(np.zeros((1, 0, 2)), 1)
