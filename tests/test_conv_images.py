"""Convolutions to few channels of many small images, whose vectors run across the images."""

import numpy as np
import pytest

from cnnfast import ops
from reference import assert_close, correlate
from test_conv import Case, check_against_reference, gradients


def case_of_many(rng, rank, images, channels, filters, strides=1, smallest=1):
    """A random convolution of so many images with short rows."""
    case = Case(rng, groups=1, c=channels, k=filters)
    case.rank, case.flip = rank, bool(rng.random() < 0.3)
    case.strides = [strides] * rank
    case.dilation = [int(v) for v in rng.integers(1, 3, rank)]
    window = [int(v) for v in rng.integers(2, 5, rank)]
    sizes = [(w - 1) * d + int(rng.integers(smallest, 8)) for w, d in zip(window, case.dilation, strict=True)]
    case.padding = case.pads = [(int(a), int(b)) for a, b in rng.integers(0, 4, (rank, 2))]
    case.x = rng.standard_normal((images, *sizes, channels)).astype(np.float32)
    case.w = rng.standard_normal((*window, channels, filters)).astype(np.float32)
    case.terms = int(np.prod(window)) * channels
    return case


def algorithms(case):
    return ops.conv_algorithms(
        case.x.shape, case.w.shape, strides=case.strides, padding=case.padding, dilation_rate=case.dilation
    )


@pytest.mark.parametrize("channels", range(1, 9))
@pytest.mark.parametrize("rank", [1, 2, 3])
def test_gradients_to_few_channels(isa, threads, rank, channels):
    rng = np.random.default_rng(10 * rank + channels)
    case = case_of_many(rng, rank, 32, channels, int(rng.integers(1, 20)))
    assert algorithms(case)["backward_data"] == "images"
    check_against_reference(rng, case)
    odd = case_of_many(rng, rank, int(rng.integers(17, 40)), channels, int(rng.integers(1, 20)))
    check_against_reference(rng, odd)


@pytest.mark.parametrize("filters", range(1, 9))
@pytest.mark.parametrize("strides", [1, 2, 3])
def test_few_channels_out(isa, threads, strides, filters):
    rng = np.random.default_rng(10 * strides + filters)
    case = case_of_many(rng, 2, 32, int(rng.integers(1, 20)), filters, strides)
    if 2 * filters <= {"avx512": 16, "avx2": 8}.get(isa, 4):
        assert algorithms(case)["forward"] == "images"
    check_against_reference(rng, case)


# Rows that are kept all, and those that make place for others.
@pytest.mark.parametrize(("size", "channels"), [((5, 6), 3), ((31, 9), 24), ((40, 12), 30)])
@pytest.mark.parametrize("activation", [None, "relu", "tanh"])
def test_bias_and_activation(isa, threads, size, channels, activation):
    rng = np.random.default_rng(1)
    x = rng.standard_normal((19, *size, channels)).astype(np.float32)
    for filters in (1, 2, 6):
        w, b = rng.standard_normal((3, 3, channels, filters)).astype(np.float32), rng.standard_normal(filters)
        y = correlate(x, w, (1, 1), [(1, 1), (1, 1)], (1, 1), 1, False) + b
        expected = {None: y, "relu": np.maximum(y, 0), "tanh": np.tanh(y)}[activation]
        actual = ops.conv2d(x, w, b.astype(np.float32), padding="same", activation=activation)
        assert_close(actual, expected, 9 * channels)


@pytest.mark.parametrize("size", [(14, 14), (40, 12)])
def test_same_bits_for_every_thread_count(isa, same_bits_for_all_threads, rng, size):
    x = rng.standard_normal((33, *size, 6)).astype(np.float32)
    w = rng.standard_normal((5, 5, 6, 16)).astype(np.float32)
    dy = rng.standard_normal(ops.conv2d(x, w).shape).astype(np.float32)

    def compute():
        y, (dx, _) = gradients(lambda *a: ops.conv2d(*a), [x, w], dy)
        return [y, dx]

    same_bits_for_all_threads(compute)


def test_values_do_not_reach_beyond_their_windows_and_images(isa):
    dy = np.zeros((32, 8, 9, 3), np.float32)
    dy[5, 4, 4] = np.nan
    _, (dx, _) = gradients(
        lambda *a: ops.conv2d(*a, padding="same"),
        [np.zeros((32, 8, 9, 2), np.float32), np.ones((3, 3, 2, 3), "f4")],
        dy,
    )
    assert np.isnan(dx[5, 3:6, 3:6]).all()
    assert np.isnan(dx).sum() == 18


def test_algorithm(isa):
    lenet = ((128, 14, 14, 6), (5, 5, 6, 16))
    assert ops.conv_algorithms(*lenet)["backward_data"] == "images"
    # A few images leave lanes empty, long rows fill them, and phases of a stride are not neighbours.
    assert ops.conv_algorithms((2, 14, 14, 6), (5, 5, 6, 16))["backward_data"] != "images"
    assert ops.conv_algorithms((32, 20, 90, 6), (5, 5, 6, 16))["backward_data"] != "images"
    assert ops.conv_algorithms(*lenet, strides=2)["backward_data"] != "images"
    assert ops.conv_algorithms(*lenet)["forward"] == "direct"
