"""Convolutions to few channels, whose vectors run along the rows of pixels: forward, and as gradients to images."""

import numpy as np
import pytest

from cnnfast import ops
from reference import assert_close, correlate
from test_conv import Case, check_against_reference, gradients


def wide_case(rng, rank, **channels):
    """A random convolution over rows that are longer than a vector."""
    case = Case(rng, groups=1, **channels)
    case.rank, case.flip = rank, bool(rng.random() < 0.3)
    case.strides = [int(v) for v in rng.integers(1, 3, rank)]
    case.dilation = [int(v) for v in rng.integers(1, 3, rank)]
    window = [int(v) for v in rng.integers(1, 5, rank)]
    lowest = [3, 9, 17][3 - rank :]
    sizes = [int(rng.integers(n, 2 * n + 9)) + (w - 1) * 2 for n, w in zip(lowest, window, strict=True)]
    case.padding = case.pads = [(int(a), int(b)) for a, b in rng.integers(0, 4, (rank, 2))]
    inputs, outputs = case.x.shape[-1], case.w.shape[-1]
    case.x = rng.standard_normal((2, *sizes, inputs)).astype(np.float32)
    case.w = rng.standard_normal((*window, inputs, outputs)).astype(np.float32)
    case.terms = int(np.prod(window)) * inputs
    return case


@pytest.mark.parametrize("channels", range(1, 10))
@pytest.mark.parametrize("rank", [2, 3])
def test_few_channels_out_and_in(isa, threads, rank, channels):
    rng = np.random.default_rng(10 * rank + channels)
    check_against_reference(rng, wide_case(rng, rank, k=channels, c=int(rng.integers(1, 20))))
    check_against_reference(rng, wide_case(rng, rank, c=channels, k=int(rng.integers(1, 20))))


@pytest.mark.parametrize("activation", ["relu", "tanh"])
def test_bias_and_activation(isa, threads, activation):
    rng = np.random.default_rng(1)
    for filters in (1, 2, 3, 8):
        x = rng.standard_normal((2, 21, 37, 5)).astype(np.float32)
        w, b = rng.standard_normal((3, 3, 5, filters)).astype(np.float32), rng.standard_normal(filters)
        y = correlate(x, w, (1, 1), [(1, 1), (1, 1)], (1, 1), 1, False) + b
        expected = np.maximum(y, 0) if activation == "relu" else np.tanh(y)
        actual = ops.conv2d(x, w, b.astype(np.float32), padding="same", activation=activation)
        assert_close(actual, expected, 45)


@pytest.mark.parametrize(("size", "window", "strides"), [((40, 50), 3, 1), ((19, 33), 5, 2), ((9, 130), 4, 3)])
def test_same_bits_for_every_thread_count(isa, same_bits_for_all_threads, rng, size, window, strides):
    x = rng.standard_normal((3, *size, 2)).astype(np.float32)
    w = rng.standard_normal((window, window, 2, 2)).astype(np.float32)
    dy = rng.standard_normal(ops.conv2d(x, w, strides=strides, padding="same").shape).astype(np.float32)

    def compute():
        y, (dx, _) = gradients(lambda *a: ops.conv2d(*a, strides=strides, padding="same"), [x, w], dy)
        return [y, dx]

    same_bits_for_all_threads(compute)


def test_values_do_not_reach_beyond_their_windows(isa):
    x = np.zeros((1, 20, 40, 3), np.float32)
    x[0, 10, 20] = np.nan
    y = ops.conv2d(x, np.ones((3, 3, 3, 2), np.float32), padding="same")
    assert np.isnan(y[0, 9:12, 19:22]).all()
    assert np.isnan(y).sum() == 18


def test_algorithm(isa):
    names = ops.conv_algorithms((1, 30, 64, 1), (3, 3, 1, 1), padding="same")
    assert names["forward"] == names["backward_data"] == "lines"
    names = ops.conv_algorithms((1, 30, 64, 2), (3, 3, 2, 64), padding="same", strides=2)
    assert names["backward_data"] == "columns"
    assert ops.conv_algorithms((1, 1, 64, 1), (1, 3, 1, 1))["forward"] == "direct"
