"""Local response normalisation against its definition."""

import numpy as np
import pytest

from cnnfast import ops
from cnnfast.autograd import GradientTape, Tensor
from cnnfast.gradcheck import gradcheck
from reference import assert_close, local_response

CHANNELS = [1, 2, 3, 7, 8, 15, 16, 17, 33, 64, 100, 700]


def run(x, dy, *arguments):
    x = Tensor(x)
    with GradientTape() as tape:
        tape.watch(x)
        y = ops.local_response_normalization(x, *arguments)
    return np.asarray(y), tape.gradient(y, x, output_gradients=dy).numpy()


def gradient(x, dy, radius, bias, alpha, beta):
    """By the quotient rule, in float64, for every pair of neighbours."""
    channels = np.arange(x.shape[-1])
    near = (np.abs(channels[:, None] - channels) <= radius).astype(float)
    base = bias + alpha * (x**2 @ near)
    return dy * base**-beta - 2 * alpha * beta * x * ((dy * x * base ** (-beta - 1)) @ near)


@pytest.mark.parametrize("channels", CHANNELS)
@pytest.mark.parametrize("radius", [0, 1, 2, 5, 40])
def test_values_and_gradients(isa, threads, rng, channels, radius):
    for beta in (0.75, 0.5, 1.3):
        x, dy = rng.standard_normal((2, 3 + 900 // channels, channels))
        y, dx = run(x.astype(np.float32), dy.astype(np.float32), radius, 1.5, 0.3, beta)
        assert_close(y, local_response(x, radius, 1.5, 0.3, beta), 4)
        assert_close(dx, gradient(x, dy, radius, 1.5, 0.3, beta), 16)


def test_the_references_gradient_is_that_of_its_forward_pass():
    rng = np.random.default_rng(2)
    x, dy = rng.standard_normal((2, 3, 6))
    found = np.zeros(x.shape)
    for index in np.ndindex(x.shape):
        step = np.zeros(x.shape)
        step[index] = 1e-6
        ahead, behind = (local_response(x + s * step, 2, 0.7, 0.2, 0.6) for s in (1, -1))
        found[index] = np.sum((ahead - behind) * dy) / 2e-6
    np.testing.assert_allclose(gradient(x, dy, 2, 0.7, 0.2, 0.6), found, atol=1e-7)


def test_numerical_gradients():
    x = np.random.default_rng(3).standard_normal((2, 3, 5))
    for radius, beta in ((2, 0.75), (1, 0.5), (3, 2.0)):
        assert gradcheck(lambda v, r=radius, b=beta: ops.local_response_normalization(v, r, 1.0, 0.5, b), [x], eps=1e-3)


@pytest.mark.parametrize("beta", [0.75, 0.5, 1.3])
def test_bases_of_every_size(isa, beta):
    # One channel, so that the base is what is asked for: near 1, and as large as its powers allow.
    base = np.concatenate([2.0 ** np.arange(-20, 90, 0.37), 1 + np.linspace(-0.5, 0.5, 200)])
    for scale in (1e-3, 1.0):
        x = np.sqrt(base * scale)
        bias = float(np.float32(1e-9))
        y = ops.local_response_normalization(x.reshape(-1, 1), 2, bias, 1 / scale, beta).ravel()
        exact = local_response(x.astype(np.float32).astype(float).reshape(-1, 1), 2, bias, 1 / scale, beta).ravel()
        np.testing.assert_allclose(y, exact, rtol=2e-5)


@pytest.mark.parametrize("beta", [0.75, 0.5, 1.3])
def test_what_is_not_finite_stays_in_its_row(isa, beta):
    x = np.ones((9, 20), np.float32)
    clean, dclean = run(x, x, 2, 1.0, 0.1, beta)
    for value in (np.nan, np.inf):
        bad = x.copy()
        bad[4, 19] = value
        y, dx = run(bad, x, 2, 1.0, 0.1, beta)
        assert np.isnan(y[4, 19])
        assert np.isnan(dx[4, 19])
        others = np.arange(9) != 4
        np.testing.assert_array_equal(y[others], clean[others])
        np.testing.assert_array_equal(dx[others], dclean[others])
        np.testing.assert_array_equal(y[4, :17], clean[4, :17])
    # A negative weight may bring the base to zero or below.
    y = ops.local_response_normalization(np.array([[1.0], [2.0]]), 0, 1.0, -1.0, beta)
    assert y[0, 0] == np.inf
    assert np.isnan(y[1, 0])


def test_bits_do_not_depend_on_threads(isa, rng, same_bits_for_all_threads):
    for shape in ((3000, 33), (7, 20000)):
        x, dy = rng.standard_normal((2, *shape)).astype(np.float32)
        same_bits_for_all_threads(lambda v=x, d=dy: run(v, d, 3, 1.0, 0.1, 0.75))


@pytest.mark.parametrize("shape", [(0, 5), (3, 0)])
def test_empty_arrays(shape):
    x = np.zeros(shape, np.float32)
    y, dx = run(x, x)
    assert y.shape == dx.shape == shape
