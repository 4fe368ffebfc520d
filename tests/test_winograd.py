"""Minimal filtering against the definition: every transform, pass, instruction set and thread count."""

import numpy as np
import pytest

from cnnfast import _core, ops, set_precision

# name, window, stride, dilation, allowed relative L2 error against float64 for sums of up to a few thousand products
TRANSFORMS = [
    ("winograd_f4x3", (3, 3), 1, 1, 6e-6),
    ("winograd_f2x3", (3, 3), 1, 1, 2e-6),
    ("winograd_f4x2", (2, 2), 1, 1, 3e-6),
    ("winograd_f2x5", (5, 5), 1, 1, 8e-6),
    ("winograd_f4x3", (3,), 1, 1, 4e-6),
    ("winograd_f2x3", (3,), 1, 1, 2e-6),
    ("winograd_f4x2", (2,), 1, 1, 2e-6),
    ("winograd_f2x5", (5,), 1, 1, 4e-6),
    ("winograd_f4x3", (1, 3), 1, 1, 4e-6),
    ("winograd_f4x3", (3, 3), 1, 2, 6e-6),
    ("winograd_f2x3", (3, 3), 1, (3, 1), 2e-6),
    ("winograd_f4x3", (3,), 1, 4, 4e-6),
    ("winograd_f4x2", (3, 3), 2, 1, 3e-6),
    ("winograd_f4x2", (4, 4), 2, 1, 3e-6),
    ("winograd_f4x3", (6, 5), 2, 1, 8e-6),
    ("winograd_f4x2", (3, 2), (2, 1), 1, 3e-6),
    ("winograd_f4x2", (4,), 3, 1, 3e-6),
    ("winograd_f4x3", (3, 3, 3), 1, 1, 6e-6),
    ("winograd_f2x3", (2, 3, 3), 1, (3, 1, 2), 2e-6),
    ("winograd_f4x2", (3, 4, 3), (1, 2, 2), 1, 4e-6),
    ("im2col", (3, 4), 1, 1, 1e-6),
    ("direct", (3, 3), 1, 1, 1e-6),
]
CHANNELS = [1, 3, 8, 17, 33, 64, 70]


def relative_error(actual, expected):
    return np.linalg.norm(actual - expected) / np.linalg.norm(expected)


class Layer:
    """Channels `c` and filters `k` are of one group."""

    def __init__(self, rng, window, c, k, algorithm, strides=1, dilation=1, groups=1):
        rank = len(window)
        self.groups = groups
        self.strides, self.dilation = np.broadcast_to(strides, rank), np.broadcast_to(dilation, rank)
        pads = [(int(a), int(b)) for a, b in rng.integers(0, 4, (rank, 2)) * (np.array(window) > 1)[:, None]]
        reach = [(size - 1) * int(d) + 1 for size, d in zip(window, self.dilation, strict=True)]
        sizes = [size + int(rng.integers(0, 14 if rank < 3 else 7)) for size in reach]
        self.pads = pads
        self.x = rng.standard_normal((int(rng.integers(1, 4)), *sizes, groups * c)).astype(np.float32)
        self.w = rng.standard_normal((*window, c, groups * k)).astype(np.float32)
        self.b = rng.standard_normal(groups * k).astype(np.float32)
        self.shape = _core.ConvShape(
            "conv", rank, self.x.shape, self.w.shape, strides, pads, dilation, groups, False, algorithm
        )
        self.dy = rng.standard_normal(self.shape.y_shape).astype(np.float32)

    def channels(self, array):
        """Of each group."""
        size = array.shape[-1] // self.groups
        return [slice(g * size, (g + 1) * size) for g in range(self.groups)]

    def passes(self):
        return (
            _core.conv_forward(self.shape, self.x, self.w, self.b),
            _core.conv_backward_data(self.shape, self.dy, self.w),
            _core.conv_backward_weights(self.shape, self.x, self.dy),
        )

    def expected(self):
        """One tap after the other, each a product of matrices, in float64."""
        padded = np.pad(self.x.astype(np.float64), [(0, 0), *self.pads, (0, 0)])
        y, dx, dw = np.zeros(self.dy.shape), np.zeros(padded.shape), np.zeros(self.w.shape)
        for tap in np.ndindex(*self.w.shape[:-2]):
            begin = np.array(tap) * self.dilation
            end = begin + (np.array(self.dy.shape[1:-1]) - 1) * self.strides + 1
            seen = (slice(None), *map(slice, begin, end, self.strides))
            for xs, ys in zip(*map(self.channels, (self.x, self.dy)), strict=True):
                w, dy = self.w[tap][:, ys].astype(np.float64), self.dy[..., ys].astype(np.float64)
                y[..., ys] += padded[seen][..., xs] @ w
                dx[seen][..., xs] += dy @ w.T
                dw[tap][:, ys] = padded[seen][..., xs].reshape(-1, len(w)).T @ dy.reshape(-1, w.shape[1])
        inside = (slice(None), *(slice(a, a + n) for (a, _), n in zip(self.pads, self.x.shape[1:-1], strict=True)))
        return y + self.b, dx[inside], dw


@pytest.mark.parametrize(("algorithm", "window", "strides", "dilation", "limit"), TRANSFORMS)
@pytest.mark.parametrize("channels", CHANNELS)
def test_all_passes(isa, channels, algorithm, window, strides, dilation, limit):
    rng = np.random.default_rng([channels, len(window), *algorithm.encode()])
    for c, k in ((channels, int(rng.choice(CHANNELS))), (int(rng.choice(CHANNELS)), channels)):
        layer = Layer(rng, window, c, k, algorithm, strides, dilation)
        for actual, expected in zip(layer.passes(), layer.expected(), strict=True):
            assert actual.shape == expected.shape
            assert relative_error(actual, expected) < limit


@pytest.mark.parametrize("filters", [20, 70])
@pytest.mark.parametrize("rows", range(1, 10))
@pytest.mark.parametrize(("algorithm", "window"), [("winograd_f4x3", 3), ("winograd_f4x2", 2)])
def test_tiles_that_are_cut_off(isa, same_bits_for_all_threads, algorithm, window, rows, filters):
    """Every height and width of a last tile, with products of all points in one call and in one for each."""
    rng = np.random.default_rng([rows, filters])
    for cols in range(1, 10):
        layer = Layer(rng, (window, window), filters, filters, algorithm)
        images = int(rng.integers(1, 20))
        layer.pads = [(1, 0), (0, 2)]
        size = (rows + window - 2, cols + window - 3)
        if size[1] == 0:
            continue
        layer.x = rng.standard_normal((images, *size, filters)).astype(np.float32)
        layer.shape = _core.ConvShape("conv", 2, layer.x.shape, layer.w.shape, 1, layer.pads, 1, 1, False, algorithm)
        layer.dy = rng.standard_normal(layer.shape.y_shape).astype(np.float32)
        assert layer.dy.shape[1:3] == (rows, cols)
        for actual, expected in zip(layer.passes(), layer.expected(), strict=True):
            assert relative_error(actual, expected) < 6e-6
    same_bits_for_all_threads(layer.passes)


# groups, and the channels and filters of one: few that are transformed together, the last bundle with fewer of them,
# tails of vectors, and groups that are worked on one by one, in several blocks
GROUPS = [(2, 16, 16), (7, 16, 20), (5, 20, 12), (3, 33, 40), (9, 1, 3), (13, 8, 5), (2, 70, 90), (2, 160, 24)]


@pytest.mark.parametrize(("algorithm", "window", "strides", "dilation", "limit"), TRANSFORMS)
@pytest.mark.parametrize(("groups", "c", "k"), GROUPS)
def test_all_passes_of_groups(isa, groups, c, k, algorithm, window, strides, dilation, limit):
    rng = np.random.default_rng([groups, c, k, len(window), *algorithm.encode()])
    layer = Layer(rng, window, c, k, algorithm, strides, dilation, groups)
    for actual, expected in zip(layer.passes(), layer.expected(), strict=True):
        assert actual.shape == expected.shape
        assert relative_error(actual, expected) < limit


@pytest.mark.parametrize(("algorithm", "window", "strides", "dilation", "limit"), TRANSFORMS[:2] + TRANSFORMS[-5:-3])
@pytest.mark.parametrize(("groups", "c", "k"), [(9, 16, 16), (5, 20, 12), (2, 70, 90)])
def test_same_bits_of_groups_for_every_thread_count(
    isa, same_bits_for_all_threads, groups, c, k, algorithm, window, strides, dilation, limit
):
    layer = Layer(np.random.default_rng(7), window, c, k, algorithm, strides, dilation, groups)
    same_bits_for_all_threads(layer.passes)


@pytest.mark.parametrize(("algorithm", "window", "strides", "dilation", "limit"), TRANSFORMS)
@pytest.mark.parametrize("channels", [24, 160])
def test_same_bits_for_every_thread_count(
    isa, same_bits_for_all_threads, algorithm, window, strides, dilation, limit, channels
):
    rng = np.random.default_rng(7)
    layer = Layer(rng, window, channels, 96, algorithm, strides, dilation)
    same_bits_for_all_threads(layer.passes)


@pytest.mark.parametrize("activation", ["linear", "relu", "relu6", "leaky_relu", "sigmoid", "tanh"])
@pytest.mark.parametrize(("algorithm", "window", "strides", "dilation", "limit"), TRANSFORMS[:4] + TRANSFORMS[-6:-2])
def test_bias_and_activation_are_fused(isa, rng, algorithm, window, strides, dilation, limit, activation):
    layer = Layer(rng, window, 17, 40, algorithm, strides, dilation)
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
        ((4, 4, 4, 8), {"groups": 2}),
        ((4, 4, 8, 8), {}),
        ((3, 3, 8, 8), {"strides": 3}),
        ((6, 6, 8, 8), {"strides": (1, 2)}),
        ((3, 5, 8, 8), {}),
    ],
)
def test_what_has_no_transform_is_refused(kernel, arguments):
    with pytest.raises(ValueError, match="algorithm 'winograd' needs a window"):
        ops.conv2d(np.ones((1, 9, 9, 8)), np.ones(kernel), algorithm="winograd", **arguments)


def test_unknown_algorithm():
    with pytest.raises(ValueError, match=r"conv2d: algorithm must be one of 'auto', 'direct'.*got 'fft'"):
        ops.conv2d(np.ones((1, 9, 9, 8)), np.ones((3, 3, 8, 8)), algorithm="fft")


@pytest.mark.parametrize("groups", [1, 2])
def test_strict_precision_turns_it_off(groups):
    shape = ((8, 56, 56, 64 * groups), (3, 3, 64, 64 * groups))
    assert "winograd" in ops.conv_algorithms(*shape, groups=groups)["forward"]
    set_precision("strict")
    try:
        assert set(ops.conv_algorithms(*shape, groups=groups).values()) == {"direct"}
    finally:
        set_precision("fast")
    with pytest.raises(ValueError, match="set_precision: precision must be 'fast' or 'strict', got 'exact'"):
        set_precision("exact")
