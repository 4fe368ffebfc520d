"""Batch normalisation against the definition and its chain rule, on every instruction set and thread count."""

import numpy as np
import pytest

from cnnfast import ops
from cnnfast.autograd import GradientTape, Tensor
from cnnfast.gradcheck import gradcheck
from reference import assert_close, batch_norm, batch_norm_gradient

CHANNELS = [1, 3, 7, 8, 9, 15, 16, 17, 31, 33, 64, 100, 513]


def parameters(rng, channels):
    """gamma, beta, moving mean, moving variance."""
    gamma, beta, mean = rng.standard_normal((3, channels)).astype(np.float32)
    return gamma, beta, mean, rng.uniform(0.2, 2, channels).astype(np.float32)


def run(x, values, dy, residual=None, **arguments):
    """Outputs and the gradients of x, of the four parameters and of a residual."""
    inputs = [Tensor(x), *(None if v is None else Tensor(v) for v in values)]
    added = None if residual is None else Tensor(residual)
    sources = [v for v in (*inputs, added) if v is not None]
    with GradientTape() as tape:
        tape.watch(sources)
        y = ops.fused_batch_norm(*inputs, residual=added, **arguments)
    outputs = y if isinstance(y, tuple) else (y,)
    gradients = tape.gradient(outputs[0], sources, output_gradients=dy)
    return [np.asarray(v) for v in outputs], [None if g is None else g.numpy() for g in gradients]


def away_from_corners(y, exact, dy):
    """dy without the places where float32 and float64 fall on different sides of an activation's corner."""
    same_side = ((y > 0) == (exact > 0)) & ((y < 6) == (exact < 6))
    return np.where(same_side, dy, 0).astype(np.float32)


@pytest.mark.parametrize("channels", CHANNELS)
@pytest.mark.parametrize("activation", [None, "relu", "relu6"])
def test_training(isa, threads, rng, channels, activation):
    for shape in ((1000 // channels + 2, 3, 5, channels), (2, channels)):
        x = (rng.standard_normal(shape) * 3 + rng.standard_normal(channels) * 5).astype(np.float32)
        values = parameters(rng, channels)
        dy = rng.standard_normal(shape).astype(np.float32)
        (y, mean, variance), gradients = run(x, values, dy, training=True, epsilon=0.1, activation=activation)
        exact = x.astype(float)
        axes = tuple(range(x.ndim - 1))
        statistics = exact.mean(axes), exact.var(axes)
        n = x.size // channels
        assert_close(mean, statistics[0], n)
        assert_close(variance, statistics[1], n)
        arguments = (*statistics, *values[:2], 0.1, activation)
        assert_close(y, batch_norm(exact, *arguments), scale=20)
        if activation is not None:
            dy = away_from_corners(y, batch_norm(exact, *arguments), dy)
            gradients = run(x, values, dy, training=True, epsilon=0.1, activation=activation)[1]
        expected = batch_norm_gradient(exact, dy, *arguments, True)[:3]
        for actual, value in zip(gradients, expected, strict=False):
            assert_close(actual, value, n, scale=20)
        assert gradients[3] is gradients[4] is None


@pytest.mark.parametrize("channels", CHANNELS)
@pytest.mark.parametrize("activation", [None, "relu", "relu6"])
def test_inference(isa, threads, rng, channels, activation):
    x = rng.standard_normal((4, 9, channels)).astype(np.float32)
    values = parameters(rng, channels)
    dy = rng.standard_normal(x.shape).astype(np.float32)
    (y,), gradients = run(x, values, dy, activation=activation)
    gamma, beta, mean, variance = (v.astype(float) for v in values)
    arguments = (mean, variance, gamma, beta, 1e-3, activation)
    assert_close(y, batch_norm(x, *arguments), scale=20)
    for actual, value in zip(gradients, batch_norm_gradient(x, dy, *arguments, False)[:3], strict=False):
        assert_close(actual, value, 36, scale=20)


def test_gradients_of_every_input_in_both_modes():
    rng = np.random.default_rng(3)
    x, values = rng.standard_normal((3, 4, 2, 5)), parameters(rng, 5)
    weights = rng.standard_normal(x.shape).astype(np.float32)
    for activation in (None, "relu", "relu6"):

        def inference(*inputs, activation=activation):
            return ops.fused_batch_norm(*inputs, activation=activation, epsilon=0.01)

        def training(v, gamma, beta, activation=activation):
            y = ops.fused_batch_norm(v, gamma, beta, *values[2:], training=True, activation=activation)[0]
            return y * weights

        def with_residual(v, gamma, beta, residual, activation=activation):
            y = ops.fused_batch_norm(
                v, gamma, beta, *values[2:], training=True, activation=activation, residual=residual
            )[0]
            return y * weights

        assert gradcheck(inference, [x, *values], eps=1e-3)
        assert gradcheck(training, [x, *values[:2]], eps=1e-3)
        assert gradcheck(with_residual, [x, *values[:2], rng.standard_normal(x.shape)], eps=1e-3)


@pytest.mark.parametrize("channels", CHANNELS)
@pytest.mark.parametrize("activation", [None, "linear", "relu", "relu6"])
@pytest.mark.parametrize("training", [False, True])
def test_residual_is_added_before_the_activation(isa, threads, rng, channels, activation, training):
    x, residual, dy = rng.standard_normal((3, 1000 // channels + 2, 2, channels)).astype(np.float32)
    residual = residual * 4
    values = parameters(rng, channels)
    gamma, beta, mean, variance = (v.astype(float) for v in values)
    if training:
        mean, variance = x.mean((0, 1), dtype=float), x.var((0, 1), dtype=float)
    arguments = (mean, variance, gamma, beta, 0.1, None if activation == "linear" else activation)
    exact = batch_norm(x, *arguments, residual)
    given = {"residual": residual, "training": training, "epsilon": 0.1, "activation": activation}
    y = run(x, values, dy, **given)[0][0]
    assert_close(y, exact, scale=20)
    dy = away_from_corners(y, exact, dy)
    gradients = run(x, values, dy, **given)[1]
    n = x.size // channels
    expected = batch_norm_gradient(x, dy, *arguments, training, residual)
    for actual, value in zip(gradients, expected[:3], strict=False):
        assert_close(actual, value, n, scale=20)
    np.testing.assert_array_equal(gradients[5], expected[3].astype(np.float32))


@pytest.mark.parametrize("activation", [None, "relu6"])
def test_a_constant_residual_changes_no_other_gradient(rng, activation):
    x, residual, dy = rng.standard_normal((3, 40, 5)).astype(np.float32)
    values = parameters(rng, 5)
    gradients = run(x, values, dy, residual, training=True, activation=activation)[1]
    tensor = Tensor(x)
    with GradientTape() as tape:
        tape.watch(tensor)
        y = ops.fused_batch_norm(tensor, *values, residual=residual, training=True, activation=activation)[0]
    np.testing.assert_array_equal(tape.gradient(y, tensor, output_gradients=dy), gradients[0])


def test_without_scale_or_shift(isa, rng):
    x = rng.standard_normal((6, 5, 7)).astype(np.float32)
    gamma, beta, mean, variance = parameters(rng, 7)
    ones, zeros = np.ones(7, np.float32), np.zeros(7, np.float32)
    dy = rng.standard_normal(x.shape).astype(np.float32)
    for training in (False, True):
        for given, whole in (
            ((None, beta), (ones, beta)),
            ((gamma, None), (gamma, zeros)),
            ((None, None), (ones, zeros)),
        ):
            y, gradients = run(x, (*given, mean, variance), dy, training=training)
            expected_y, expected = run(x, (*whole, mean, variance), dy, training=training)
            np.testing.assert_array_equal(y[0], expected_y[0])
            np.testing.assert_array_equal(gradients[0], expected[0])


def test_the_output_is_normal_and_training_sees_no_moving_statistics(rng):
    x = (rng.standard_normal((64, 8, 8, 3)) * [1, 10, 100] + [0, -50, 1000]).astype(np.float32)
    y, mean, variance = ops.fused_batch_norm(x, None, None, [9.0] * 3, [9.0] * 3, training=True, epsilon=1e-5)
    np.testing.assert_allclose(y.mean((0, 1, 2), dtype=float), 0, atol=1e-5)
    np.testing.assert_allclose(y.var((0, 1, 2), dtype=float), 1, rtol=1e-4)
    inference = ops.fused_batch_norm(x, None, None, mean, variance, epsilon=1e-5)
    np.testing.assert_array_equal(inference, y)


def test_a_large_mean_does_not_drown_the_variance(isa, rng):
    x = (rng.standard_normal((200_000, 2)) + 10_000).astype(np.float32)
    _, mean, variance = ops.fused_batch_norm(x, None, None, [0.0] * 2, [1.0] * 2, training=True)
    np.testing.assert_allclose(mean, x.mean(0, dtype=float), rtol=1e-7)
    np.testing.assert_allclose(variance, x.var(0, dtype=float), rtol=1e-5)


@pytest.mark.parametrize("channels", [1, 3, 17, 64])
def test_same_bits_for_all_threads(isa, rng, same_bits_for_all_threads, channels):
    x = rng.standard_normal((200_000 // channels, channels)).astype(np.float32)
    values, dy = parameters(rng, channels), rng.standard_normal(x.shape).astype(np.float32)

    def compute():
        outputs, gradients = run(x, values, dy, training=True, activation="relu")
        fused, fused_gradients = run(x, values, dy, x[::-1].copy(), training=True, activation="relu6")
        return [*outputs, *gradients[:3], *fused, *fused_gradients[:3], fused_gradients[5]]

    same_bits_for_all_threads(compute)


def test_not_a_number_spoils_its_channel_only(isa):
    x = np.arange(24, dtype=np.float32).reshape(8, 3)
    x[2, 1] = np.nan
    y, mean, _ = ops.fused_batch_norm(x, None, None, [0.0] * 3, [1.0] * 3, training=True, activation="relu")
    assert np.isnan(y[:, 1]).all()
    assert np.isfinite(y[:, ::2]).all()
    np.testing.assert_array_equal(np.isnan(mean), [False, True, False])


def test_no_rows_leave_the_statistics_alone():
    x, values = np.zeros((0, 4, 3), np.float32), parameters(np.random.default_rng(0), 3)
    (y, mean, variance), gradients = run(x, values, x, training=True)
    assert y.shape == gradients[0].shape == x.shape
    np.testing.assert_array_equal(mean, values[2])
    np.testing.assert_array_equal(variance, values[3])
    np.testing.assert_array_equal(gradients[1], np.zeros(3))


def test_errors():
    x, ones = np.zeros((4, 3)), np.ones(3)
    call = ops.fused_batch_norm
    with pytest.raises(ValueError, match=r"batch_normalization: gamma expects shape \(3,\).*got \(4,\)"):
        call(x, np.ones(4), ones, ones, ones)
    with pytest.raises(ValueError, match=r"moving_variance expects shape \(3,\), got \(2,\)"):
        call(x, ones, ones, ones, np.ones(2), training=True)
    with pytest.raises(ValueError, match="epsilon must be finite and at least 0"):
        call(x, ones, ones, ones, ones, epsilon=-1.0)
    with pytest.raises(ValueError, match="activation expects None, 'linear', 'relu' or 'relu6', got 'tanh'"):
        call(x, ones, ones, ones, ones, activation="tanh")
    with pytest.raises(ValueError, match=r"residual and x must have the same shape, got \(4, 1\) and \(4, 3\)"):
        call(x, ones, ones, ones, ones, residual=np.ones((4, 1)))
    with pytest.raises(ValueError, match="at least one axis"):
        call(1.0, None, None, ones, ones)
    with pytest.raises(ValueError, match="no channels"):
        call(np.zeros((4, 0)), None, None, np.zeros(0), np.zeros(0), training=True)
    with pytest.raises(TypeError, match="beta must be an array of real numbers"):
        call(x, ones, ["a"] * 3, ones, ones)
