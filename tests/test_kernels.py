"""Every kernel on every instruction set, reached through the public operation that uses it.

The families' own tests are thorough; this one makes sure that none of the kernels in the list goes untested: a new
kernel needs an entry here, and the calls are counted to see that the entry reaches it.
"""

import numpy as np
import pytest

import reference
from cnnfast import Variable, _core, ops
from cnnfast.autograd import GradientTape, Tensor
from reference import assert_close, correlate, same_pads


def uniform(rng, *shape):
    return rng.uniform(-1, 1, shape).astype(np.float32)


def activation_forward(rng):
    x = uniform(rng, 3, 5, 7)
    np.testing.assert_array_equal(_core.activation_forward("relu", x), np.maximum(x, 0))


def activation_backward(rng):
    y, dy = uniform(rng, 3, 5, 7), uniform(rng, 3, 5, 7)
    np.testing.assert_array_equal(_core.activation_backward("relu", y, dy), dy * (y > 0))


def activation_gradient_sums(rng):
    y, dy = uniform(rng, 50, 19), uniform(rng, 50, 19)
    dz, sums = _core.activation_backward_sums("relu", y, dy)
    np.testing.assert_array_equal(dz, dy * (y > 0))
    assert_close(sums, dz.astype(float).sum(0), 50)


def clip(rng):
    x = uniform(rng, 3, 35)
    np.testing.assert_array_equal(_core.clip(x, -0.5, 0.25), np.clip(x, np.float32(-0.5), np.float32(0.25)))


def clip_gradient(rng):
    x, dy = uniform(rng, 3, 35), uniform(rng, 3, 35)
    np.testing.assert_array_equal(_core.clip_gradient(x, dy, -0.5, 0.25), dy * ((x >= -0.5) & (x <= 0.25)))


def convolution(rng):
    x, w = uniform(rng, 2, 6, 7, 5), uniform(rng, 3, 2, 5, 19)
    shape = _core.ConvShape("conv2d", 2, x.shape, w.shape, 2, "same", 1)
    y = _core.conv_forward(shape, x, w)
    assert_close(y, correlate(x, w, (2, 2), same_pads((6, 7), (3, 2), (2, 2), (1, 1)), (1, 1)), 30)
    dy = uniform(rng, *y.shape)
    dw = _core.conv_backward_weights(shape, x, dy)
    np.testing.assert_allclose(np.vdot(dw, w), np.vdot(dy, y), rtol=1e-4)


def convolution_and_pooling(rng):
    for filters, width in ((5, 8), (19, 8), (2, 50)):
        x, w = uniform(rng, 2, 9, width, 1), uniform(rng, 3, 3, 1, filters)
        shape = _core.ConvShape("conv2d", 2, x.shape, w.shape, 1, "valid", 1)
        pooling = _core.Pooling("max_pool2d", shape.y_shape, 2, 2, "valid", 1)
        y, winners = _core.conv_pool_forward(shape, pooling, x, w, None, "linear", 0.0, True)
        dy = uniform(rng, *y.shape)
        dx, dw = _core.conv_pool_backward(shape, pooling, x, w, winners, dy, False, True)
        assert dx is None
        np.testing.assert_allclose(np.vdot(dw, w), np.vdot(dy, y), rtol=1e-4)


def grouped_convolution(rng):
    for groups, channels, filters in ((19, 1, 1), (5, 2, 1)):
        x, w = uniform(rng, 2, 6, 7, groups * channels), uniform(rng, 3, 2, channels, groups * filters)
        shape = _core.ConvShape("conv2d", 2, x.shape, w.shape, 1, "valid", 1, groups)
        y = _core.conv_forward(shape, x, w)
        assert_close(y, correlate(x, w, (1, 1), [(0, 0), (0, 0)], (1, 1), groups), 6 * channels)
        dy = uniform(rng, *y.shape)
        dw = _core.conv_backward_weights(shape, x, dy)
        np.testing.assert_allclose(np.vdot(dw, w), np.vdot(dy, y), rtol=1e-4)


def few_rows(rng):
    x, w, dy = uniform(rng, 3, 21), uniform(rng, 21, 19), uniform(rng, 3, 19)
    assert_close(_core.dense_forward(x, w), x.astype(np.float64) @ w, 21)
    assert_close(_core.dense_backward_data(dy, w), dy.astype(np.float64) @ w.T, 19)
    assert_close(_core.dense_backward_weights(x, dy), x.T.astype(np.float64) @ dy, 3)


def add(rng):
    a, b = uniform(rng, 3, 35), uniform(rng, 3, 35)
    np.testing.assert_array_equal(_core.add(a, b), a + b)


def multiply(rng):
    a, b = uniform(rng, 3, 35), uniform(rng, 3, 35)
    np.testing.assert_array_equal(_core.multiply(a, b), a * b)


def softmax_forward(rng):
    x = uniform(rng, 4, 35)
    assert_close(ops.softmax(x), reference.softmax(x.astype(np.float64), -1))


def softmax_backward(rng):
    y, dy = ops.softmax(uniform(rng, 4, 35)), uniform(rng, 4, 35)
    assert_close(_core.softmax_backward(y, dy), y * (dy - np.sum(y * dy, -1, keepdims=True)))


def log_softmax_forward(rng):
    x = uniform(rng, 4, 35)
    assert_close(ops.log_softmax(x), reference.log_softmax(x.astype(np.float64), -1))


def log_softmax_backward(rng):
    y, dy = ops.log_softmax(uniform(rng, 4, 35)), uniform(rng, 4, 35)
    assert_close(_core.log_softmax_backward(y, dy), dy - np.exp(y) * np.sum(dy, -1, keepdims=True), terms=35)


def cross_entropy_forward(rng):
    logits, labels = uniform(rng, 4, 35), uniform(rng, 4, 35)
    expected = reference.cross_entropy(labels.astype(np.float64), logits.astype(np.float64))
    assert_close(ops.softmax_cross_entropy(labels, logits), expected, terms=35)


def cross_entropy_backward(rng):
    p, labels, dy = ops.softmax(uniform(rng, 4, 35)), uniform(rng, 4, 35), uniform(rng, 4)
    expected = (labels.sum(-1, keepdims=True) * p - labels) * dy[:, None]
    assert_close(_core.cross_entropy_backward(labels, p, dy), expected, terms=35)


def sparse_cross_entropy_forward(rng):
    logits, classes = uniform(rng, 4, 35), np.array([0, 34, 16, 7])
    expected = reference.cross_entropy(np.eye(35)[classes], logits.astype(np.float64))
    assert_close(ops.softmax_cross_entropy(classes, logits), expected)


def sparse_cross_entropy_backward(rng):
    p, classes, dy = ops.softmax(uniform(rng, 4, 35)), np.array([0, 34, 16, 7]), uniform(rng, 4)
    assert_close(_core.cross_entropy_backward(classes, p, dy), (p - np.eye(35)[classes]) * dy[:, None])


def winograd(rng, groups=1, filters=19):
    x, w = uniform(rng, 2, 9, 10, 5 * groups), uniform(rng, 3, 3, 5, filters)
    plain, fast = (
        _core.ConvShape("conv2d", 2, x.shape, w.shape, 1, 1, 1, groups, False, name) for name in ("direct", "winograd")
    )
    y, dy = _core.conv_forward(plain, x, w), uniform(rng, 2, 9, 10, filters)
    np.testing.assert_allclose(_core.conv_forward(fast, x, w), y, atol=1e-4)
    expected = _core.conv_backward_weights(plain, x, dy)
    np.testing.assert_allclose(_core.conv_backward_weights(fast, x, dy), expected, atol=1e-3)


def pooled_winograd(rng):
    x, w = uniform(rng, 2, 9, 10, 24), uniform(rng, 3, 3, 24, 19)
    shape = _core.ConvShape("conv2d", 2, x.shape, w.shape, 1, 1, 1, 1, False, "winograd")
    pooling = _core.Pooling("max_pool2d", shape.y_shape, 2, 2, "valid", 1)
    y, winners = _core.conv_pool_forward(shape, pooling, x, w, None, "linear", 0.0, True)
    np.testing.assert_array_equal(y, pooling.max(_core.conv_forward(shape, x, w)))
    dy = uniform(rng, *y.shape)
    dx, dw = _core.conv_pool_backward(shape, pooling, x, w, winners, dy, True, True)
    np.testing.assert_allclose(np.vdot(dw, w), np.vdot(dy, y), rtol=1e-4)
    np.testing.assert_allclose(np.vdot(dx, x), np.vdot(dy, y), rtol=1e-4)


def columns(rng):
    x, w = uniform(rng, 2, 9, 10, 3), uniform(rng, 3, 3, 3, 40)
    shape = _core.ConvShape("conv2d", 2, x.shape, w.shape, 2, 1, 1)
    y = _core.conv_forward(shape, x, w)
    dy = uniform(rng, *y.shape)
    np.testing.assert_allclose(np.vdot(_core.conv_backward_data(shape, dy, w), x), np.vdot(dy, y), rtol=1e-4)


def lines(rng):
    for filters in range(1, 9):
        x, w = uniform(rng, 2, 9, 40, 3), uniform(rng, 3, 2, 3, filters)
        shape = _core.ConvShape("conv2d", 2, x.shape, w.shape, 1, "valid", 1)
        assert_close(_core.conv_forward(shape, x, w), correlate(x, w, (1, 1), [(0, 0), (0, 0)], (1, 1), 1), 18)


def images(rng):
    for filters in range(1, 9):
        x, w = uniform(rng, 21, 6, 7, filters), uniform(rng, 3, 2, filters, 4)
        shape = _core.ConvShape("conv2d", 2, x.shape, w.shape, 1, "valid", 1)
        y = _core.conv_forward(shape, x, w)
        dy = uniform(rng, *y.shape)
        np.testing.assert_allclose(np.vdot(_core.conv_backward_data(shape, dy, w), x), np.vdot(dy, y), rtol=1e-4)


def dropout(rng):
    x = uniform(rng, 3, 50)
    kept = reference.random_words(2, 0, 150).reshape(x.shape) >= 2**31
    np.testing.assert_array_equal(ops.dropout(x, 0.5, seed=2), 2 * x * kept)


def uniform_numbers(rng):
    expected = np.floor(reference.random_words(3, 64, 70) / 2**8) / 2**24
    np.testing.assert_array_equal(_core.philox_uniform(3, 64, 70), expected)


def maxout_forward(rng):
    x = uniform(rng, 3, 36)
    np.testing.assert_array_equal(ops.maxout(x, 2), x.reshape(3, 18, 2).max(-1))


def maxout_backward(rng):
    x, dy = uniform(rng, 3, 2, 36), uniform(rng, 3, 36)
    won = reference.maxout(x, 2, 1)[1]
    np.testing.assert_array_equal(_core.maxout_backward(x, dy), won * dy[:, None])


def sgd_update(rng):
    w, g = uniform(rng, 35), uniform(rng, 35)
    variable = Variable(w)
    ops.sgd_update([variable], [g], [], learning_rate=0.5)
    assert_close(variable.numpy(), w - 0.5 * g.astype(np.float64))


def adam_update(rng):
    w, g, m, v = uniform(rng, 35), uniform(rng, 35), uniform(rng, 35), np.abs(uniform(rng, 35))
    variable = Variable(w)
    expected = reference.adam_step(*[a.astype(np.float64) for a in (w, g, m, v)], 3, 0.1, 0.9, 0.99, 1e-7)
    ops.adam_update([variable], [g], [m], [v], 3, 0.1, 0.9, 0.99, 1e-7)
    np.testing.assert_allclose(variable.numpy(), expected[0], rtol=1e-4, atol=1e-5)


def peak_chains(rng):
    assert 0.01 < _core.measure_peak(0.01) < 1e6


def gradient(function, x, dy):
    x = Tensor(x)
    with GradientTape() as tape:
        tape.watch(x)
        y = function(x)
    return tape.gradient(y, x, output_gradients=dy).numpy()


def channel_sums(rng):
    x = uniform(rng, 50, 19)
    assert_close(_core.channel_sums(x), x.astype(float).sum(0), 50)


def batch_normalization(rng):
    x, dy = uniform(rng, 50, 19), uniform(rng, 50, 19)
    ones, zeros = np.ones(19, np.float32), np.zeros(19, np.float32)

    def normalize(v):
        return ops.fused_batch_norm(v, None, None, zeros, ones, training=True)[0]

    mean, variance = x.astype(float).mean(0), x.astype(float).var(0)
    arguments = (mean, variance, 1.0, 0.0, 1e-3, None)
    assert_close(normalize(x), reference.batch_norm(x, *arguments), 50)
    expected = reference.batch_norm_gradient(x.astype(float), dy, *arguments, True)[0]
    assert_close(gradient(normalize, x, dy), expected, 50)


def layer_normalization(rng):
    for columns in (19, 5000):  # whole rows, and rows in pieces
        x, dy, gamma = uniform(rng, 6, columns), uniform(rng, 6, columns), uniform(rng, columns)
        exact = reference.layer_norm(*(np.float64(v) for v in (x, dy, gamma, 0 * gamma)), 0.1)
        assert_close(ops.layer_normalization(x, gamma, epsilon=0.1), exact[0], 50)
        dx = gradient(lambda v, g=gamma: ops.layer_normalization(v, g, epsilon=0.1), x, dy)
        assert_close(dx, exact[1], 50)


def prelu(rng):
    x, dy, alpha = uniform(rng, 30, 19), uniform(rng, 30, 19), uniform(rng, 19)
    np.testing.assert_array_equal(ops.prelu(x, alpha), reference.prelu(x, alpha))
    np.testing.assert_array_equal(gradient(lambda v: ops.prelu(v, alpha), x, dy), np.where(x > 0, dy, alpha * dy))


def local_response(rng):
    x, dy = uniform(rng, 30, 19), uniform(rng, 30, 19)
    y = ops.local_response_normalization(x, 2, 1.0, 0.5)
    assert_close(y, reference.local_response(x.astype(float), 2, 1.0, 0.5, 0.75))
    dx = gradient(lambda v: ops.local_response_normalization(v, 30, 1.0, 0.5, 0.5), x, dy)
    base = 1 + 0.5 * np.sum(x.astype(float) ** 2, -1, keepdims=True)  # all channels are neighbours
    assert_close(dx, dy / base**0.5 - 0.5 * x * np.sum(dy * x / base**1.5, -1, keepdims=True), 19)


def max_pool(rng):
    for stride in (1, 2):  # a scatter for windows that overlap, rows for others
        x, dy = uniform(rng, 2, 5, 7, 19), uniform(rng, 2, 4 // stride, 6 // stride, 19)
        y, dx = reference.max_pool(x, dy, (2, 2), (stride,) * 2, [(0, 0)] * 2, (1, 1))
        np.testing.assert_array_equal(ops.max_pool2d(x, 2, stride), y)
        assert_close(gradient(lambda v, s=stride: ops.max_pool2d(v, 2, s), x, dy), dx, 4)


def average_pool(rng):
    for stride in (1, 2):  # overlapping windows are added up by rows first
        x, dy = uniform(rng, 2, 5, 7, 19), uniform(rng, 2, 4 // stride, 6 // stride, 19)
        y, dx = reference.average_pool(x, dy, False, (2, 2), (stride,) * 2, [(0, 0)] * 2, (1, 1))
        assert_close(ops.avg_pool2d(x, 2, stride), y)
        assert_close(gradient(lambda v, s=stride: ops.avg_pool2d(v, 2, s), x, dy), dx, 4)


def global_max_pool(rng):
    x = uniform(rng, 2, 30, 19)
    np.testing.assert_array_equal(ops.global_max_pool(x), x.max(1))


def windows_as_columns(rng):
    x = uniform(rng, 2, 6, 8, 19)
    c = ops.im2col(x, 3)
    np.testing.assert_array_equal(c, reference.columns_of_windows(x, (3, 3), (1, 1), [(0, 0)] * 2, (1, 1)))
    np.testing.assert_allclose(np.vdot(c, c), np.vdot(x, ops.col2im(c, x.shape, 3)), rtol=1e-4)


# kernel -> a function that runs an operation which needs this kernel and checks what comes out
CASES = {
    "conv_tile": convolution,
    "conv_weights_tile": convolution,
    "few_rows_forward": few_rows,
    "few_rows_backward_data": few_rows,
    "few_rows_backward_weights": few_rows,
    "pack_panel": convolution,
    "unpack_panels": convolution,
    "add_runs": columns,
    "line_tile": lines,
    "image_tile": images,
    "winograd_input": winograd,
    "winograd_output_gradient": winograd,
    "winograd_output": winograd,
    "winograd_products": lambda rng: winograd(rng, 3, 15),
    "winograd_pooled_input": pooled_winograd,
    "winograd_pooled_output_gradient": pooled_winograd,
    "winograd_pooled_output": pooled_winograd,
    "winograd_weights": winograd,
    "winograd_weights_gradient": winograd,
    "conv_pool_tile": convolution_and_pooling,
    "line_pool_tile": convolution_and_pooling,
    "pooled_weights_row": convolution_and_pooling,
    "grouped_row": grouped_convolution,
    "grouped_weights": grouped_convolution,
    "activation_forward": activation_forward,
    "activation_backward": activation_backward,
    "activation_gradient_sums": activation_gradient_sums,
    "clip": clip,
    "clip_gradient": clip_gradient,
    "add": add,
    "multiply": multiply,
    "softmax_forward": softmax_forward,
    "softmax_backward": softmax_backward,
    "log_softmax_forward": log_softmax_forward,
    "log_softmax_backward": log_softmax_backward,
    "cross_entropy_forward": cross_entropy_forward,
    "cross_entropy_backward": cross_entropy_backward,
    "sparse_cross_entropy_forward": sparse_cross_entropy_forward,
    "sparse_cross_entropy_backward": sparse_cross_entropy_backward,
    "column_sums": channel_sums,
    "column_moments": batch_normalization,
    "normalize": batch_normalization,
    "normalize_gradient": batch_normalization,
    "normalize_gradient_sums": batch_normalization,
    "normalize_whole_rows": layer_normalization,
    "whole_row_gradients": layer_normalization,
    "row_moments": layer_normalization,
    "normalize_rows": layer_normalization,
    "row_gradient_sums": layer_normalization,
    "row_gradient": layer_normalization,
    "prelu_forward": prelu,
    "prelu_backward": prelu,
    "local_response_forward": local_response,
    "local_response_backward": local_response,
    "max_pool_row": max_pool,
    "max_pool_gradient_row": max_pool,
    "max_pool_scatter_row": max_pool,
    "add_pool_rows": average_pool,
    "average_pool_row": average_pool,
    "add_scaled": average_pool,
    "average_pool_gradient_row": average_pool,
    "column_maxima": global_max_pool,
    "im2col_row": windows_as_columns,
    "col2im_row": windows_as_columns,
    "dropout": dropout,
    "maxout_forward": maxout_forward,
    "maxout_backward": maxout_backward,
    "sgd_update": sgd_update,
    "adam_update": adam_update,
    "uniform": uniform_numbers,
    "peak_chains": peak_chains,
}


def test_list_and_tests_agree():
    names = _core.kernel_names()
    assert sorted(CASES) == sorted(names)
    assert len(set(names)) == len(names)


@pytest.mark.parametrize("kernel", CASES)
def test_kernel(kernel, isa, rng):
    _core.count_kernel_calls()
    try:
        CASES[kernel](rng)
        calls = dict(zip(_core.kernel_names(), _core.kernel_calls(), strict=True))
    finally:
        _core.select_isa(isa)
    assert calls[kernel] > 0
