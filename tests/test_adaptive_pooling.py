"""Pooling to a given number of windows of uneven lengths against the definition."""

import numpy as np
import pytest

from cnnfast import _core, ops
from cnnfast.autograd import GradientTape, Tensor
from cnnfast.gradcheck import gradcheck
from reference import adaptive_average_pool, adaptive_max_pool, adaptive_windows, assert_close

# x, output_size
SHAPES = [
    ((2, 7, 3), (3,)), ((1, 5, 1), (4,)), ((2, 3, 5), (7,)), ((2, 300, 17), (7,)), ((1, 1000, 2), (3,)),
    ((2, 7, 9, 1), (3, 4)), ((3, 8, 7, 8), (3, 3)), ((2, 5, 6, 33), (4, 9)), ((1, 6, 7, 16), (6, 1)),
    ((1, 40, 40, 2), (2, 3)), ((2, 5, 4, 7, 3), (2, 3, 3)), ((1, 4, 5, 3, 16), (3, 2, 2)), ((0, 5, 5, 4), (2, 2)),
]  # fmt: skip


def run(pool, x, sizes, dy):
    x = Tensor(x)
    with GradientTape() as tape:
        tape.watch(x)
        y = pool(x, sizes)
    return np.asarray(y), tape.gradient(y, x, output_gradients=dy).numpy()


@pytest.mark.parametrize(("shape", "sizes"), SHAPES)
def test_maxima(isa, threads, rng, shape, sizes):
    dy = rng.standard_normal((shape[0], *sizes, shape[-1])).astype(np.float32)
    # Few different values: ties everywhere.
    for x in (rng.standard_normal(shape).astype(np.float32), rng.integers(0, 3, shape).astype(np.float32)):
        y, dx = run(ops.adaptive_max_pool, x, sizes, dy)
        expected, gradient = adaptive_max_pool(x, dy, sizes)
        np.testing.assert_array_equal(y, expected)
        np.testing.assert_array_equal(ops.adaptive_max_pool(x, sizes), expected)
        assert_close(dx, gradient, 8)


@pytest.mark.parametrize(("shape", "sizes"), SHAPES)
def test_means(isa, threads, rng, shape, sizes):
    x, dy = rng.standard_normal(shape), rng.standard_normal((shape[0], *sizes, shape[-1]))
    y, dx = run(ops.adaptive_average_pool, x.astype(np.float32), sizes, dy.astype(np.float32))
    expected, gradient = adaptive_average_pool(x, dy, sizes)
    assert_close(y, expected, 8)
    assert_close(dx, gradient, 8)


def test_bits_do_not_depend_on_threads(isa, rng, same_bits_for_all_threads):
    for shape, sizes in (((1, 150, 130, 17), (11, 7)), ((5, 60, 61, 3), (7, 8)), ((1, 50000, 2), (31,))):
        x = rng.standard_normal(shape).astype(np.float32)
        dy = rng.standard_normal((shape[0], *sizes, shape[-1])).astype(np.float32)
        for pool in (ops.adaptive_max_pool, ops.adaptive_average_pool):
            same_bits_for_all_threads(lambda p=pool, v=x, s=sizes, d=dy: run(p, v, s, d))


def test_numerical_gradients():
    rng = np.random.default_rng(8)
    x = rng.permutation(2 * 5 * 4 * 3).reshape(2, 5, 4, 3) / 10
    for pool in (ops.adaptive_max_pool, ops.adaptive_average_pool):
        for sizes in ((3, 3), (2, 5), (7, 1)):
            assert gradcheck(lambda v, p=pool, s=sizes: p(v, s), [x], eps=1e-2)


def test_what_is_not_finite(isa, rng):
    x = rng.standard_normal((2, 8, 7, 5)).astype(np.float32)
    x[0, 3, 3, 2], x[1, 0, 0, 4] = np.nan, np.inf
    dy = np.ones((2, 3, 4, 5), np.float32)
    y, dx = run(ops.adaptive_max_pool, x, (3, 4), dy)
    expected, gradient = adaptive_max_pool(x, dy, (3, 4))
    np.testing.assert_array_equal(y, expected)
    np.testing.assert_array_equal(dx, gradient)
    mean = ops.adaptive_average_pool(x, (3, 4))
    np.testing.assert_array_equal(np.isnan(mean), np.isnan(adaptive_average_pool(x, dy, (3, 4))[0]))
    lowest = np.full((1, 5, 2), -np.inf, np.float32)
    y, dx = run(ops.adaptive_max_pool, lowest, 3, np.ones((1, 3, 2), np.float32))
    np.testing.assert_array_equal(y, -np.inf)
    np.testing.assert_array_equal(dx[0, :, 0], [1, 1, 0, 1, 0])


def test_the_longest_window_is_found_without_looking_at_all():
    # Winners are kept in a byte as long as the longest windows hold at most 256 values.
    for length in range(1, 40):
        for count in range(1, 40):
            longest = max(len(places) for _, places in adaptive_windows((length,), (count,)))
            for width, byte in ((256 // longest, True), (256 // longest + 1, False)):
                # windows of `width` values along the height, exactly
                pooling = _core.AdaptivePooling("max", (1, width, length, 1), (1, count))
                winners = pooling.max_with_winners(np.zeros((1, width, length, 1), np.float32))[1]
                assert (winners.dtype == np.uint8) is byte


@pytest.mark.parametrize(("shape", "sizes"), [((1, 4, 0), (3,)), ((1, 0, 2), (3,)), ((2, 3), (1,)), ((1, 4, 2), (0,))])
def test_errors(shape, sizes):
    with pytest.raises(ValueError, match="adaptive_max_pool: x"):
        _core.AdaptivePooling("adaptive_max_pool", shape, sizes)


def test_sizes_that_no_memory_could_hold():
    with pytest.raises(ValueError, match=r"adaptive_max_pool: .*2147483647"):
        ops.adaptive_max_pool(np.zeros((1, 3, 1), np.float32), 2**40)
    with pytest.raises(ValueError, match="larger than this machine"):
        ops.adaptive_max_pool(np.zeros((1, 3, 3, 1), np.float32), 2**30 + 1)
