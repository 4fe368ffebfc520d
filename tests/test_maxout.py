"""Maxout against its definition, along every axis, with ties, NaN and infinities."""

import numpy as np
import pytest

import reference
from cnnfast import ops
from cnnfast.autograd import GradientTape, Tensor


def maxout_with_gradient(x, pieces, axis, dy):
    x = Tensor(x)
    with GradientTape() as tape:
        tape.watch(x)
        y = ops.maxout(x, pieces, axis=axis)
    return y.numpy(), np.asarray(tape.gradient(y, x, dy))


def check(x, pieces, axis, rng):
    expected, won = reference.maxout(x, pieces, axis)
    dy = rng.normal(size=expected.shape).astype(np.float32)
    y, dx = maxout_with_gradient(x, pieces, axis, dy)
    np.testing.assert_array_equal(y, expected.astype(np.float32))
    np.testing.assert_array_equal(dx, won * np.repeat(dy, pieces, axis))


@pytest.mark.parametrize("pieces", [1, 2, 3, 4, 7])
@pytest.mark.parametrize("units", [1, 3, 8, 17, 33])
def test_matches_the_definition(units, pieces, isa, threads, rng):
    x = rng.normal(size=(3, 5, units * pieces)).astype(np.float32)
    check(x, pieces, -1, rng)


@pytest.mark.parametrize("axis", [0, 1, 2, 3, -1, -2, -4])
def test_works_along_any_axis(axis, isa, rng):
    x = rng.normal(size=(6, 12, 18, 6)).astype(np.float32)
    check(x, 3, axis, rng)


def test_ties_go_to_the_first_and_nan_wins(isa, rng):
    values = np.float32([0.0, -0.0, 1.0, -np.inf, np.inf, np.nan])
    x = rng.choice(values, size=(40, 36))
    check(x, 3, -1, rng)
    check(x.T, 3, 0, rng)


def test_large_arrays_have_the_same_bits_for_all_threads(isa, rng, same_bits_for_all_threads):
    x = rng.normal(size=(2000, 96)).astype(np.float32)
    dy = rng.normal(size=(2000, 48)).astype(np.float32)
    y, dx = same_bits_for_all_threads(lambda: maxout_with_gradient(x, 2, -1, dy))
    pairs = x.reshape(2000, 48, 2)
    np.testing.assert_array_equal(y, pairs.max(-1))
    np.testing.assert_array_equal(dx.reshape(pairs.shape), (pairs == y[..., None]) * dy[..., None])


def test_gradient_is_the_derivative(isa, rng):
    x, dy = rng.normal(size=(2, 3, 8)).astype(np.float32), rng.normal(size=(2, 3, 4)).astype(np.float32)
    _, dx = maxout_with_gradient(x, 2, -1, dy)
    numerical = reference.numerical_gradient_of_all(
        lambda v: reference.maxout(v, 2, -1)[0], x.astype(np.float64), dy.astype(np.float64)
    )
    reference.assert_close(dx, numerical)


def test_empty_batches_work():
    assert ops.maxout(np.zeros((0, 4, 6)), 3).shape == (0, 4, 2)


def test_refuses_what_does_not_fit():
    x = np.zeros((2, 7))
    with pytest.raises(ValueError, match=r"a divisor of the 7 entries along axis -1, got 2 \(x: \(2, 7\)\)"):
        ops.maxout(x, 2)
    for pieces in (0, -1):
        with pytest.raises(ValueError, match="num_pieces expects a divisor"):
            ops.maxout(x, pieces)
    with pytest.raises(ValueError, match=r"axis 2 is out of range for x of shape \(2, 7\)"):
        ops.maxout(x, 1, axis=2)
    with pytest.raises(ValueError, match="num_pieces expects a divisor of the 0 entries"):
        ops.maxout(np.zeros((2, 0)), 1)
    with pytest.raises(TypeError):
        ops.maxout(x, 3.5)
