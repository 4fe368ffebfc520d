"""The rectifier with learnt slopes against its definition."""

import numpy as np
import pytest

from cnnfast import ops
from cnnfast.autograd import GradientTape, Tensor
from cnnfast.gradcheck import gradcheck
from reference import assert_close, prelu


def run(x, alpha, dy):
    """y, dx, dalpha."""
    tensors = [Tensor(x), Tensor(alpha)]
    with GradientTape() as tape:
        tape.watch(tensors)
        y = ops.prelu(*tensors)
    return [np.asarray(y), *(g.numpy() for g in tape.gradient(y, tensors, output_gradients=dy))]


def summed_to(values, shape):
    """Over the axes along which an array of this shape was stretched."""
    values = values.sum(tuple(range(values.ndim - len(shape))))
    return values.sum(tuple(i for i, n in enumerate(shape) if n == 1), keepdims=True)


SHAPES = [
    ((50, 1), (1,)), ((50, 3), (3,)), ((700, 16), (16,)), ((3, 70, 33), (33,)), ((4, 5, 6, 64), (1, 1, 64)),
    ((4, 5, 6, 7), (5, 6, 7)), ((3, 9, 500), (9, 500)), ((2, 4097), (4097,)), ((40, 5000), (5000,)),
    ((4, 5, 6, 7), (5, 1, 7)), ((4, 5, 6, 7), (5, 6, 1)), ((4, 5, 6, 7), (1, 6, 1)), ((4, 5, 6), (1, 1)),
    ((4, 5, 6), ()), ((4, 5), (4, 5)), ((4, 5), (4, 1)), ((7,), (7,)), ((), ()),
]  # fmt: skip


@pytest.mark.parametrize(("shape", "slopes"), SHAPES)
def test_prelu(isa, threads, rng, shape, slopes):
    x, dy = (np.asarray(v, np.float32) for v in rng.standard_normal((2, *shape)))
    alpha = np.asarray(rng.standard_normal(slopes), np.float32)
    y, dx, dalpha = run(x, alpha, dy)
    np.testing.assert_array_equal(y, prelu(x, alpha))
    np.testing.assert_array_equal(dx, np.where(x > 0, dy, alpha * dy))
    exact = summed_to(np.where(x > 0, 0, dy * x.astype(float)), slopes)
    assert_close(dalpha, exact, x.size // max(alpha.size, 1), scale=4)


def test_bits_do_not_depend_on_threads(isa, rng, same_bits_for_all_threads):
    for shape, slopes in (
        ((90, 40, 19), (19,)),
        ((40, 30, 100), (30, 100)),
        ((3, 200000), (200000,)),
        ((9999, 1), (1,)),
    ):
        x, dy = rng.standard_normal((2, *shape)).astype(np.float32)
        alpha = rng.standard_normal(slopes).astype(np.float32)
        same_bits_for_all_threads(lambda v=(x, alpha, dy): run(*v))


def test_numerical_gradients():
    rng = np.random.default_rng(4)
    x = rng.standard_normal((3, 4, 5))
    x = np.where(np.abs(x) < 0.05, 0.5, x)
    for shape in ((5,), (4, 5), (4, 1), (1, 1)):
        assert gradcheck(ops.prelu, [x, rng.standard_normal(shape)], eps=1e-3)


def test_values_that_are_not_finite(isa):
    x = np.array([np.nan, np.inf, -np.inf, 0.0, -0.0, 1.0], np.float32).repeat(7)
    alpha = np.full(1, 0.5, np.float32)
    np.testing.assert_array_equal(ops.prelu(x, alpha), np.where(x > 0, x, x * np.float32(0.5)))
    y, dx, dalpha = run(x, alpha, np.ones_like(x))
    assert np.isnan(dalpha).all()
    assert np.isnan(y[:7]).all()
    np.testing.assert_array_equal(dx, np.where(x > 0, 1, 0.5))


@pytest.mark.parametrize("shape", [(0, 5), (3, 0, 5)])
def test_empty_arrays(isa, shape):
    x = np.zeros(shape, np.float32)
    y, dx, dalpha = run(x, np.ones(5, np.float32), x)
    assert y.shape == dx.shape == shape
    np.testing.assert_array_equal(dalpha, np.zeros(5))


@pytest.mark.parametrize("slopes", [(4,), (2, 1, 5), (1, 1, 1, 5)])
def test_slopes_that_do_not_fit(slopes):
    with pytest.raises(ValueError, match=r"prelu: alpha of shape .* does not broadcast to x"):
        ops.prelu(np.zeros((3, 4, 5), np.float32), np.zeros(slopes, np.float32))
