"""Convolutions against the definition and against their own adjoints, on every instruction set and thread count."""

import numpy as np
import pytest

from cnnfast import GradientTape, Tensor, gradcheck, ops
from reference import assert_close, correlate, same_pads

CONV = {1: ops.conv1d, 2: ops.conv2d, 3: ops.conv3d}
TRANSPOSE = {1: ops.conv1d_transpose, 2: ops.conv2d_transpose, 3: ops.conv3d_transpose}
CHANNELS = [1, 3, 7, 8, 9, 15, 16, 17, 31, 33, 64]


class Case:
    """One random convolution that its arguments admit."""

    algorithm = "auto"

    def __init__(self, rng, groups=None, c=None, k=None):
        self.rank = rank = int(rng.integers(1, 4))
        self.groups = int(rng.choice([1, 1, 1, 2, 3])) if groups is None else groups
        c = int(rng.choice(CHANNELS)) if c is None else c
        k = int(rng.choice(CHANNELS)) if k is None else k
        self.strides = [int(v) for v in rng.integers(1, 4, rank)]
        self.dilation = [int(v) for v in rng.integers(1, 4, rank)]
        window = [int(v) for v in rng.integers(1, 5, rank)]
        largest = {1: 90, 2: 14, 3: 7}[rank]
        reach = [(w - 1) * d + 1 for w, d in zip(window, self.dilation, strict=True)]
        sizes = [r + int(rng.integers(0, largest)) for r in reach]
        self.padding = [(int(a), int(b)) for a, b in rng.integers(0, 4, (rank, 2))]
        self.pads = self.padding
        if rng.random() < 0.3:
            self.padding, self.pads = "same", same_pads(sizes, window, self.strides, self.dilation)
        self.flip = bool(rng.random() < 0.3)
        self.x = rng.standard_normal((int(rng.integers(1, 4)), *sizes, c * self.groups)).astype(np.float32)
        self.w = rng.standard_normal((*window, c, k * self.groups)).astype(np.float32)
        self.b = rng.standard_normal(k * self.groups).astype(np.float32)
        self.terms = int(np.prod(window)) * c

    def run(self, x, w, b=None, activation=None):
        return CONV[self.rank](
            x,
            w,
            b,
            strides=self.strides,
            padding=self.padding,
            dilation_rate=self.dilation,
            groups=self.groups,
            activation=activation,
            flip_kernel=self.flip,
            algorithm=self.algorithm,
        )

    def reference(self, x, w):
        return correlate(x, w, self.strides, self.pads, self.dilation, self.groups, self.flip)


def gradients(run, arrays, dy):
    """The outputs' and inputs' gradients of a differentiable function, as arrays."""
    tensors = [Tensor(a) for a in arrays]
    with GradientTape() as tape:
        tape.watch(tensors)
        y = run(*tensors)
    return np.asarray(y), [np.asarray(g) for g in tape.gradient(y, tensors, output_gradients=dy)]


def check_against_reference(rng, case):
    y = case.reference(case.x, case.w)
    dy = rng.standard_normal(y.shape).astype(np.float32)
    actual, (dx, dw, db) = gradients(case.run, [case.x, case.w, case.b], dy)
    assert_close(actual, y + case.b, case.terms)
    assert_close(db, dy.astype(np.float64).reshape(-1, dy.shape[-1]).sum(0), dy.size // dy.shape[-1])
    # A linear map's gradients are its transposes: <dy, A v> = <A^T dy, v> for any v.
    for gradient, other, reference in (
        (dx, case.x, lambda v: case.reference(v, case.w)),
        (dw, case.w, lambda v: case.reference(case.x, v)),
    ):
        assert gradient.shape == other.shape
        v = rng.standard_normal(other.shape)
        expected = np.sum(dy * reference(v))
        scale = np.linalg.norm(gradient.astype(np.float64)) * np.linalg.norm(v) + 1
        assert abs(np.sum(gradient * v) - expected) < 1e-6 * scale


@pytest.mark.parametrize("seed", range(30))
def test_random_convolutions(isa, seed):
    rng = np.random.default_rng(seed)
    check_against_reference(rng, Case(rng))


@pytest.mark.parametrize("channels", CHANNELS)
def test_every_channel_count_in_and_out(isa, threads, channels):
    rng = np.random.default_rng(channels)
    check_against_reference(rng, Case(rng, groups=1, c=channels))
    check_against_reference(rng, Case(rng, groups=1, k=channels))


@pytest.mark.parametrize("channels", CHANNELS[1:])
def test_depthwise(isa, threads, channels):
    rng = np.random.default_rng(channels)
    check_against_reference(rng, Case(rng, groups=channels, c=1, k=1))


# Groups that fill a vector, that leave lanes of it empty, and that are too wide to share one; a last vector of few.
@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(
    ("groups", "channels", "filters"),
    [(2, 1, 1), (9, 2, 2), (8, 4, 4), (5, 8, 8), (7, 3, 3), (17, 1, 2), (6, 2, 1), (3, 1, 5), (3, 6, 2), (5, 4, 7)],
)
def test_narrow_groups(isa, threads, groups, channels, filters, seed):
    rng = np.random.default_rng(seed)
    check_against_reference(rng, Case(rng, groups=groups, c=channels, k=filters))


def test_windows_beside_the_input(isa, rng):
    x, w = rng.standard_normal((2, 2, 3, 20)).astype(np.float32), rng.standard_normal((3, 3, 1, 20)).astype(np.float32)
    b = rng.standard_normal(20).astype(np.float32)
    for dilation in (1, 2):
        y = ops.conv2d(x, w, b, padding=[(5, 6), (7, 5)], dilation_rate=dilation, groups=20, activation="tanh")
        expected = correlate(x, w, (1, 1), [(5, 6), (7, 5)], (dilation, dilation), 20)
        assert_close(y, np.tanh(expected + b), 9)


# Windows beside the input have no taps, and wide ones more than sums fit in registers: dy counts once all the same.
@pytest.mark.parametrize(("groups", "channels", "filters"), [(37, 1, 1), (9, 2, 1), (5, 2, 3), (2, 20, 5)])
@pytest.mark.parametrize("window", [2, 4])
def test_gradient_to_the_bias_beside_that_to_the_kernel(
    isa, same_bits_for_all_threads, rng, groups, channels, filters, window
):
    x = rng.standard_normal((3, 19, 17, groups * channels)).astype(np.float32)
    w = rng.standard_normal((window, window, channels, groups * filters)).astype(np.float32)
    b = np.zeros(groups * filters, np.float32)
    padding = [(7, 6), (5, 9)]
    dy = rng.standard_normal(ops.conv2d(x, w, padding=padding, groups=groups).shape).astype(np.float32)

    def compute():
        return gradients(lambda *a: ops.conv2d(*a, padding=padding, groups=groups), [x, w, b], dy)[1]

    same_bits_for_all_threads(compute)
    _, dw, db = compute()
    assert_close(db, dy.astype(np.float64).sum((0, 1, 2)), dy[..., 0].size)
    alone = gradients(lambda w: ops.conv2d(x, w, padding=padding, groups=groups), [w], dy)[1][0]
    np.testing.assert_array_equal(dw, alone)


@pytest.mark.parametrize(
    ("groups", "channels", "expected"), [(64, 1, "depthwise"), (16, 2, "grouped"), (2, 32, "direct"), (1, 3, "direct")]
)
def test_algorithms_of_groups(groups, channels, expected):
    shapes = (4, 9, 9, groups * channels), (3, 3, channels, groups * channels)
    names = ops.conv_algorithms(*shapes, padding="same", strides=2, groups=groups)
    assert (names["forward"], names["backward_weights"]) == (expected, expected)
    if groups > 1:
        assert names["backward_data"] == f"{expected} in 4 phases"


def test_algorithm_of_a_gradient_to_few_channels():
    assert ops.conv_algorithms((4, 30, 30, 3), (3, 3, 3, 32))["backward_data"] == "columns"


@pytest.mark.parametrize("multiplier", [1, 2, 3, 17])
def test_depthwise_multiplier_orders_channels_as_keras(isa, rng, multiplier):
    x = rng.standard_normal((2, 6, 5, 4)).astype(np.float32)
    w = rng.standard_normal((3, 2, 4, multiplier)).astype(np.float32)
    b = rng.standard_normal(4 * multiplier).astype(np.float32)
    expected = np.concatenate(
        [correlate(x[..., c : c + 1], w[:, :, c : c + 1], (1, 1), [(0, 0)] * 2, (1, 1)) for c in range(4)], -1
    )
    assert_close(ops.depthwise_conv2d(x, w, b), expected + b, 6)
    row = x[:, 0]
    assert_close(
        ops.depthwise_conv1d(row, w[0], b, padding=1),
        np.concatenate(
            [correlate(x[:, 0, :, c : c + 1], w[0, :, c : c + 1], (1,), [(1, 1)], (1,)) for c in range(4)], -1
        )
        + b,
        2,
    )
    gradcheck(lambda x, w, b: ops.depthwise_conv2d(x, w, b, strides=2, activation="tanh"), [x, w, b])


@pytest.mark.parametrize("case_seed", range(6))
@pytest.mark.parametrize("groups", [1, 5, 10])
def test_same_bits_for_every_thread_count(isa, same_bits_for_all_threads, groups, case_seed):
    rng = np.random.default_rng(case_seed)
    x = rng.standard_normal((4, 23, 21, 10)).astype(np.float32)
    w = rng.standard_normal((3, 3, 10 // groups, 70)).astype(np.float32)
    b = rng.standard_normal(70).astype(np.float32)
    strides = 1 + case_seed % 3

    def compute():
        y, grads = gradients(
            lambda x, w, b: ops.conv2d(x, w, b, strides=strides, padding="same", groups=groups, activation="relu"),
            [x, w, b],
            None,
        )
        return [y, *grads]

    same_bits_for_all_threads(compute)


@pytest.mark.parametrize(("height", "strides"), [(97, 1), (130, 1), (97, 2)])
def test_gradient_to_one_narrow_image_has_the_same_bits(isa, same_bits_for_all_threads, rng, height, strides):
    x = rng.standard_normal((1, height, 20, 6)).astype(np.float32)
    w = rng.standard_normal((3, 3, 6, 64)).astype(np.float32)
    same_bits_for_all_threads(lambda: gradients(lambda x, w: ops.conv2d(x, w, strides=strides), [x, w], None)[1])


@pytest.mark.parametrize("rank", [1, 2, 3])
def test_numerical_gradient(isa, rng, rank):
    x = rng.standard_normal((2, *[5] * rank, 3)).astype(np.float32)
    w = rng.standard_normal((*[2] * rank, 3, 4)).astype(np.float32)
    b = rng.standard_normal(4).astype(np.float32)
    for activation in (None, "sigmoid", "tanh"):
        gradcheck(lambda x, w, b, a=activation: CONV[rank](x, w, b, strides=2, padding=1, activation=a), [x, w, b])


@pytest.mark.parametrize("activation", [None, "linear", "relu", "relu6", "leaky_relu", "sigmoid", "tanh"])
@pytest.mark.parametrize("groups", [1, 6])
def test_fused_activation_is_the_activation_afterwards(isa, rng, activation, groups):
    x = (2 * rng.standard_normal((2, 7, 7, 6))).astype(np.float32)
    w = rng.standard_normal((3, 3, 6 // groups, 12)).astype(np.float32)
    b = rng.standard_normal(12).astype(np.float32)
    plain = {
        None: lambda z: z,
        "linear": lambda z: z,
        "relu": ops.relu,
        "relu6": ops.relu6,
        "leaky_relu": lambda z: ops.leaky_relu(z, 0.2),
        "sigmoid": ops.sigmoid,
        "tanh": ops.tanh,
    }[activation]
    dy = rng.standard_normal((2, 5, 5, 12)).astype(np.float32)
    fused = gradients(lambda x, w, b: ops.conv2d(x, w, b, groups=groups, activation=activation), [x, w, b], dy)
    separate = gradients(lambda x, w, b: plain(ops.conv2d(x, w, b, groups=groups)), [x, w, b], dy)
    np.testing.assert_array_equal(fused[0], separate[0])
    for a, b in zip(fused[1][:2], separate[1][:2], strict=True):
        np.testing.assert_array_equal(a, b)
    # The bias's gradient is summed up by whichever pass meets dy, each in an order of its own.
    assert_close(fused[1][2], separate[1][2].astype(np.float64), dy[..., 0].size)


def transposed_reference(x, w, strides, pads, dilation, out):
    """Every input value spreads over a window of outputs; `pads` cut the result's edges off."""
    rank = w.ndim - 2
    full = [out[a] + sum(pads[a]) for a in range(rank)]
    y = np.zeros((x.shape[0], *full, w.shape[-2]))
    for position in np.ndindex(*x.shape[1:-1]):
        for tap in np.ndindex(*w.shape[:rank]):
            at = tuple(position[a] * strides[a] + tap[a] * dilation[a] for a in range(rank))
            if all(at[a] < full[a] for a in range(rank)):
                y[(slice(None), *at)] += x[(slice(None), *position)].astype(np.float64) @ w[tap].T
    return y[(slice(None), *[slice(p[0], f - p[1]) for p, f in zip(pads, full, strict=True)])]


@pytest.mark.parametrize("seed", range(24))
def test_transposed_convolutions(isa, seed):
    rng = np.random.default_rng(seed)
    rank = int(rng.integers(1, 4))
    strides = [int(v) for v in rng.integers(1, 4, rank)]
    dilation = [int(v) for v in rng.integers(1, 3, rank)] if seed % 2 else [1] * rank
    window = [int(v) for v in rng.integers(1, 5, rank)]
    sizes = [int(v) for v in rng.integers(1, 6, rank)]
    x = rng.standard_normal((2, *sizes, 5)).astype(np.float32)
    w = rng.standard_normal((*window, 7, 5)).astype(np.float32)
    b = rng.standard_normal(7).astype(np.float32)
    reach = [(k - 1) * d + 1 for k, d in zip(window, dilation, strict=True)]
    padding = ["valid", "same"][seed % 2]
    if padding == "valid":
        out = [(n - 1) * s + max(r, s) for n, s, r in zip(sizes, strides, reach, strict=True)]
        pads = [(0, 0)] * rank
    else:
        out = [n * s for n, s in zip(sizes, strides, strict=True)]
        pads = same_pads(out, window, strides, dilation)
    arguments = {"strides": strides, "padding": padding, "dilation_rate": dilation}
    y = TRANSPOSE[rank](x, w, b, **arguments)
    expected = transposed_reference(x, w, strides, pads, dilation, out)
    assert_close(y, expected + b, 5 * int(np.prod(window)))
    gradcheck(lambda x, w, b: TRANSPOSE[rank](x, w, b, activation="tanh", **arguments), [x, w, b])


def test_transposed_output_padding():
    x, w = np.ones((1, 3, 3, 2), np.float32), np.ones((3, 3, 4, 2), np.float32)
    assert ops.conv2d_transpose(x, w, strides=2).shape == (1, 7, 7, 4)
    assert ops.conv2d_transpose(x, w, strides=2, padding=1, output_padding=1).shape == (1, 6, 6, 4)
    assert ops.conv2d_transpose(x, w, strides=2, padding="same").shape == (1, 6, 6, 4)
    assert ops.conv2d_transpose(x, w, strides=2, padding="same", output_padding=1).shape == (1, 6, 6, 4)
    with pytest.raises(ValueError, match="output_padding must be less than the stride"):
        ops.conv2d_transpose(x, w, strides=2, output_padding=2)


def check_dense(rng, rows, features, units):
    x = rng.standard_normal((rows, features)).astype(np.float32)
    w = rng.standard_normal((features, units)).astype(np.float32)
    b = rng.standard_normal(units).astype(np.float32)
    dy = rng.standard_normal((rows, units)).astype(np.float32)
    y, (dx, dw, db) = gradients(ops.dense, [x, w, b], dy)
    x, w, dy = x.astype(np.float64), w.astype(np.float64), dy.astype(np.float64)
    assert_close(y, x @ w + b, features)
    assert_close(dx, dy @ w.T, units)
    assert_close(dw, x.T @ dy, rows)
    assert_close(db, dy.sum(0), rows)


@pytest.mark.parametrize("rows", [0, 1, 2, 13, 130])
@pytest.mark.parametrize("features", [1, 7, 33, 300])
def test_dense(isa, threads, rng, rows, features):
    check_dense(rng, rows, features, 19)


@pytest.mark.parametrize("rows", range(1, 10))
@pytest.mark.parametrize("units", [1, 4, 31, 144, 335])
def test_dense_of_few_rows(isa, rng, rows, units):
    check_dense(rng, rows, int(rng.integers(1, 200)), units)


def test_dense_of_few_rows_on_threads(threads, rng):
    check_dense(rng, 3, 700, 500)


@pytest.mark.parametrize("rows", [1, 7])
def test_dense_of_few_rows_gives_the_same_bits(same_bits_for_all_threads, rng, rows):
    x, w, b = (rng.standard_normal(s).astype(np.float32) for s in ((rows, 900), (900, 333), 333))
    dy = rng.standard_normal((rows, 333)).astype(np.float32)
    same_bits_for_all_threads(lambda: [ops.dense(x, w, b), *gradients(ops.dense, [x, w, b], dy)[1]])


@pytest.mark.parametrize("activation", [None, "relu", "leaky_relu", "sigmoid", "tanh"])
def test_dense_of_few_rows_as_transposed_convolution(isa, rng, activation):
    x = rng.standard_normal((2, 1, 1, 21)).astype(np.float32)
    w = rng.standard_normal((1, 1, 37, 21)).astype(np.float32)
    b = rng.standard_normal(37).astype(np.float32)
    y = ops.conv2d_transpose(x, w, b, activation=activation)
    expected = ops.activation(x[:, 0, 0].astype(np.float64) @ w[0, 0].T + b, activation or "linear")
    np.testing.assert_allclose(y[:, 0, 0], expected, rtol=2e-5, atol=2e-5)


def test_infinity_in_one_of_few_rows_stays_there(isa):
    x, w = np.ones((3, 20), np.float32), np.ones((20, 18), np.float32)
    x[1, 4] = np.inf
    y, (dx, dw, _) = gradients(ops.dense, [x, w, np.zeros(18)], np.ones((3, 18)))
    assert np.isinf(y[1]).all()
    assert np.isfinite(y[[0, 2]]).all()
    assert np.isfinite(dx).all()
    assert np.isinf(dw[4]).all()
    assert np.isfinite(np.delete(dw, 4, axis=0)).all()


def test_dense_says_what_does_not_fit():
    with pytest.raises(ValueError, match=r"dense: bias expects shape \(4,\), got \(3,\)"):
        ops.dense(np.ones((2, 3)), np.ones((3, 4)), np.ones(3))
    with pytest.raises(ValueError, match=r"as many features as x has on its last axis, got x: \(2, 3\), kernel"):
        ops.dense(np.ones((2, 3)), np.ones((4, 3)))
    with pytest.raises(ValueError, match=r"dense: kernel must have no empty dimension, got shape \(0, 4\)"):
        ops.dense(np.ones((2, 0)), np.ones((0, 4)))


def test_dense_keeps_leading_axes(rng):
    x = rng.standard_normal((2, 3, 4)).astype(np.float32)
    w = rng.standard_normal((4, 5)).astype(np.float32)
    assert_close(ops.dense(x, w), x.astype(np.float64) @ w, 4)
    assert ops.dense(x[0, 0], w).shape == (5,)
    gradcheck(lambda x, w: ops.dense(x, w, activation="sigmoid"), [x, w])


def test_empty_batch():
    w, b = np.ones((3, 3, 2, 4), np.float32), np.ones(4, np.float32)
    y, (dx, dw, db) = gradients(ops.conv2d, [np.zeros((0, 5, 5, 2)), w, b], None)
    assert y.shape == (0, 3, 3, 4)
    assert dx.shape == (0, 5, 5, 2)
    assert not dw.any()
    assert not db.any()


def test_nan_and_infinity_reach_exactly_their_windows(isa):
    x = np.zeros((1, 9, 9, 3), np.float32)
    x[0, 4, 4, 1], x[0, 0, 0, 0] = np.nan, np.inf
    y = ops.conv2d(x, np.ones((3, 3, 3, 17), np.float32), padding="same", activation="relu")
    nan = np.zeros((9, 9), bool)
    nan[3:6, 3:6] = True
    np.testing.assert_array_equal(np.isnan(y[0]), np.repeat(nan[:, :, None], 17, 2))
    assert np.isinf(y[0, :2, :2]).all()


@pytest.mark.parametrize("dtype", [np.float64, np.float16, np.int64, np.uint8, bool])
def test_other_dtypes_and_strides(rng, dtype):
    x = (rng.standard_normal((2, 8, 8, 4)) * 3).astype(dtype)
    w = rng.standard_normal((3, 3, 4, 5))
    expected = correlate(x, w.astype(np.float32), (1, 1), [(0, 0)] * 2, (1, 1))
    assert_close(ops.conv2d(x, w), expected, 36)
    assert_close(ops.conv2d(np.asfortranarray(x), w), expected, 36)
    readonly = x.copy()
    readonly.flags.writeable = False
    assert_close(
        ops.conv2d(readonly[:, ::-1], w), correlate(x[:, ::-1], w.astype(np.float32), (1, 1), [(0, 0)] * 2, (1, 1)), 36
    )
    unaligned = np.frombuffer(b"\0" + x.astype(np.float32).tobytes(), np.uint8)[1:].view(np.float32).reshape(x.shape)
    assert_close(ops.conv2d(unaligned, w), expected, 36)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            {"kernel": (3, 3, 3, 32)},
            r"conv2d: kernel expects 3 input channels per group, x has 4 "
            r"\(x: \(8, 28, 28, 4\), kernel: \(3, 3, 3, 32\), groups=1\)",
        ),
        ({"x": (8, 28, 4)}, r"conv2d: x expects 4 dimensions .* got shape \(8, 28, 4\)"),
        ({"kernel": (3, 4, 32)}, r"conv2d: kernel expects 4 dimensions .* got shape \(3, 4, 32\)"),
        ({"kernel": (3, 3, 4, 0)}, "conv2d: kernel must have no empty dimension"),
        ({"x": (8, 0, 28, 4)}, "conv2d: x must be at least 1 along height"),
        ({"x": (8, 28, 28, 0)}, "conv2d: x must have at least one channel"),
        ({"kernel": (31, 3, 4, 2)}, "conv2d: kernel spans 31 values along height, x has 28"),
        ({"strides": 0}, "conv2d: strides must be at least 1"),
        ({"strides": (1, 2, 3)}, "conv2d: strides expects"),
        ({"dilation_rate": -1}, "conv2d: dilation_rate must be at least 1"),
        ({"dilation_rate": 2**40}, "conv2d: dilation_rate must be at most"),
        ({"padding": "full"}, "conv2d: padding"),
        ({"padding": -1}, "conv2d: padding must be at least 0"),
        ({"padding": [(1, 1)]}, "conv2d: padding expects"),
        ({"groups": 0}, "conv2d: groups must be at least 1"),
        ({"groups": 3}, "conv2d: kernel expects 4 input channels per group"),
        ({"kernel": (3, 3, 2, 33), "groups": 2}, "cannot be shared out among 2 groups"),
        ({"bias": (31,)}, r"bias expects shape \(32,\), got \(31,\)"),
        ({"activation": "softmax"}, "conv2d: activation must be"),
    ],
)
def test_bad_arguments(arguments, message):
    shapes = {"x": (8, 28, 28, 4), "kernel": (3, 3, 4, 32), **arguments}
    arrays = {name: np.zeros(shapes.pop(name), np.float32) for name in ("x", "kernel", "bias") if name in shapes}
    with pytest.raises(ValueError, match=message):
        ops.conv2d(**arrays, **shapes)


@pytest.mark.parametrize("bad", [np.zeros((1, 5, 5, 1), complex), "text", [[1, 2], [3]], None])
def test_what_is_not_numbers_is_refused(bad):
    with pytest.raises(TypeError, match="conv2d: x must be an array of real numbers"):
        ops.conv2d(bad, np.ones((3, 3, 1, 1)))


def test_huge_outputs_are_refused_before_anything_is_allocated():
    x, w = np.zeros((1, 1, 1, 1), np.float32), np.zeros((1, 1, 1, 1), np.float32)
    with pytest.raises(ValueError, match="larger than this machine can address"):
        ops.conv2d(x, w, padding=2**31 - 2)


# Facts from course notes.


@pytest.mark.parametrize(
    ("x", "kernel", "arguments", "y"),
    [
        ((1, 6, 6, 3), (3, 3, 3, 2), {}, (1, 4, 4, 2)),
        ((1, 6, 6, 3), (3, 3, 3, 2), {"padding": 1}, (1, 6, 6, 2)),
        ((1, 6, 6, 3), (3, 3, 3, 2), {"padding": "same"}, (1, 6, 6, 2)),
        ((1, 4, 4, 3), (2, 2, 3, 11), {}, (1, 3, 3, 11)),
        ((1, 32, 32, 3), (5, 5, 3, 1), {}, (1, 28, 28, 1)),
        ((1, 100, 100, 4), (3, 3, 4, 9), {}, (1, 98, 98, 9)),
        ((1, 7, 7, 1), (3, 3, 1, 1), {}, (1, 5, 5, 1)),
        ((1, 7, 7, 1), (3, 3, 1, 1), {"strides": 2}, (1, 3, 3, 1)),
        ((1, 5, 5, 1), (2, 2, 1, 1), {"strides": 2}, (1, 2, 2, 1)),
        ((1, 5, 5, 1), (2, 2, 1, 1), {"strides": 2, "padding": [(0, 1), (0, 1)]}, (1, 3, 3, 1)),
    ],
)
def test_output_sizes(x, kernel, arguments, y):
    assert ops.conv2d(np.zeros(x), np.zeros(kernel), **arguments).shape == y
    assert ops.conv_output_shape(x, kernel, **arguments) == y


@pytest.mark.parametrize("i", [0, 1, 2, 3, 5])
def test_odd_kernels_padded_by_half_keep_the_size(i):
    assert ops.conv_output_shape((1, 23, 19, 2), (2 * i + 1, 2 * i + 1, 2, 4), padding=i) == (1, 23, 19, 4)


def test_convolution_and_cross_correlation_differ_by_the_flip(rng):
    x, w = rng.standard_normal((1, 8, 8, 2)), rng.standard_normal((3, 4, 2, 3))
    np.testing.assert_array_equal(ops.conv2d(x, w, flip_kernel=True), ops.conv2d(x, w[::-1, ::-1]))
    assert np.abs(ops.conv2d(x, w, flip_kernel=True) - ops.conv2d(x, w)).max() > 0.1


def test_multiply_adds_of_the_inception_bottleneck():
    direct = ops.conv_multiply_adds((1, 28, 28, 192), (5, 5, 192, 32), padding="same")
    squeeze = ops.conv_multiply_adds((1, 28, 28, 192), (1, 1, 192, 16))
    expand = ops.conv_multiply_adds((1, 28, 28, 16), (5, 5, 16, 32), padding="same")
    assert direct == 28 * 28 * 32 * 5 * 5 * 192 == 120_422_400
    assert (squeeze, expand) == (2_408_448, 10_035_200)
    assert round((squeeze + expand) / 1e6, 1) == 12.4
