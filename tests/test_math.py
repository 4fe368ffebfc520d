"""Arithmetic, reductions and rearrangements: values against NumPy in double precision, gradients by differences."""

import zlib

import numpy as np
import pytest

from cnnfast import GradientTape, Tensor, gradcheck, ops

# Shapes that broadcast together, drawn at random for each case: below.
ROUNDS = 6


@pytest.fixture
def draw(request):
    """Random shapes and numbers, the same on every run."""
    return np.random.default_rng(zlib.crc32(request.node.nodeid.encode()))


def random_shape(rng, rank=None):
    rank = rng.integers(0, 4) if rank is None else rank
    return tuple(int(n) for n in rng.choice([1, 2, 3, 5], rank))


def broadcast_pair(rng):
    """Two shapes that broadcast: axes of one are dropped in front or set to 1."""
    full = random_shape(rng)

    def part():
        shape = [n if rng.random() < 0.7 else 1 for n in full]
        return tuple(shape[rng.integers(0, len(full) + 1) if rng.random() < 0.3 else 0 :])

    return part(), part()


def check(function, reference, arrays, terms=1):
    """The value against the reference in double precision, and every gradient."""
    arrays = [np.asarray(x, np.float32) for x in arrays]
    expected = np.asarray(reference(*[x.astype(np.float64) for x in arrays]))
    for found in (function(*arrays), function(*[Tensor(x) for x in arrays])):
        assert np.asarray(found).dtype == np.float32
        assert np.asarray(found).flags.c_contiguous
        assert found.shape == expected.shape
        np.testing.assert_allclose(np.asarray(found), expected, rtol=2e-6 * terms, atol=1e-6 * terms)
    assert gradcheck(function, arrays)


def away_from(value, x, gap=0.05):
    """x without numbers near `value`, where the function has a kink or a pole."""
    return np.where(np.abs(x - value) < gap, value + gap * np.where(x < value, -1, 1), x)


BINARY = {
    "add": (ops.add, np.add, 1),
    "subtract": (ops.subtract, np.subtract, 1),
    "multiply": (ops.multiply, np.multiply, 1),
    "divide": (ops.divide, np.divide, 1),
    "power": (ops.power, np.power, 4),
    "maximum": (ops.maximum, np.maximum, 1),
    "minimum": (ops.minimum, np.minimum, 1),
}


@pytest.mark.parametrize("name", BINARY)
def test_binary(name, draw):
    function, reference, terms = BINARY[name]
    for _ in range(ROUNDS):
        first, second = broadcast_pair(draw)
        x, y = draw.standard_normal(first), draw.standard_normal(second)
        if name == "divide":
            y = away_from(0, y, 0.4)
        if name == "power":
            x = np.abs(x) + 0.3
        if name in ("maximum", "minimum"):
            y = np.round(y * 4) / 2 + 0.25  # x keeps off these
            x = np.round(x * 4) / 2
        check(function, reference, [x, y], terms)


UNARY = {
    "negative": (ops.negative, np.negative, None),
    "exp": (ops.exp, np.exp, None),
    "expm1": (ops.expm1, np.expm1, None),
    "log": (ops.log, np.log, 0.2),
    "log1p": (ops.log1p, np.log1p, 0.0),
    "sqrt": (ops.sqrt, np.sqrt, 0.2),
    "rsqrt": (ops.rsqrt, lambda x: 1 / np.sqrt(x), 0.2),
    "square": (ops.square, np.square, None),
    "reciprocal": (ops.reciprocal, lambda x: 1 / x, 0.3),
    "abs": (ops.abs, np.abs, None),
    "sign": (ops.sign, np.sign, None),
    "sin": (ops.sin, np.sin, None),
    "cos": (ops.cos, np.cos, None),
}


@pytest.mark.parametrize("name", UNARY)
def test_unary(name, draw):
    function, reference, lowest = UNARY[name]
    for _ in range(ROUNDS):
        x = away_from(0, draw.standard_normal(random_shape(draw)))
        check(function, reference, [x if lowest is None else np.abs(x) + lowest])


REDUCTIONS = {
    "sum": np.sum,
    "mean": np.mean,
    "var": np.var,
    "std": np.std,
    "max": np.max,
    "min": np.min,
    "prod": np.prod,
}


@pytest.mark.parametrize("name", REDUCTIONS)
@pytest.mark.parametrize("keepdims", [False, True])
def test_reductions(name, keepdims, draw):
    for axis in (None, 0, -1, (0, 2), [1, -1], ()):
        # Numbers that lie apart, so that no step swaps the largest two.
        size = (3, 4, 2)
        x = draw.permutation(24).reshape(size) / 12 - 0.97
        if name == "std" and axis == ():
            continue  # of single numbers: zero, where the root has no slope
        axes = tuple(axis) if isinstance(axis, list) else axis
        check(
            lambda t, axis=axis: getattr(ops, name)(t, axis=axis, keepdims=keepdims),
            lambda a, axes=axes: REDUCTIONS[name](a, axis=axes, keepdims=keepdims),
            [x],
            4,
        )
    assert getattr(ops, name)(np.float32(3)).shape == ()


def test_the_product_has_a_gradient_at_zeros():
    for x in ([2.0, 0.0, 5.0], [0.0, 0.0, 5.0], [2.0, 3.0, 4.0]):
        t = Tensor(x)
        with GradientTape() as tape:
            tape.watch(t)
            y = ops.prod(t)
        expected = [np.prod(np.delete(x, i)) for i in range(3)]
        np.testing.assert_allclose(tape.gradient(y, t), expected, rtol=1e-6)


def test_sums_are_added_up_in_double_precision():
    x = np.full((1 << 20, 3), 0.1, np.float32)
    exact = (1 << 20) * float(np.float32(0.1))
    np.testing.assert_allclose(ops.sum(x, axis=0), [exact] * 3, rtol=1e-7)
    np.testing.assert_allclose(ops.mean(x, axis=0), [np.float32(0.1)] * 3, rtol=1e-7)
    bias = Tensor(np.zeros(3))
    with GradientTape() as tape:
        tape.watch(bias)
        y = x + bias
    np.testing.assert_array_equal(tape.gradient(y, bias, output_gradients=x), ops.sum(x, axis=0))


def test_variance_of_large_numbers_does_not_cancel():
    x = 4096 + np.array([0.0, 0.25, 0.5, 0.75], np.float32)
    assert float(ops.var(x)) == np.var(x.astype(np.float64))


def gradients_of(function, *arrays):
    tensors = [Tensor(x) for x in arrays]
    with GradientTape() as tape:
        tape.watch(tensors)
        y = function(*tensors)
    return [np.asarray(g).tolist() for g in tape.gradient(y, tensors)]


def test_ties_follow_tensorflow():
    # Two operands: all to the first. Along an axis: in equal parts.
    assert gradients_of(ops.maximum, [1.0, 2.0], [1.0, 3.0]) == [[1, 0], [0, 1]]
    assert gradients_of(ops.minimum, [1.0, 2.0], [1.0, 3.0]) == [[1, 1], [0, 0]]
    assert gradients_of(ops.max, [1.0, 3.0, 3.0]) == [[0, 0.5, 0.5]]
    assert gradients_of(ops.min, [1.0, 1.0, 3.0, 1.0, 1.0]) == [[0.25, 0.25, 0, 0.25, 0.25]]
    assert gradients_of(lambda x: ops.clip(x, -1.0, 1.0), [-2.0, -1.0, 0.0, 1.0, 2.0]) == [[0, 1, 1, 1, 0]]
    assert gradients_of(ops.abs, [-2.0, 0.0, 2.0]) == [[-1, 0, 1]]


def test_powers_at_their_edges():
    assert gradients_of(lambda x: x**2, [0.0, -3.0]) == [[0, -6]]
    assert gradients_of(lambda x: x**0, [0.0, -3.0]) == [[0, 0]]
    assert gradients_of(lambda x: x**1, [0.0, -3.0]) == [[1, 1]]
    assert gradients_of(lambda x: x**3.0, [0.0, -3.0]) == [[0, 27]]
    # The logarithm of what is not positive counts as zero.
    assert gradients_of(ops.power, [0.0, -2.0], [2.0, 3.0]) == [[0, 12], [0, 0]]
    assert np.isnan(np.asarray(ops.power(-1.0, 0.5)))


def test_special_values_pass_without_warnings():
    inf, nan = np.inf, np.nan
    np.testing.assert_array_equal(ops.log([0.0, -1.0]), [-inf, nan])
    np.testing.assert_array_equal(ops.divide([1.0, 0.0, -1.0], 0.0), [inf, nan, -inf])
    np.testing.assert_array_equal(ops.exp([1000.0, -inf, nan]), [inf, 0, nan])
    np.testing.assert_array_equal(ops.maximum([nan, 1.0], [1.0, nan]), [nan, nan])
    np.testing.assert_array_equal(ops.max([[nan, 1.0], [2.0, inf]], axis=1), [nan, inf])
    np.testing.assert_array_equal(ops.sum([3e38, 3e38]), inf)
    np.testing.assert_array_equal(ops.matmul([[inf, 1.0]], [0.0, 1.0]), [nan])
    assert gradients_of(ops.sqrt, [0.0]) == [[inf]]
    assert gradients_of(ops.log, [0.0]) == [[inf]]
    assert gradients_of(ops.max, [nan, 1.0, 2.0]) == [[1, 0, 0]]


def test_an_empty_batch_gives_empty_results_and_zero_gradients():
    x, w = np.zeros((0, 3), np.float32), np.ones((3, 2), np.float32)
    assert ops.add(x, 1.0).shape == (0, 3)
    assert ops.matmul(x, w).shape == (0, 2)
    assert ops.sum(x, axis=0).tolist() == [0, 0, 0]
    assert np.isnan(np.asarray(ops.mean(x)))
    assert ops.max(x, axis=1).shape == (0,)
    assert gradients_of(lambda a, b: ops.sum(ops.matmul(a, b)), x, w) == [[], [[0, 0]] * 3]
    assert gradients_of(lambda a: ops.concatenate([a, a[:0]]), x) == [[]]
    with pytest.raises(ValueError, match=r"max: no elements to choose from along axis 0 of shape \(0, 3\)"):
        ops.max(x, axis=0)


def test_matmul_follows_numpy(draw):
    shapes = [
        ((3,), (3,)),
        ((2, 3), (3,)),
        ((3,), (3, 4)),
        ((2, 3), (3, 4)),
        ((5, 2, 3), (3, 4)),
        ((5, 2, 3), (3,)),
        ((3,), (5, 3, 4)),
        ((2, 3), (5, 3, 4)),
        ((5, 2, 3), (5, 3, 4)),
        ((2, 1, 2, 3), (5, 3, 1)),
        ((1, 2, 3), (4, 5, 3, 1)),
        ((0, 2, 3), (3, 4)),
        ((4, 0, 3), (3, 2)),
        # Large enough for the engine, and small enough for one thread.
        ((35, 31), (31, 33)),
        ((5, 7, 31), (31, 33)),
        ((31,), (31, 1100)),
        ((1100, 31), (31,)),
    ]
    for first, second in shapes:
        check(ops.matmul, np.matmul, [draw.standard_normal(first), draw.standard_normal(second)], 8)


@pytest.mark.parametrize("size", [1, 8193, 70001])
def test_constant_bounds(size, isa, threads, rng):
    # Large arrays go through the engine: the same values as NumPy's, and gradients where the definition says.
    x, dy = rng.standard_normal((2, size)).astype(np.float32)
    x[: min(size, 4)] = [0.25, -0.5, np.inf, -np.inf][:size]
    cases = [
        (lambda v: ops.clip(v, -0.5, 0.25), np.clip(x, -0.5, 0.25), (x >= -0.5) & (x <= 0.25)),
        (lambda v: ops.clip(v, 0.25, -0.5), np.full_like(x, -0.5), np.zeros(size, bool)),
        (lambda v: ops.clip(v, x_max=0.25), np.minimum(x, 0.25), x <= 0.25),
        (lambda v: ops.maximum(v, 0.25), np.maximum(x, 0.25), x >= 0.25),
        (lambda v: ops.minimum(v, 0.25), np.minimum(x, 0.25), x <= 0.25),
    ]
    for function, expected, passes in cases:
        source = Tensor(x)
        with GradientTape() as tape:
            tape.watch(source)
            y = function(source)
        np.testing.assert_array_equal(y, expected)
        np.testing.assert_array_equal(tape.gradient(y, source, dy), np.where(passes, dy, np.float32(0)))


def test_constant_bounds_hand_nan_on(isa):
    x = np.zeros(10_000, np.float32)
    x[7] = np.nan
    for y in (ops.clip(x, -1.0, 1.0), ops.maximum(x, -1.0), ops.minimum(x, 1.0)):
        np.testing.assert_array_equal(np.flatnonzero(np.isnan(y)), [7])
    assert np.isnan(ops.clip(x, np.nan, 1.0)).all()
    assert np.isnan(ops.maximum(x, np.nan)).all()


def test_a_tensor_as_bound_gets_its_gradient(rng):
    x, bound = rng.standard_normal(10_000).astype(np.float32), Tensor(0.25)
    with GradientTape() as tape:
        tape.watch(bound)
        y = ops.maximum(x, bound)
    assert tape.gradient(y, bound).numpy() == np.sum(x < 0.25)


def test_clip(draw):
    x = draw.permutation(24).reshape(2, 3, 4) / 8 - 1.45
    low, high = np.array([[-1.0], [-0.5], [0.0]]), np.float32(0.7)
    check(lambda t: ops.clip(t, low, high), lambda a: np.clip(a, low, high), [x])
    check(lambda t: ops.clip(t, 0.34), lambda a: np.maximum(a, 0.34), [x])
    check(lambda t: ops.clip(t, x_max=0.34), lambda a: np.minimum(a, 0.34), [x])


def test_operands_that_do_not_need_a_gradient(draw):
    x, y = draw.standard_normal((2, 3)), draw.standard_normal((2, 3)) + 4
    for function in (ops.add, ops.subtract, ops.multiply, ops.divide, ops.power, ops.maximum, ops.minimum):
        assert gradcheck(lambda t, f=function: f(t, y), [np.abs(x) + 0.5])
        assert gradcheck(lambda t, f=function: f(np.abs(x) + 0.5, t), [y])
    assert gradcheck(lambda t: ops.matmul(t, y.T), [x])
    assert gradcheck(lambda t: ops.matmul(x, t), [y.T])
    assert gradcheck(lambda t: ops.where(x > 0, t, y), [x])
    assert gradcheck(lambda t: ops.where(x > 0, y, t), [x])
    assert gradcheck(lambda t: ops.concatenate([y, t, y]), [x])
    assert gradcheck(lambda t: ops.stack([y, t]), [x])


def test_large_arrays_take_the_engine(draw, threads):
    x, y = draw.standard_normal((2, 300, 70)).astype(np.float32)
    np.testing.assert_array_equal(ops.add(x, y), x + y)
    np.testing.assert_array_equal(ops.multiply(x, y), x * y)
    assert gradients_of(ops.multiply, x, y) == [y.tolist(), x.tolist()]
    for axis in (0, -1):
        np.testing.assert_array_equal(ops.concatenate([x, y, x], axis), np.concatenate([x, y, x], axis))
        found = gradients_of(lambda a, b, axis=axis: ops.concatenate([a, b], axis) * np.concatenate([y, x], axis), x, y)
        assert found == [y.tolist(), x.tolist()]


def test_products_have_the_same_bits_for_all_threads(draw, same_bits_for_all_threads):
    a, b = draw.standard_normal((200, 150)), draw.standard_normal((150, 90))

    def compute():
        tensors = [Tensor(a), Tensor(b)]
        with GradientTape() as tape:
            tape.watch(tensors)
            y = ops.matmul(*tensors)
        return [y, *tape.gradient(y, tensors)]

    same_bits_for_all_threads(compute)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: ops.add(np.ones((2, 3)), np.ones(4)), ValueError, r"add: shapes \(2, 3\) and \(4,\) do not broadcast"),
        (lambda: Tensor([1.0, 2.0]) * np.ones(3), ValueError, r"multiply: shapes \(2,\) and \(3,\) do not"),
        (lambda: ops.exp("text"), TypeError, "exp: x must be an array of real numbers"),
        (lambda: ops.add(1.0, None), TypeError, "add: x2 must be an array of real numbers, got NoneType"),
        (
            lambda: ops.matmul(np.ones((2, 3)), np.ones((4, 5))),
            ValueError,
            r"x1 has rows of 3 elements, x2 has columns",
        ),
        (lambda: ops.matmul(np.ones((2, 2, 3)), np.ones((5, 3, 1))), ValueError, "matmul: the leading axes of"),
        (lambda: ops.matmul(np.ones(3), 2.0), ValueError, "matmul: x2 is a single number"),
        (lambda: ops.sum(np.ones((2, 3)), axis=2), ValueError, r"sum: axis 2 is out of range for shape \(2, 3\)"),
        (lambda: ops.sum(np.ones((2, 3)), axis=(1, -1)), ValueError, "names an axis twice"),
        (lambda: ops.mean(np.ones(3), axis=0.5), TypeError, "mean: axis must be an integer"),
        (lambda: ops.clip(np.ones(3), Tensor(0.0)), TypeError, "clip: x_min is a tensor, which gets no gradient"),
        (lambda: ops.clip(np.ones(3), np.zeros(2)), ValueError, r"clip: x_min of shape \(2,\) does not broadcast"),
    ],
)
def test_bad_inputs_get_clear_errors(call, error, message):
    with pytest.raises(error, match=message):
        call()


def test_the_mean_of_one_number_is_a_copy_with_its_gradient():
    for shape in ((), (1,), (1, 1, 1)):
        x = np.full(shape, 2.5, np.float32)
        y = ops.mean(x)
        assert y.shape == ()
        assert not np.shares_memory(x, y)
        tensor = Tensor(x)
        with GradientTape() as tape:
            tape.watch(tensor)
            y = ops.mean(tensor) * 3
        slope = tape.gradient(y, tensor)
        assert slope.shape == shape
        assert float(slope) == 3.0
        assert np.isnan(ops.mean(np.full(shape, np.nan, np.float32)))
