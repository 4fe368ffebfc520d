"""Max pooling behind a convolution's activation: the gradient passes the activation before it is spread."""

import numpy as np
import pytest

from cnnfast import GradientTape, Tensor, Variable, gradcheck, ops
from cnnfast.ops import _fusion
from reference import assert_close, correlate, max_pool

SLOPES = {None: (1, 1), "relu": (0, 1), "relu6": (0, 1), "leaky_relu": (0.2, 1)}


@pytest.fixture(autouse=True)
def two_steps_for_small_results(monkeypatch):
    monkeypatch.setattr(_fusion, "_TWO_STEPS_SIZE", 0)


def activated(z, activation):
    """The activation's values and slopes."""
    if activation == "sigmoid":
        y = 1 / (1 + np.exp(-z))
        return y, y * (1 - y)
    slopes = np.where(z > 0, *SLOPES[activation][::-1])
    return (np.minimum(z * slopes, 6), np.where(z < 6, slopes, 0)) if activation == "relu6" else (z * slopes, slopes)


def whole_numbers(rng, *shape):
    """Small integers: exact in float32 however they are added up, with many ties."""
    return rng.integers(-2, 3, shape).astype(np.float32)


class Case:
    """A convolution by a 1x1 window, which its reference is quick for, and a pooling of any kind."""

    def __init__(self, rng):
        self.activation = str(rng.choice(["relu", "relu6", "leaky_relu", "sigmoid", "None"]))
        self.activation = None if self.activation == "None" else self.activation
        channels = int(rng.choice([1, 2, 6, 7, 16, 17, 33]))
        self.pool = {
            "pool_size": tuple(int(v) for v in rng.integers(2, 4, 2)),
            "strides": tuple(int(v) for v in rng.integers(1, 4, 2)),
            "padding": [(int(rng.integers(0, 2)), int(rng.integers(0, 2))) for _ in range(2)],
            "dilation_rate": int(rng.integers(1, 3)),
        }
        self.x = whole_numbers(rng, 2, int(rng.integers(5, 12)), int(rng.integers(5, 12)), 3)
        self.w, self.b = whole_numbers(rng, 1, 1, 3, channels), whole_numbers(rng, channels)
        self.window = (*(self.pool[k] for k in ("pool_size", "strides", "padding")), (self.pool["dilation_rate"],) * 2)


def gradients(case, dy, wanted="xwb"):
    """Of sum(dy * max_pool(y)) to what is wanted of x, w, b and the convolution's result y."""
    x, w, b = Tensor(case.x), Variable(case.w), Variable(case.b)
    with GradientTape() as tape:
        tape.watch(x)
        y = ops.conv2d(x, w, b, activation=case.activation)
        p = ops.max_pool2d(y, **case.pool)
    sources = {"x": x, "w": w, "b": b, "y": y}
    return [np.asarray(g) for g in tape.gradient(p, [sources[s] for s in wanted], output_gradients=dy)]


@pytest.mark.parametrize("seed", range(12))
def test_random_convolutions_and_poolings(isa, threads, seed):
    rng = np.random.default_rng([seed, threads])
    for _ in range(3):
        case = Case(rng)
        dy = rng.standard_normal(ops.pool_output_shape((*case.x.shape[:-1], case.b.size), **case.pool))
        dy = dy.astype(np.float32)
        z = correlate(case.x, case.w, (1, 1), [(0, 0)] * 2, (1, 1)) + case.b
        y, slopes = activated(z, case.activation)
        # Where float32 makes ties, they decide.
        dy_of_y = max_pool(y.astype(np.float32), dy, *case.window)[1]
        dz = dy_of_y * slopes
        expected = [
            dz @ case.w[0, 0].T.astype(float),
            np.einsum("nhwc,nhwk->ck", case.x.astype(float), dz)[None, None],
            dz.sum((0, 1, 2)),
        ]
        for found, known in zip(gradients(case, dy), expected, strict=True):
            assert_close(found, known, 40 * dy.size)
        # Asked for the gradient of the result in between, the tape takes the long way.
        *others, found = gradients(case, dy, "xwby")
        assert_close(found, dy_of_y, 9)
        for other, known in zip(others, expected, strict=True):
            assert_close(other, known, 40 * dy.size)


@pytest.mark.parametrize("activation", ["relu", "relu6", "leaky_relu"])
def test_the_activation_is_passed_before_the_gradient_is_spread(rng, activation):
    sizes = []

    def counted(kind, alpha, y, dy, needs_bias):
        sizes.append(dy.shape)
        return before(kind, alpha, y, dy, needs_bias)

    before = _fusion.before_activation
    x, w, b = whole_numbers(rng, 2, 8, 8, 3), Variable(whole_numbers(rng, 3, 3, 3, 6)), Variable(whole_numbers(rng, 6))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("cnnfast.ops.pooling.before_activation", counted)
        patch.setattr(_fusion, "before_activation", counted)
        with GradientTape() as tape:
            p = ops.max_pool2d(ops.conv2d(x, w, b, padding="same", activation=activation))
        tape.gradient(p, [w, b])
    assert sizes == [(2, 4, 4, 6)]


def test_other_users_of_the_result(isa, rng):
    # Their gradients meet in front of the activation, whoever came first.
    x, w, b = (whole_numbers(rng, *s) for s in ((2, 6, 6, 3), (3, 3, 3, 5), (5,)))

    def run(two_steps):
        _fusion._TWO_STEPS_SIZE = 0 if two_steps else 1 << 40
        kernel, bias = Variable(w), Variable(b)
        with GradientTape() as tape:
            y = ops.conv2d(x, kernel, bias, padding="same", activation="leaky_relu")
            first = ops.sum(y * y)
            p, q = ops.max_pool2d(y), ops.max_pool2d(y, 3, 2, "same")
            total = first + ops.sum(p * p) + ops.sum(q) + ops.sum(y)
        return tape.gradient(total, [kernel, bias])

    for found, expected in zip(run(True), run(False), strict=True):
        assert_close(found.numpy(), expected.numpy(), 1000)


def test_depthwise(isa, rng):
    x, w, b = rng.standard_normal((2, 6, 6, 3)), rng.standard_normal((3, 3, 3, 2)), rng.standard_normal(6)
    assert gradcheck(
        lambda x, w, b: ops.max_pool2d(ops.depthwise_conv2d(x, w, b, padding="same", activation="relu")), [x, w, b]
    )


def test_three_dimensions_and_no_bias(isa, rng):
    x, w = rng.standard_normal((1, 4, 5, 4, 2)), rng.standard_normal((2, 2, 2, 2, 3))
    assert gradcheck(lambda x, w: ops.max_pool3d(ops.conv3d(x, w, activation="relu"), 2, 1), [x, w])


def test_some_inputs_only(rng):
    x, w, b = (whole_numbers(rng, *s) for s in ((2, 6, 6, 3), (3, 3, 3, 5), (5,)))
    everything = None
    for asked in ("xwb", "x", "w", "b", "xb"):
        inputs = {"x": Tensor(x), "w": Tensor(w), "b": Tensor(b)}
        sources = [inputs[name] for name in asked]
        with GradientTape() as tape:
            tape.watch(sources)
            p = ops.max_pool2d(ops.conv2d(*inputs.values(), activation="relu"))
        found = dict(zip(asked, tape.gradient(p, sources), strict=True))
        everything = everything or found
        for name, gradient in found.items():
            np.testing.assert_array_equal(gradient, everything[name])


def test_a_tape_that_began_after_the_convolution_sees_its_result_only(rng):
    x, w, b = (whole_numbers(rng, *s) for s in ((2, 6, 6, 3), (3, 3, 3, 5), (5,)))
    kernel, bias = Variable(w), Variable(b)
    with GradientTape() as outer:
        y = ops.conv2d(x, kernel, bias, activation="relu")
        with GradientTape() as inner:
            p = ops.max_pool2d(y)
        assert inner.gradient(p, [kernel, bias]) == [None, None]
        with GradientTape() as inner:
            inner.watch(y)
            p = ops.max_pool2d(y)
        dy = inner.gradient(p, y)
    np.testing.assert_array_equal(dy, max_pool(y.numpy(), np.ones(p.shape), (2, 2), (2, 2), [(0, 0)] * 2, (1, 1))[1])
    assert outer.gradient(p, bias) is not None


def test_persistent_tapes_go_both_ways(rng):
    x, kernel, bias = whole_numbers(rng, 1, 6, 6, 2), Variable(whole_numbers(rng, 3, 3, 2, 4)), Variable(np.ones(4))
    with GradientTape(persistent=True) as tape:
        y = ops.conv2d(x, kernel, bias, activation="relu")
        p = ops.max_pool2d(y)
    short = tape.gradient(p, [kernel, bias])
    _, *long = tape.gradient(p, [y, kernel, bias])
    for a, b in zip(short, long, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("activation", [None, "relu", "relu6", "leaky_relu", "sigmoid"])
def test_not_a_number_and_infinity(isa, rng, activation):
    # Windows leave a row and a column out; a window with two NaN hands the gradient to the first.
    x = whole_numbers(rng, 1, 7, 7, 1)
    x[0, 1, 1], x[0, 0, 1], x[0, 6, 6], x[0, 3, 3], x[0, 4, 4] = np.nan, np.nan, np.nan, np.inf, -np.inf
    kernel, bias = np.ones((1, 1, 1, 3), np.float32), Variable(np.zeros(3))
    results = []
    for two_steps_size in (0, 1 << 40):
        _fusion._TWO_STEPS_SIZE = two_steps_size
        image = Tensor(x)
        with GradientTape() as tape:
            tape.watch(image)
            p = ops.max_pool2d(ops.conv2d(image, kernel, bias, activation=activation))
        results.append([g.numpy() for g in tape.gradient(p, [image, bias])])
    for a, b in zip(*results, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("channels", [6, 32])
def test_same_bits_for_all_threads(isa, rng, same_bits_for_all_threads, channels):
    x, w, b = (rng.standard_normal(s).astype(np.float32) for s in ((4, 30, 30, 3), (3, 3, 3, channels), (channels,)))

    def compute():
        kernel, bias = Variable(w), Variable(b)
        with GradientTape() as tape:
            p = ops.max_pool2d(ops.conv2d(x, kernel, bias, activation="relu"))
            loss = ops.sum(p * p)
        return [g.numpy() for g in tape.gradient(loss, [kernel, bias])]

    same_bits_for_all_threads(compute)


def test_a_bias_that_was_overwritten_is_noticed(rng):
    x, kernel, bias = whole_numbers(rng, 1, 6, 6, 2), Variable(whole_numbers(rng, 3, 3, 2, 4)), Variable(np.ones(4))
    with GradientTape() as tape:
        p = ops.max_pool2d(ops.conv2d(x, kernel, bias, activation="relu"))
    bias.updated_in_place()
    with pytest.raises(RuntimeError, match="was overwritten"):
        tape.gradient(p, [kernel, bias])


@pytest.mark.parametrize("slope", [0.0, 0.1, 1.0, 2.5])
def test_a_slope_of_leaky_relu(rng, slope):
    """As if it were applied by itself, forward and back, by every operation that takes an activation."""
    x = rng.standard_normal((2, 5, 6, 8)).astype(np.float32)
    cases = [
        (ops.conv2d, (3, 3, 8, 5), 5),
        (ops.depthwise_conv2d, (3, 3, 8, 1), 8),
        (ops.conv2d_transpose, (3, 3, 5, 8), 5),
        (ops.dense, (8, 5), 5),
    ]
    for op, shape, channels in cases:
        w = Variable(rng.standard_normal(shape).astype(np.float32))
        b = Variable(rng.standard_normal(channels).astype(np.float32))
        results = []
        for compute in (
            lambda op=op, w=w, b=b: op(x, w, b, activation=("leaky_relu", slope)),
            lambda op=op, w=w, b=b: ops.leaky_relu(op(x, w, b), negative_slope=slope),
        ):
            with GradientTape() as tape:
                y = compute()
                loss = ops.sum(y * y)
            results.append([y, *tape.gradient(loss, [w, b])])
        for found, expected in zip(*results, strict=True):
            assert_close(np.asarray(found), np.asarray(expected))


@pytest.mark.parametrize(
    "activation", [("leaky_relu", -0.1), ("leaky_relu", np.inf), ("relu", 0.1), ("leaky_relu",), 3]
)
def test_pairs_that_are_no_activation(activation):
    with pytest.raises(ValueError, match="conv2d: activation"):
        ops.conv2d(np.ones((1, 3, 3, 1)), np.ones((1, 1, 1, 1)), activation=activation)
