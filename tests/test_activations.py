"""Activations against their float64 definitions: accuracy over the whole range, special values, gradients."""

import numpy as np
import pytest

import reference
from cnnfast import _core, ops
from cnnfast.autograd import GradientTape, Tensor
from reference import ACTIVATIONS

SIZES = [1, 3, 7, 8, 9, 15, 16, 17, 31, 33, 64]

# How many units in the last place each may be off, anywhere.
ULPS = {
    "linear": 0,
    "relu": 0,
    "relu6": 0,
    "leaky_relu": 1,
    "sigmoid": 3,
    "tanh": 3,
    "elu": 2,
    "selu": 3,
    "softplus": 3,
    "gelu": 5,
}
ULPS["silu"] = 3

SMALLEST_NORMAL = float(np.finfo(np.float32).tiny)


def dense_samples():
    """All sizes from the smallest normal number up, and a fine grid where the functions bend."""
    sizes = np.geomspace(SMALLEST_NORMAL, 1e30, 40001)
    return np.concatenate([np.linspace(-20, 20, 100001), np.linspace(-110, 110, 100001), sizes, -sizes, [0.0]]).astype(
        np.float32
    )


def ulps(actual, expected):
    """The error in units in the last place of `expected`; near the end of the range, a step may have met its end."""
    error = np.abs(actual.astype(np.float64) - expected) / np.spacing(np.abs(expected).astype(np.float32))
    flushed = np.abs(expected) < 200 * SMALLEST_NORMAL
    assert np.all(np.abs(actual[flushed]) <= 200 * SMALLEST_NORMAL)
    error[flushed] = 0
    return error


def apply_with_gradient(function, x, dy):
    x = Tensor(x)
    with GradientTape() as tape:
        tape.watch(x)
        y = function(x)
    return y.numpy(), np.asarray(tape.gradient(y, x, dy))


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_is_accurate_over_the_whole_range(name, isa):
    x = dense_samples()
    error = ulps(ops.activation(x, name), ACTIVATIONS[name](x.astype(np.float64)))
    worst = np.argmax(error)
    assert error[worst] <= ULPS[name], (x[worst], error[worst])


def test_gelu_tanh_is_as_accurate_as_its_argument(isa):
    x = np.linspace(-20, 20, 100001).astype(np.float32)
    expected = reference.gelu_tanh(x.astype(np.float64))
    np.testing.assert_allclose(ops.gelu(x, approximate=True), expected, rtol=2e-5, atol=1e-30)
    np.testing.assert_allclose(ops.gelu(x, approximate=True), ops.gelu(x, approximate=False), rtol=0, atol=5e-4)


LIMITS = {  # at -inf, at +inf
    "linear": (-np.inf, np.inf),
    "relu": (0, np.inf),
    "relu6": (0, 6),
    "leaky_relu": (-np.inf, np.inf),
    "sigmoid": (0, 1),
    "tanh": (-1, 1),
    "elu": (-1, np.inf),
    "selu": (-1.7580993, np.inf),
    "softplus": (0, np.inf),
    "gelu": (0, np.inf),
    "silu": (0, np.inf),
}
GRADIENT_LIMITS = {
    "linear": (1, 1),
    "relu": (0, 1),
    "relu6": (0, 0),
    "leaky_relu": (0.2, 1),
    "sigmoid": (0, 0),
    "tanh": (0, 0),
    "elu": (0, 1),
    "selu": (0, 1.050701),
    "softplus": (0, 1),
    "gelu": (0, 1),
    "silu": (0, 1),
}


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_special_values(name, isa):
    x = np.array([np.nan, -np.inf, np.inf, -1e30, 1e30], np.float32)
    y, gradient = apply_with_gradient(lambda v: ops.activation(v, name), x, np.ones(5, np.float32))
    assert np.isnan(y[0])
    np.testing.assert_allclose(y[1:3], np.array(LIMITS[name], np.float32), rtol=1e-6)
    np.testing.assert_allclose(gradient[1:3], GRADIENT_LIMITS[name], rtol=1e-6)
    np.testing.assert_allclose(gradient[3:5], GRADIENT_LIMITS[name], rtol=1e-6)


def test_gelu_tanh_at_special_values(isa):
    x = np.array([np.nan, -np.inf, np.inf], np.float32)
    y, gradient = apply_with_gradient(lambda v: ops.gelu(v, approximate=True), x, np.ones(3, np.float32))
    np.testing.assert_array_equal(y, [np.nan, 0, np.inf])
    np.testing.assert_array_equal(gradient, [np.nan, 0, 1])


@pytest.mark.parametrize("name", ["linear", "leaky_relu", "tanh", "elu", "gelu", "silu"])
def test_negative_zero_keeps_its_sign(name, isa):
    assert np.signbit(ops.activation(np.float32([-0.0]), name))[0]


def test_relu_gives_positive_zero_and_no_gradient_at_zero(isa):
    y, gradient = apply_with_gradient(ops.relu, np.float32([-0.0, 0.0, -1.0]), np.float32([1, 1, np.inf]))
    assert not np.signbit(y).any()
    np.testing.assert_array_equal(gradient, [0, 0, 0])


def test_relu6_has_no_gradient_at_its_corners(isa):
    x = np.float32([-0.0, 0.0, 1.0, 6.0, np.nextafter(np.float32(6), np.float32(0)), 7.0])
    y, gradient = apply_with_gradient(ops.relu6, x, np.full(6, 2, np.float32))
    assert not np.signbit(y).any()
    np.testing.assert_array_equal(y, np.float32([0, 0, 1, 6, x[4], 6]))
    np.testing.assert_array_equal(gradient, [0, 0, 2, 0, 2, 0])


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("name", [*ACTIVATIONS, "gelu_tanh"])
def test_gradient_is_the_derivative(name, size, isa, rng):
    definition = {**ACTIVATIONS, "gelu_tanh": reference.gelu_tanh}[name]
    function = (lambda v: ops.gelu(v, approximate=True)) if name == "gelu_tanh" else (lambda v: ops.activation(v, name))
    x = rng.normal(0, 3, (2, size)).astype(np.float32)
    x[np.abs(x) < 1e-3] = 0.5  # away from the corners, where differences across them mean nothing
    x[np.abs(x - 6) < 1e-3] = 0.5
    dy = rng.normal(size=x.shape).astype(np.float32)
    y, gradient = apply_with_gradient(function, x, dy)
    reference.assert_close(y, definition(x.astype(np.float64)))
    expected = reference.numerical_gradient(definition, x.astype(np.float64), dy.astype(np.float64))
    np.testing.assert_allclose(gradient, expected, rtol=1e-5, atol=2e-6)


@pytest.mark.parametrize("name", ["relu", "relu6", "sigmoid", "gelu"])
def test_large_arrays_have_the_same_bits_for_all_threads(name, isa, rng, same_bits_for_all_threads):
    x = rng.normal(size=(3, 100003)).astype(np.float32)
    dy = rng.normal(size=x.shape).astype(np.float32)
    y, gradient = same_bits_for_all_threads(lambda: apply_with_gradient(lambda v: ops.activation(v, name), x, dy))
    reference.assert_close(y, ACTIVATIONS[name](x.astype(np.float64)))
    expected = reference.numerical_gradient(ACTIVATIONS[name], x.astype(np.float64), dy.astype(np.float64))
    far = np.abs(x) > 1e-5
    np.testing.assert_allclose(gradient[far], expected[far], rtol=1e-5, atol=2e-6)


@pytest.mark.parametrize("channels", [1, 3, 6, 8, 15, 16, 17, 33, 64, 100])
@pytest.mark.parametrize("kind", ["linear", "relu", "relu6", "leaky_relu", "sigmoid", "tanh"])
def test_gradient_and_its_sums_in_one_pass(kind, channels, isa, rng, same_bits_for_all_threads):
    for rows in (0, 1, 5, 60000 // channels):
        y, dy = (rng.normal(0, 3, (2, rows, channels))).astype(np.float32)
        dz, sums = same_bits_for_all_threads(
            lambda y=y, dy=dy: _core.activation_backward_sums(kind, y, dy, 0.2)  # a tuple of two arrays
        )
        np.testing.assert_array_equal(dz, _core.activation_backward(kind, y, dy, 0.2))
        np.testing.assert_array_equal(sums, _core.channel_sums(dz))


@pytest.mark.parametrize("slope", [0.0, 0.01, 1.0, 3.0])
def test_leaky_relu_slopes(slope, isa):
    x = np.float32([-np.inf, -2, 0, 2])
    y, gradient = apply_with_gradient(lambda v: ops.leaky_relu(v, negative_slope=slope), x, np.ones(4, np.float32))
    np.testing.assert_array_equal(y, np.float32([-np.inf if slope else 0, -2 * slope, 0, 2]))
    np.testing.assert_array_equal(gradient, np.float32([slope, slope, slope, 1]))


@pytest.mark.parametrize("alpha", [0.0, 0.5, 2.0])
def test_elu_scales(alpha, isa):
    x = np.float32([-np.inf, -2, -0.5, 0, 2])
    y, gradient = apply_with_gradient(lambda v: ops.elu(v, alpha=alpha), x, np.ones(5, np.float32))
    reference.assert_close(y, reference.elu(x.astype(np.float64), alpha))
    np.testing.assert_allclose(gradient, [0, alpha * np.exp(-2), alpha * np.exp(-0.5), alpha, 1], atol=2e-7)


@pytest.mark.parametrize("value", [-0.1, np.nan, np.inf])
def test_refuses_scales_that_have_no_gradient(value):
    with pytest.raises(ValueError, match="leaky_relu: negative_slope expects a finite number >= 0, got"):
        ops.leaky_relu([1.0], negative_slope=value)
    with pytest.raises(ValueError, match="elu: alpha expects a finite number >= 0, got"):
        ops.elu([1.0], alpha=value)


def test_unknown_activation_names_the_known_ones():
    with pytest.raises(ValueError, match="unknown activation 'reul'; known: linear, relu"):
        ops.activation([1.0], "reul")


def test_names_and_functions_agree(rng):
    x = rng.normal(size=(4, 5)).astype(np.float32)
    for name in ACTIVATIONS:
        options = {"approximate": False} if name == "gelu" else {}  # by name it is exact, as in Keras
        np.testing.assert_array_equal(ops.activation(x, name), getattr(ops, name)(x, **options))
    np.testing.assert_array_equal(ops.activation(x, None), x)
    np.testing.assert_array_equal(ops.activation(x, "swish"), ops.silu(x))


@pytest.mark.parametrize("shape", [(), (0,), (0, 3), (2, 3, 4, 5)])
def test_keeps_shapes(shape):
    assert ops.sigmoid(np.zeros(shape)).shape == shape


def test_takes_any_layout_and_leaves_the_input_alone(rng):
    x = rng.normal(size=(6, 8)).astype(np.float32)
    before = x.copy()
    expected = ops.tanh(x)
    np.testing.assert_array_equal(ops.tanh(x.astype(np.float64)), expected)
    np.testing.assert_array_equal(ops.tanh(x[::-1, ::2]), expected[::-1, ::2])
    np.testing.assert_array_equal(ops.tanh(x.T), expected.T)
    np.testing.assert_array_equal(x, before)


def test_gradient_arrives_through_non_contiguous_upstream_gradients(rng):
    x = rng.normal(size=(4, 6)).astype(np.float32)
    dy = rng.normal(size=(6, 4)).astype(np.float32)
    _, gradient = apply_with_gradient(ops.sigmoid, x, dy.T)
    s = reference.sigmoid(x.astype(np.float64))
    reference.assert_close(gradient, dy.T * s * (1 - s))


@pytest.mark.parametrize("size", [*SIZES, 200003])
def test_add_and_multiply(size, isa, threads, rng):
    a, b = rng.normal(size=(2, size)).astype(np.float32)
    np.testing.assert_array_equal(_core.add(a, b), a + b)
    np.testing.assert_array_equal(_core.multiply(a, b), a * b)


def test_add_and_multiply_refuse_other_shapes():
    a, b = np.zeros((2, 3), np.float32), np.zeros((3, 2), np.float32)
    for function in (_core.add, _core.multiply):
        with pytest.raises(ValueError, match=r"must have the same shape, got \(2, 3\) and \(3, 2\)"):
            function(a, b)


@pytest.mark.parametrize("axis", [0, 1, 2, -1])
def test_concatenate_and_split(axis, isa, threads, rng):
    sizes = [1, 5, 0, 3]
    arrays = []
    for size in sizes:
        shape = [40, 30, 50]
        shape[axis] = size
        arrays.append(rng.normal(size=shape).astype(np.float32))
    whole = _core.concatenate(arrays, axis)
    np.testing.assert_array_equal(whole, np.concatenate(arrays, axis))
    for piece, array in zip(_core.split(whole, sizes, axis), arrays, strict=True):
        np.testing.assert_array_equal(piece, array)


def test_concatenate_and_split_refuse_what_does_not_fit():
    a, b = np.zeros((2, 3), np.float32), np.zeros((4, 5), np.float32)
    with pytest.raises(ValueError, match=r"concatenate: .* got \(2, 3\) and \(4, 5\)"):
        _core.concatenate([a, b], 0)
    with pytest.raises(ValueError, match=r"got \(2, 3\) and \(3,\)"):
        _core.concatenate([a, a[0]], 0)
    with pytest.raises(ValueError, match="axis expects a value from -2 to 1"):
        _core.concatenate([a], 2)
    with pytest.raises(ValueError, match="at least one array"):
        _core.concatenate([], 0)
    with pytest.raises(ValueError, match=r"split: sizes must add up to 3 along axis 1, got \(1, 1\)"):
        _core.split(a, [1, 1], 1)
    with pytest.raises(ValueError, match="negative dimension"):
        _core.split(a, [4, -1], 1)
