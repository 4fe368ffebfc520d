"""Pooling against the definition, on every instruction set and thread count."""

import numpy as np
import pytest

from cnnfast import _core, ops
from cnnfast.autograd import GradientTape, Tensor
from cnnfast.gradcheck import gradcheck
from reference import assert_close, average_pool, max_pool, same_pads

MAX = {1: ops.max_pool1d, 2: ops.max_pool2d, 3: ops.max_pool3d}
AVERAGE = {1: ops.avg_pool1d, 2: ops.avg_pool2d, 3: ops.avg_pool3d}
CHANNELS = [1, 1, 2, 3, 4, 6, 7, 8, 9, 15, 16, 17, 31, 33, 64]


class Case:
    """One random pooling that its arguments admit."""

    def __init__(self, rng, dilated):
        self.rank = rank = int(rng.integers(1, 4))
        self.window = tuple(int(v) for v in rng.integers(1, 5, rank))
        self.strides = tuple(int(v) for v in rng.integers(1, 5, rank))
        if rng.random() < 0.4:
            self.strides = self.window
        self.dilation = tuple(int(v) for v in rng.integers(1, 4, rank)) if dilated else (1,) * rank
        reach = [(k - 1) * d + 1 for k, d in zip(self.window, self.dilation, strict=True)]
        sizes = [r + int(rng.integers(0, {1: 60, 2: 12, 3: 6}[rank])) for r in reach]
        self.padding = self.pads = [(int(rng.integers(0, k)), int(rng.integers(0, k))) for k in self.window]
        if rng.random() < 0.3:
            self.padding, self.pads = "same", same_pads(sizes, self.window, self.strides, self.dilation)
        self.x = rng.standard_normal((int(rng.integers(1, 4)), *sizes, int(rng.choice(CHANNELS)))).astype(np.float32)
        if rng.random() < 0.5:
            self.x = np.round(self.x)  # equal values: the first must win

    def reference(self):
        return self.window, self.strides, self.pads, self.dilation


def run(pool, x, dy, **arguments):
    """Output, the output without a tape, and the input's gradient."""
    tensor = Tensor(x)
    with GradientTape() as tape:
        tape.watch(tensor)
        y = pool(tensor, **arguments)
    return np.asarray(y), pool(x, **arguments), tape.gradient(y, tensor, output_gradients=dy).numpy()


def gradient(rng, shape):
    return rng.standard_normal(shape).astype(np.float32)


def check_max(rng):
    case = Case(rng, dilated=rng.random() < 0.4)
    arguments = {
        "pool_size": case.window,
        "strides": case.strides,
        "padding": case.padding,
        "dilation_rate": case.dilation,
    }
    dy = gradient(rng, ops.pool_output_shape(case.x.shape, **arguments))
    y, untaped, dx = run(MAX[case.rank], case.x, dy, **arguments)
    expected_y, expected_dx = max_pool(case.x, dy, *case.reference())
    np.testing.assert_array_equal(y, expected_y)
    np.testing.assert_array_equal(untaped, expected_y)
    assert_close(dx, expected_dx, np.prod(case.window))


def check_average(rng):
    case = Case(rng, dilated=False)
    include = bool(rng.random() < 0.5)
    arguments = {"pool_size": case.window, "strides": case.strides, "padding": case.padding}
    dy = gradient(rng, ops.pool_output_shape(case.x.shape, **arguments))
    y, untaped, dx = run(AVERAGE[case.rank], case.x, dy, count_include_pad=include, **arguments)
    expected_y, expected_dx = average_pool(case.x, dy, include, *case.reference())
    assert_close(y, expected_y)
    np.testing.assert_array_equal(untaped, y)
    assert_close(dx, expected_dx, np.prod(case.window))


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("check", [check_max, check_average])
def test_random_poolings(isa, threads, check, seed):
    rng = np.random.default_rng([seed, threads])
    for _ in range(4):
        check(rng)


@pytest.mark.parametrize("channels", [1, 2, 3, 4, 5, 6, 7, 8, 9, 15, 16, 17, 31, 33, 64])
@pytest.mark.parametrize(("window", "stride"), [(2, 2), (3, 2), (3, 1), (2, 3)])
def test_usual_windows_with_every_number_of_channels(isa, rng, channels, window, stride):
    x = rng.standard_normal((2, 11, 10, channels)).astype(np.float32)
    pads = same_pads((11, 10), (window,) * 2, (stride,) * 2, (1, 1))
    for padding, explicit in (("valid", [(0, 0)] * 2), ("same", pads)):
        arguments = {"pool_size": window, "strides": stride, "padding": padding}
        dy = gradient(rng, ops.pool_output_shape(x.shape, **arguments))
        reference = ((window,) * 2, (stride,) * 2, explicit, (1, 1))
        y, _, dx = run(ops.max_pool2d, x, dy, **arguments)
        expected_y, expected_dx = max_pool(x, dy, *reference)
        np.testing.assert_array_equal(y, expected_y)
        assert_close(dx, expected_dx, 9)
        y, _, dx = run(ops.avg_pool2d, x, dy, **arguments)
        expected_y, expected_dx = average_pool(x, dy, False, *reference)
        assert_close(y, expected_y)
        assert_close(dx, expected_dx, 9)


@pytest.mark.parametrize("channels", [1, 5, 16])
@pytest.mark.parametrize("window", [16, 17])  # 256 taps fit a byte, 289 do not
def test_large_windows(isa, rng, channels, window):
    x = rng.standard_normal((2, 21, 20, channels)).astype(np.float32)
    dy = gradient(rng, ops.pool_output_shape(x.shape, window, 2))
    y, _, dx = run(ops.max_pool2d, x, dy, pool_size=window, strides=2)
    expected_y, expected_dx = max_pool(x, dy, (window,) * 2, (2, 2), [(0, 0)] * 2, (1, 1))
    np.testing.assert_array_equal(y, expected_y)
    assert_close(dx, expected_dx, dy.size)


@pytest.mark.parametrize("channels", [1, 2, 3, 5, 6, 7, 11, 15, 17])
@pytest.mark.parametrize(
    ("window", "stride"), [((1, 2), (1, 2)), ((2, 1), (2, 1)), ((2, 2), (3, 5)), ((17, 16), (17, 16))]
)
def test_windows_that_keep_apart(isa, rng, channels, window, stride):
    # Few channels go in vectors across pixels, with gaps between windows and clipped ones at the edges.
    for padding in ([(0, 0), (0, 0)], [(0, window[0] // 2), (window[1] // 2, window[1] // 2)]):
        x = rng.standard_normal((1, 35, 53, channels)).astype(np.float32)
        arguments = {"pool_size": window, "strides": stride, "padding": padding}
        dy = gradient(rng, ops.pool_output_shape(x.shape, **arguments))
        y, _, dx = run(ops.max_pool2d, x, dy, **arguments)
        expected_y, expected_dx = max_pool(x, dy, window, stride, padding, (1, 1))
        np.testing.assert_array_equal(y, expected_y)
        np.testing.assert_array_equal(dx, expected_dx)
        dx = run(ops.avg_pool2d, x, dy, **arguments)[2]
        assert_close(dx, average_pool(x, dy, False, window, stride, padding, (1, 1))[1])


@pytest.mark.parametrize(("window", "stride"), [(2, 2), (3, 3), (2, 5)])
def test_long_signals_whose_windows_keep_apart(isa, threads, rng, window, stride):
    for channels in (1, 3, 7):
        x = rng.standard_normal((1, 120_000 // channels, channels)).astype(np.float32)
        windows = np.lib.stride_tricks.sliding_window_view(x[0], window, axis=0)[::stride]
        dy = gradient(rng, (1, len(windows), channels))
        starts = stride * np.arange(len(windows))[:, None]
        won, shared = np.zeros(x.shape[1:], np.float32), np.zeros(x.shape[1:], np.float32)
        won[starts + windows.argmax(-1), np.arange(channels)] = dy[0]
        for tap in range(window):
            shared[starts[:, 0] + tap] = dy[0] * np.float32(1 / window)
        np.testing.assert_array_equal(run(ops.max_pool1d, x, dy, pool_size=window, strides=stride)[2][0], won)
        np.testing.assert_array_equal(run(ops.avg_pool1d, x, dy, pool_size=window, strides=stride)[2][0], shared)


def test_long_signals_are_cut_into_pieces_that_fit_together(isa, rng):
    for channels in (1, 3, 40):
        x = rng.standard_normal((1, 120_000 // channels, channels)).astype(np.float32)
        windows = np.lib.stride_tricks.sliding_window_view(x[0], 3, axis=0)[::2]
        dy = gradient(rng, (1, len(windows), channels))
        y, _, dx = run(ops.max_pool1d, x, dy, pool_size=3, strides=2)
        np.testing.assert_array_equal(y[0], windows.max(-1))
        expected = np.zeros(x.shape[1:])
        np.add.at(expected, (2 * np.arange(len(windows))[:, None] + windows.argmax(-1), np.arange(channels)), dy[0])
        assert_close(dx[0], expected, 2)
        y, _, dx = run(ops.avg_pool1d, x, dy, pool_size=3, strides=2)
        assert_close(y[0], windows.mean(-1, dtype=float))
        np.testing.assert_allclose(dx.sum(dtype=float), dy.sum(dtype=float), atol=0.01)


@pytest.mark.parametrize(
    ("shape", "window", "stride"),
    [
        ((1, 61, 50, 1), 3, 2),
        ((1, 40, 33, 24), 3, 2),
        ((5, 30, 30, 6), 2, 2),
        ((1, 9, 9, 9, 16), 3, 1),
        ((1, 9001, 2), 5, 3),
    ],
)
def test_same_bits_for_all_threads(isa, rng, same_bits_for_all_threads, shape, window, stride):
    x = rng.standard_normal(shape).astype(np.float32)
    for pool in (MAX[len(shape) - 2], AVERAGE[len(shape) - 2]):
        dy = gradient(rng, ops.pool_output_shape(shape, window, stride, "same"))
        same_bits_for_all_threads(lambda p=pool, d=dy: run(p, x, d, pool_size=window, strides=stride, padding="same"))


def test_output_sizes():
    assert ops.pool_output_shape((1, 5, 5, 2), 3, 1) == (1, 3, 3, 2)
    assert ops.pool_output_shape((1, 28, 28, 6), 2, 2) == (1, 14, 14, 6)
    # 5x5 with 2x2, stride 2 leaves a pixel over unless padded to 6x6.
    assert ops.pool_output_shape((1, 5, 5, 1), 2, 2) == (1, 2, 2, 1)
    assert ops.pool_output_shape((1, 5, 5, 1), 2, 2, [(0, 1), (0, 1)]) == (1, 3, 3, 1)
    assert ops.pool_output_shape((1, 5, 5, 1), 2, 2, "same") == (1, 3, 3, 1)
    for x_shape, window, stride in (((1, 5, 5, 2), 3, 1), ((1, 28, 28, 6), 2, 2), ((1, 5, 5, 1), 2, 2)):
        x = np.ones(x_shape, np.float32)
        for pool in (ops.max_pool2d, ops.avg_pool2d):
            assert pool(x, window, stride).shape == ops.pool_output_shape(x_shape, window, stride)


def test_a_pixel_left_over_gets_no_gradient():
    x = np.arange(25, dtype=np.float32).reshape(1, 5, 5, 1)
    for pool in (ops.max_pool2d, ops.avg_pool2d):
        dx = run(pool, x, np.ones((1, 2, 2, 1), np.float32), pool_size=2)[2]
        assert not dx[:, 4].any()
        assert not dx[:, :, 4].any()
        dx = run(pool, x, np.ones((1, 3, 3, 1), np.float32), pool_size=2, padding="same")[2]
        assert dx[0, 4, 4, 0] == 1


def test_max_sends_the_gradient_to_the_winner_and_average_spreads_it(isa):
    x = np.array([[1, 5, 2, 0], [3, 4, 8, 7]], np.float32).reshape(1, 2, 4, 1)
    dy = np.array([10, 20], np.float32).reshape(1, 1, 2, 1)
    y, _, dx = run(ops.max_pool2d, x, dy)
    np.testing.assert_array_equal(y.ravel(), [5, 8])
    np.testing.assert_array_equal(dx.reshape(2, 4), [[0, 10, 0, 0], [0, 0, 20, 0]])
    y, _, dx = run(ops.avg_pool2d, x, dy)
    np.testing.assert_array_equal(y.ravel(), [3.25, 4.25])
    np.testing.assert_array_equal(dx.reshape(2, 4), [[2.5, 2.5, 5, 5], [2.5, 2.5, 5, 5]])


def test_overlapping_windows_add_their_gradients(isa):
    x = np.array([0, 9, 1, 2, 3], np.float32).reshape(1, 5, 1)
    y, _, dx = run(ops.max_pool1d, x, np.array([1, 2, 4], np.float32).reshape(1, 3, 1), pool_size=3, strides=1)
    np.testing.assert_array_equal(y.ravel(), [9, 9, 3])
    np.testing.assert_array_equal(dx.ravel(), [0, 3, 0, 0, 4])


@pytest.mark.parametrize("channels", [1, 3, 16, 19])
def test_not_a_number_wins_and_minus_infinity_has_a_winner(isa, channels):
    x = np.full((1, 6, 6, channels), -np.inf, np.float32)
    x[0, 3, 3] = np.nan
    dy = np.ones((1, 3, 3, channels), np.float32)
    y, _, dx = run(ops.max_pool2d, x, dy, pool_size=3, strides=2, padding=[(1, 0), (1, 0)])
    expected_y, expected_dx = max_pool(x, dy, (3, 3), (2, 2), [(1, 0), (1, 0)], (1, 1))
    np.testing.assert_array_equal(y, expected_y)
    np.testing.assert_array_equal(dx, expected_dx)
    assert np.isnan(y[0, 1:, 1:]).all()
    assert dx.sum() == dy.size
    assert np.isnan(ops.avg_pool2d(x, 2)[0, 1, 1]).all()


def test_numerical_gradients():
    x = np.random.default_rng(0).permutation(2 * 7 * 6 * 3).reshape(2, 7, 6, 3) / 8
    assert gradcheck(lambda v: ops.max_pool2d(v, 3, 2, "same"), [x])
    assert gradcheck(lambda v: ops.max_pool2d(v, 2, 1, dilation_rate=2), [x])
    assert gradcheck(lambda v: ops.avg_pool2d(v, 3, 2, "same"), [x])
    assert gradcheck(lambda v: ops.avg_pool2d(v, 3, 1, 1, count_include_pad=True), [x])
    assert gradcheck(ops.global_max_pool, [x])
    assert gradcheck(lambda v: ops.global_avg_pool(v, keepdims=True), [x])


GLOBAL_SHAPES = [
    (3, 1, 1, 1),
    (2, 7, 5, 3),
    (1, 40_000, 1),
    (4, 13, 16),
    (2, 5, 4, 3, 17),
    (1, 90, 80, 64),
    (2, 9, 700),
]


@pytest.mark.parametrize("shape", GLOBAL_SHAPES)
def test_global_pooling(isa, threads, rng, shape):
    x = np.round(8 * rng.standard_normal(shape)).astype(np.float32)
    flat = x.reshape(shape[0], -1, shape[-1])
    for keepdims in (False, True):
        kept = (shape[0], *[1] * (len(shape) - 2), shape[-1]) if keepdims else (shape[0], shape[-1])
        dy = gradient(rng, kept)
        y, _, dx = run(ops.global_max_pool, x, dy, keepdims=keepdims)
        np.testing.assert_array_equal(y, flat.max(1).reshape(kept))
        winners = np.arange(flat.shape[1])[None, :, None] == flat.argmax(1)[:, None]
        np.testing.assert_array_equal(dx, np.where(winners, dy.reshape(shape[0], 1, -1), 0).reshape(shape))
        y, _, dx = run(ops.global_avg_pool, x, dy, keepdims=keepdims)
        assert_close(y, flat.mean(1, dtype=float).reshape(kept), flat.shape[1])
        assert_close(
            dx, np.broadcast_to(dy.astype(float).reshape(shape[0], 1, -1) / flat.shape[1], flat.shape).reshape(shape)
        )


@pytest.mark.parametrize("channels", [1, 5, 16, 70])
def test_global_max_of_special_values(isa, channels):
    x = np.full((2, 300, channels), -np.inf, np.float32)
    x[1, [17, 200]] = np.nan
    y, _, dx = run(ops.global_max_pool, x, np.ones((2, channels), np.float32))
    np.testing.assert_array_equal(y, [[-np.inf] * channels, [np.nan] * channels])
    assert dx.sum() == dx[0, 0].sum() + dx[1, 17].sum() == 2 * channels


def test_same_bits_of_global_pooling_for_all_threads(isa, rng, same_bits_for_all_threads):
    for shape in ((1, 50_000, 3), (7, 4000, 17)):
        x, dy = gradient(rng, shape), gradient(rng, (shape[0], shape[-1]))
        same_bits_for_all_threads(lambda a=x, d=dy: run(ops.global_max_pool, a, d))
        same_bits_for_all_threads(lambda a=x, d=dy: run(ops.global_avg_pool, a, d))


def test_no_images():
    x = np.zeros((0, 8, 6, 3), np.float32)
    for pool in (ops.max_pool2d, ops.avg_pool2d):
        y, _, dx = run(pool, x, np.zeros((0, 4, 3, 3), np.float32))
        assert y.shape == (0, 4, 3, 3)
        assert dx.shape == x.shape
    for pool in (ops.global_max_pool, ops.global_avg_pool):
        y, _, dx = run(pool, x, np.zeros((0, 3), np.float32))
        assert y.shape == (0, 3)
        assert dx.shape == x.shape


@pytest.mark.parametrize("dtype", [np.float64, np.int16, np.uint8, bool])
def test_other_dtypes_and_layouts(dtype):
    x = (np.arange(96).reshape(1, 8, 4, 3) % 7).astype(dtype)
    expected = ops.max_pool2d(x.astype(np.float32))
    np.testing.assert_array_equal(ops.max_pool2d(x), expected)
    np.testing.assert_array_equal(ops.max_pool2d(np.asfortranarray(x)), expected)
    np.testing.assert_array_equal(ops.max_pool2d(x[:, ::-1]), ops.max_pool2d(x[:, ::-1].copy()))


def test_errors():
    x = np.zeros((2, 5, 6, 3), np.float32)
    cases = [
        (ValueError, r"max_pool2d: x expects 4 axes \(N, H, W, C\), got shape \(5, 6, 3\)",
         lambda: ops.max_pool2d(x[0])),
        (ValueError, "max_pool2d: pool_size spans 7 values along height, x has 5", lambda: ops.max_pool2d(x, 7)),
        (ValueError, "avg_pool2d: pool_size must be at least 1 along width, got 0", lambda: ops.avg_pool2d(x, (2, 0))),
        (ValueError, "strides must be at least 1 along height, got -1", lambda: ops.max_pool2d(x, 2, -1)),
        (ValueError, "dilation_rate must be at least 1", lambda: ops.max_pool2d(x, 2, dilation_rate=0)),
        (ValueError, "padding must be at least 0", lambda: ops.max_pool2d(x, 2, padding=-1)),
        (ValueError, "window 0 along height would hold nothing but padding", lambda: ops.max_pool2d(x, 2, padding=2)),
        (ValueError, "nothing but padding", lambda: ops.max_pool2d(x[:, :1], 2, 1, "same", dilation_rate=(3, 1))),
        (ValueError, "padding must be 'valid'", lambda: ops.max_pool2d(x, padding="full")),
        (ValueError, r"padding expects 2 \(before, after\) pairs", lambda: ops.max_pool2d(x, padding=[(0, 1)])),
        (ValueError, "pool_size expects one integer or 2 of them", lambda: ops.max_pool2d(x, (2, 2, 2))),
        (ValueError, "strides is too large", lambda: ops.max_pool2d(x, 2, 2**70)),
        (ValueError, "strides must be at most", lambda: ops.max_pool2d(x, 2, 2**40)),
        (TypeError, "pool_size must be an integer", lambda: ops.max_pool2d(x, 2.5)),
        (TypeError, "strides must be made of integers", lambda: ops.max_pool2d(x, 2, (1, 1.5))),
        (TypeError, "padding must be 'valid'", lambda: ops.max_pool2d(x, padding=None)),
        (TypeError, "max_pool2d: x must be an array of real numbers", lambda: ops.max_pool2d(x + 1j)),
        (ValueError, "no channels", lambda: ops.max_pool2d(x[..., :0])),
        (ValueError, "x must be at least 1 along height", lambda: ops.max_pool2d(x[:, :0])),
        (ValueError, "global_max_pool: x must have at least 3 axes", lambda: ops.global_max_pool(x[0, 0])),
        (ValueError, "global_avg_pool: x has no values to pool", lambda: ops.global_avg_pool(x[:, :0])),
        (ValueError, "x must have 3, 4 or 5 axes", lambda: ops.pool_output_shape((1, 2), 2)),
    ]  # fmt: skip
    for error, message, call in cases:
        with pytest.raises(error, match=message):
            call()


def test_foreign_winners_cannot_reach_other_memory():
    pooling = _core.Pooling("max_pool2d", (1, 8, 8, 1), 3, 2, "valid", 1)
    dy = np.ones((1, 3, 3, 1), np.float32)
    dx = pooling.max_backward(np.full(dy.shape, 255, np.uint8), dy)
    assert not dx.any()
    with pytest.raises(ValueError, match="winners are of another pooling"):
        pooling.max_backward(np.zeros(dy.shape, np.int32), dy)
