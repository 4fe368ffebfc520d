"""Sums over every axis but the last: the gradients of biases."""

import numpy as np
import pytest

from cnnfast import _core
from reference import assert_close

SHAPES = [(1, 1), (5, 1), (40_000, 1), (3, 2), (1000, 3), (6001, 7), (513, 8), (77, 15), (2000, 16), (999, 17),
          (130, 31), (130, 33), (640, 64), (41, 100), (70, 1000), (35, 4096), (2, 3, 5, 6)]  # fmt: skip


@pytest.mark.parametrize("shape", SHAPES)
def test_channel_sums(isa, rng, shape):
    x = rng.standard_normal(shape).astype(np.float32)
    rows = x.size // shape[-1]
    assert_close(_core.channel_sums(x), x.astype(float).reshape(rows, -1).sum(0), terms=rows, scale=3)


def test_a_long_sum_keeps_its_digits(isa):
    x = np.full((3_000_000, 1), 0.1, np.float32)
    np.testing.assert_allclose(_core.channel_sums(x), 3_000_000 * np.float64(np.float32(0.1)), rtol=1e-5)


def test_no_rows_sum_to_zero(isa):
    np.testing.assert_array_equal(_core.channel_sums(np.zeros((0, 5), np.float32)), np.zeros(5))


@pytest.mark.parametrize("channels", [1, 3, 17, 64])
def test_same_bits_for_all_threads(isa, rng, same_bits_for_all_threads, channels):
    x = rng.standard_normal((400_000 // channels, channels)).astype(np.float32)
    same_bits_for_all_threads(lambda: _core.channel_sums(x))


def test_errors():
    with pytest.raises(ValueError, match="at least one axis"):
        _core.channel_sums(np.array(1, np.float32))
    with pytest.raises(ValueError, match=r"no channels.*\(3, 0\)"):
        _core.channel_sums(np.zeros((3, 0), np.float32))
