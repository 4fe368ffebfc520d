"""Minimal filtering against the definition: every transform, pass, instruction set and thread count."""

import numpy as np
import pytest

from cnnfast import _core, ops, set_precision
from reference import correlate

# name, window, allowed relative L2 error of one pass against float64 for sums of up to a few thousand products
TRANSFORMS = [
    ("winograd_f4x3", (3, 3), 6e-6),
    ("winograd_f2x3", (3, 3), 2e-6),
    ("winograd_f2x5", (5, 5), 8e-6),
    ("winograd_f4x3", (3,), 4e-6),
    ("winograd_f2x3", (3,), 2e-6),
    ("winograd_f2x5", (5,), 4e-6),
    ("winograd_f4x3", (1, 3), 4e-6),
    ("im2col", (3, 4), 1e-6),
    ("direct", (3, 3), 1e-6),
]
CHANNELS = [1, 3, 8, 17, 33, 64, 70]


def relative_error(actual, expected):
    return np.linalg.norm(actual - expected) / np.linalg.norm(expected)


class Layer:
    def __init__(self, rng, window, c, k, algorithm):
        rank = len(window)
        pads = [(int(a), int(b)) for a, b in rng.integers(0, 4, (rank, 2)) * (np.array(window) > 1)[:, None]]
        sizes = [size + int(rng.integers(0, 14)) for size in window]
        self.pads = pads
        self.x = rng.standard_normal((int(rng.integers(1, 4)), *sizes, c)).astype(np.float32)
        self.w = rng.standard_normal((*window, c, k)).astype(np.float32)
        self.b = rng.standard_normal(k).astype(np.float32)
        self.shape = _core.ConvShape("conv", rank, self.x.shape, self.w.shape, 1, pads, 1, 1, False, algorithm)
        self.dy = rng.standard_normal(self.shape.y_shape).astype(np.float32)

    def passes(self):
        return (
            _core.conv_forward(self.shape, self.x, self.w, self.b),
            _core.conv_backward_data(self.shape, self.dy, self.w),
            _core.conv_backward_weights(self.shape, self.x, self.dy),
        )

    def expected(self):
        ones = (1,) * (self.w.ndim - 2)
        y = correlate(self.x, self.w, ones, self.pads, ones) + self.b
        spatial = tuple(range(self.w.ndim - 2))
        # dx is dy correlated with the turned kernel, its channels swapped.
        turned = np.flip(self.w, spatial).swapaxes(-1, -2)
        back = [
            (k - 1 - before, size + k - 1 - (k - 1 - before) - dy)
            for k, (before, _), size, dy in zip(
                self.w.shape[:-2], self.pads, self.x.shape[1:-1], self.dy.shape[1:-1], strict=True
            )
        ]
        dy, cut = np.asarray(self.dy), []
        for axis, (before, after) in enumerate(back):
            cut.append((max(before, 0), max(after, 0)))
            dy = np.take(dy, range(max(-before, 0), dy.shape[axis + 1] - max(-after, 0)), axis + 1)
        dx = correlate(dy, turned, ones, cut, ones)
        padded = np.pad(self.x.astype(np.float64), [(0, 0), *self.pads, (0, 0)])
        dw = np.zeros(self.w.shape)
        for tap in np.ndindex(*self.w.shape[:-2]):
            part = padded[(slice(None), *(slice(t, t + n) for t, n in zip(tap, self.dy.shape[1:-1], strict=True)))]
            dw[tap] = part.reshape(-1, part.shape[-1]).T @ self.dy.reshape(-1, self.dy.shape[-1])
        return y, dx, dw


@pytest.mark.parametrize(("algorithm", "window", "limit"), TRANSFORMS)
@pytest.mark.parametrize("channels", CHANNELS)
def test_all_passes(isa, channels, algorithm, window, limit):
    rng = np.random.default_rng([channels, len(window), *algorithm.encode()])
    for c, k in ((channels, int(rng.choice(CHANNELS))), (int(rng.choice(CHANNELS)), channels)):
        layer = Layer(rng, window, c, k, algorithm)
        for actual, expected in zip(layer.passes(), layer.expected(), strict=True):
            assert actual.shape == expected.shape
            assert relative_error(actual, expected) < limit


@pytest.mark.parametrize(("algorithm", "window", "limit"), TRANSFORMS)
@pytest.mark.parametrize("channels", [24, 160])
def test_same_bits_for_every_thread_count(isa, same_bits_for_all_threads, algorithm, window, limit, channels):
    rng = np.random.default_rng(7)
    layer = Layer(rng, window, channels, 96, algorithm)
    same_bits_for_all_threads(layer.passes)


@pytest.mark.parametrize("activation", ["linear", "relu", "relu6", "leaky_relu", "sigmoid", "tanh"])
@pytest.mark.parametrize(("algorithm", "window", "limit"), TRANSFORMS[:4])
def test_bias_and_activation_are_fused(isa, rng, algorithm, window, limit, activation):
    layer = Layer(rng, window, 17, 40, algorithm)
    plain = _core.conv_forward(layer.shape, layer.x, layer.w, layer.b)
    fused = _core.conv_forward(layer.shape, layer.x, layer.w, layer.b, activation, 0.1)
    np.testing.assert_array_equal(fused, _core.activation_forward(activation, plain, 0.1))


def test_large_weights_go_through_in_stages(rng):
    layer = Layer(rng, (3, 3), 290, 300, "winograd_f4x3")
    for actual, expected in zip(layer.passes(), layer.expected(), strict=True):
        assert relative_error(actual, expected) < 6e-6


@pytest.mark.parametrize(
    ("kernel", "arguments"),
    [
        ((3, 3, 8, 8), {"strides": 2}),
        ((3, 3, 8, 8), {"dilation_rate": 2}),
        ((3, 3, 4, 8), {"groups": 2}),
        ((4, 4, 8, 8), {}),
        ((3, 5, 8, 8), {}),
    ],
)
def test_what_has_no_transform_is_refused(kernel, arguments):
    with pytest.raises(ValueError, match="algorithm 'winograd' needs stride 1"):
        ops.conv2d(np.ones((1, 9, 9, 8)), np.ones(kernel), algorithm="winograd", **arguments)


def test_unknown_algorithm():
    with pytest.raises(ValueError, match=r"conv2d: algorithm must be one of 'auto', 'direct'.*got 'fft'"):
        ops.conv2d(np.ones((1, 9, 9, 8)), np.ones((3, 3, 8, 8)), algorithm="fft")


def test_strict_precision_turns_it_off():
    shape = ((1, 56, 56, 64), (3, 3, 64, 64))
    assert "winograd" in ops.conv_algorithms(*shape)["forward"]
    set_precision("strict")
    try:
        assert set(ops.conv_algorithms(*shape).values()) == {"direct"}
    finally:
        set_precision("fast")
    with pytest.raises(ValueError, match="set_precision: precision must be 'fast' or 'strict', got 'exact'"):
        set_precision("exact")
