"""Convolutions that are products of matrices: pointwise ones, and windows that are the whole image."""

import numpy as np
import pytest

from cnnfast import ops
from reference import assert_close, correlate
from test_conv import CONV, TRANSPOSE, gradients


@pytest.mark.parametrize(("rows", "expected"), [(1, "few rows"), (8, "few rows"), (9, "direct")])
def test_algorithms_of_products(rows, expected):
    names = ops.conv_algorithms((rows, 1, 1, 64), (1, 1, 64, 32))
    assert set(names.values()) == {expected}


@pytest.mark.parametrize("images", [1, 8, 9, 70])
@pytest.mark.parametrize("window", [(9,), (5, 5), (1, 4), (2, 3, 2)], ids=str)
@pytest.mark.parametrize(("c", "k"), [(16, 20), (3, 1)])
def test_windows_of_the_whole_image_are_products(isa, rng, same_bits_for_all_threads, images, window, c, k):
    rank = len(window)
    x = rng.standard_normal((images, *window, c)).astype(np.float32)
    w = rng.standard_normal((*window, c, k)).astype(np.float32)
    b, dy = rng.standard_normal(k).astype(np.float32), rng.standard_normal((images, *[1] * rank, k)).astype(np.float32)
    strides = tuple(range(2, 2 + rank))  # which have nowhere to go
    names = ops.conv_algorithms(x.shape, w.shape, strides=strides)
    assert set(names.values()) == {"few rows" if images <= 8 else "direct"}

    def compute():
        y, grads = gradients(lambda *a: CONV[rank](*a, strides=strides, activation="relu"), [x, w, b], dy)
        return y, *grads

    y, dx, dw, db = same_bits_for_all_threads(compute)
    rows, matrix = x.reshape(images, -1).astype(np.float64), w.reshape(-1, k).astype(np.float64)
    products = rows @ matrix + b
    gradient = np.where(products > 0, dy.reshape(images, k), 0.0)
    assert_close(y, np.maximum(products, 0).reshape(dy.shape), len(matrix))
    assert_close(dx, (gradient @ matrix.T).reshape(x.shape), k)
    assert_close(dw, (rows.T @ gradient).reshape(w.shape), images)
    assert_close(db, gradient.sum(0), images)
    back = TRANSPOSE[rank](dy, w, np.arange(c), strides=strides)
    if back.shape == x.shape:
        assert_close(back, (dy.reshape(images, k) @ matrix.T).reshape(x.shape) + np.arange(c), k)


def test_windows_of_the_whole_image_that_are_no_products(isa, rng):
    x = rng.standard_normal((9, 3, 3, 4)).astype(np.float32)
    for groups, arguments in [
        (2, {}),
        (1, {"flip_kernel": True}),
        (1, {"padding": "same"}),
        (1, {"algorithm": "im2col"}),
    ]:
        w = rng.standard_normal((3, 3, 4 // groups, 8)).astype(np.float32)
        pads = [(1, 1)] * 2 if "padding" in arguments else [(0, 0)] * 2
        flip = "flip_kernel" in arguments
        expected = correlate(x, w, (1, 1), pads, (1, 1), groups, flip)
        assert_close(ops.conv2d(x, w, groups=groups, **arguments), expected, 36)
    w = rng.standard_normal((2, 2, 4, 8)).astype(np.float32)
    assert_close(ops.conv2d(x, w, dilation_rate=2), correlate(x, w, (1, 1), [(0, 0)] * 2, (2, 2)), 16)
