"""Convolutions by minimal filtering that pool their tiles, against the convolution and the pooling one by one."""

import numpy as np
import pytest

from cnnfast import _core

# algorithm, window, strides, pooling's window
KINDS = [
    ("winograd_f4x3", (3, 3), 1, (2, 2)),
    ("winograd_f2x3", (3, 3), 1, (2, 2)),
    ("winograd_f4x2", (2, 2), 1, (2, 2)),
    ("winograd_f2x5", (5, 5), 1, (2, 2)),
    ("winograd_f4x3", (3,), 1, (2,)),
    ("winograd_f2x5", (5,), 1, (2,)),
    ("winograd_f4x3", (1, 3), 1, (1, 2)),
    ("winograd_f4x2", (3, 3), 2, (2, 2)),
    ("winograd_f4x3", (3, 3, 3), 1, (1, 2, 2)),
]


class Layers:
    """A convolution, and a max pooling whose windows keep apart."""

    def __init__(self, rng, kind, c, k, groups=1, padding=None):
        algorithm, window, strides, pool = kind
        rank = len(window)
        reach = np.array(window)
        sizes = reach + rng.integers(strides + 1, 16 if rank < 3 else 8, rank)
        padding = ["valid", "same", 1][rng.integers(3)] if padding is None else padding
        if 1 in window and padding == 1:
            padding = "same"
        self.x = rng.standard_normal((int(rng.integers(1, 4)), *map(int, sizes), groups * c)).astype(np.float32)
        self.w = rng.standard_normal((*window, c, groups * k)).astype(np.float32)
        self.b = rng.standard_normal(groups * k).astype(np.float32)
        self.shape = _core.ConvShape(
            "conv", rank, self.x.shape, self.w.shape, strides, padding, 1, groups, False, algorithm
        )
        pool_padding = ["valid", "same"][rng.integers(2)]
        self.pooling = _core.Pooling("max_pool", self.shape.y_shape, pool, pool, pool_padding, 1)
        self.dy = rng.standard_normal(self.pooling.output_shape).astype(np.float32)

    def forward(self, activation="linear", alpha=0.0):
        return _core.conv_pool_forward(self.shape, self.pooling, self.x, self.w, self.b, activation, alpha, True)

    def forward_one_by_one(self, activation="linear", alpha=0.0):
        return self.pooling.max_with_winners(_core.conv_forward(self.shape, self.x, self.w, self.b, activation, alpha))

    def backward(self, winners, to_x=True, to_kernel=True):
        return _core.conv_pool_backward(self.shape, self.pooling, self.x, self.w, winners, self.dy, to_x, to_kernel)

    def backward_one_by_one(self, winners):
        dy = self.pooling.max_backward(winners, self.dy)
        return _core.conv_backward_data(self.shape, dy, self.w), _core.conv_backward_weights(self.shape, self.x, dy)


def assert_same_bits(actual, expected):
    for one, other in zip(actual, expected, strict=True):
        assert one.dtype == other.dtype
        np.testing.assert_array_equal(one, other)
        if one.dtype == np.float32:
            nan = np.isnan(other)
            np.testing.assert_array_equal(one.view(np.uint32)[~nan], other.view(np.uint32)[~nan])


@pytest.fixture
def kernel_calls():
    """Tells which kernels a function calls."""
    before = _core.isa()

    def calls(function):
        _core.count_kernel_calls()
        function()
        return {name for name, count in zip(_core.kernel_names(), _core.kernel_calls(), strict=True) if count}

    yield calls
    _core.select_isa(before)


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_lies_between(rng, kernel_calls, kind):
    layers = Layers(rng, kind, 32, 48, padding="valid")
    _, winners = layers.forward()
    forward = kernel_calls(layers.forward)
    assert "winograd_pooled_output" in forward
    assert not forward & {"winograd_output", "max_pool_row"}
    to_kernel = kernel_calls(lambda: layers.backward(winners, False, True))
    assert "winograd_pooled_output_gradient" in to_kernel
    assert not to_kernel & {"winograd_output_gradient", "max_pool_gradient_row"}
    both = kernel_calls(lambda: layers.backward(winners))
    assert ("winograd_pooled_input" in both) == (kind[2] == 1)  # else dx is made of several phases
    assert ("max_pool_gradient_row" in both) == (kind[2] != 1)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("groups", "c", "k"), [(1, 3, 16), (1, 33, 70), (1, 64, 17), (5, 12, 20), (1, 150, 96)])
def test_the_same_bits_as_one_by_one(isa, threads, kind, groups, c, k):
    rng = np.random.default_rng([groups, c, k, threads, len(kind[1]), *kind[0].encode()])
    for activation in ("linear", "relu", "leaky_relu"):
        layers = Layers(rng, kind, c, k, groups)
        assert _core.conv_pool_joined(layers.shape, layers.pooling)
        y, winners = layers.forward(activation, 0.25)
        assert_same_bits((y, winners), layers.forward_one_by_one(activation, 0.25))
        expected = layers.backward_one_by_one(winners)
        assert_same_bits(layers.backward(winners), expected)
        assert_same_bits(layers.backward(winners, True, False)[:1], expected[:1])
        assert_same_bits(layers.backward(winners, False, True)[1:], expected[1:])


@pytest.mark.parametrize("padding", [((1, 1), (0, 0)), ((0, 3), (2, 1)), ((5, 4), (3, 3))])
def test_borders_that_begin_tiles_anywhere_in_windows(isa, rng, padding):
    layers = Layers(rng, KINDS[0], 20, 36, padding=padding)
    y, winners = layers.forward()
    assert_same_bits((y, winners), layers.forward_one_by_one())
    assert_same_bits(layers.backward(winners), layers.backward_one_by_one(winners))


@pytest.mark.parametrize("activation", ["linear", "relu", "relu6", "leaky_relu", "sigmoid", "tanh"])
def test_ties_and_what_is_no_number(isa, rng, activation):
    for kind in KINDS:
        layers = Layers(rng, kind, 8, 24, padding="same")
        layers.x[:] = rng.integers(-1, 2, layers.x.shape)
        layers.w[:] = rng.integers(-1, 2, layers.w.shape)
        layers.b[:3] = np.nan, -np.inf, np.inf
        layers.x.reshape(-1)[rng.integers(0, layers.x.size, 3)] = np.nan, np.inf, -np.inf
        layers.dy.reshape(-1)[rng.integers(0, layers.dy.size, 3)] = np.nan, np.inf, -np.inf
        y, winners = layers.forward(activation, 0.25)
        assert_same_bits((y, winners), layers.forward_one_by_one(activation, 0.25))
        assert_same_bits(layers.backward(winners), layers.backward_one_by_one(winners))


@pytest.mark.parametrize(
    ("pool", "strides", "padding"),
    [(3, 2, "valid"), (2, 1, "valid"), (3, 3, "same"), (2, 2, ((1, 0), (0, 0))), ((1, 2), (1, 2), "valid"), (2, 3, 0)],
)
def test_windows_that_do_not_fit_tiles_are_pooled_apart(rng, pool, strides, padding):
    layers = Layers(rng, KINDS[0], 32, 32)
    pooling = _core.Pooling("max_pool", layers.shape.y_shape, pool, strides, padding, 1)
    assert not _core.conv_pool_joined(layers.shape, pooling)


def test_dilated_convolutions_are_pooled_apart(rng):
    shape = _core.ConvShape("conv", 2, (2, 16, 16, 32), (3, 3, 32, 32), 1, "same", 2, 1, False, "winograd")
    assert not _core.conv_pool_joined(shape, _core.Pooling("max_pool", shape.y_shape, 2, 2, "valid", 1))


def test_without_winners_weights_are_rather_kept_ready(rng):
    layers = Layers(rng, KINDS[0], 32, 32)
    made = _core.conv_pool_forward(layers.shape, layers.pooling, layers.x, layers.w, layers.b, "relu", 0.0, False)
    assert made is None
