"""The array functions of keras.ops: values against NumPy and against Keras, gradients by differences."""

import numpy as np
import pytest

import keras_peer
from cnnfast import GradientTape, Model, Tensor, gradcheck, layers, ops

RNG = np.random.default_rng(5)


def normal(*shape):
    return RNG.standard_normal(shape).astype(np.float32)


A, B, C = normal(3, 4), normal(3, 4), normal(2, 3, 4)
POSITIVE = np.abs(A) + 0.5
INSIDE = np.tanh(A) * 0.9
ROW = normal(4)
MATRIX = normal(4, 5)
SPECIAL = np.array([np.nan, np.inf, -np.inf, 0.0, -0.0, 1.5], np.float32)
WEIGHTS = np.abs(normal(4)) + 0.1
IDS = np.array([0, 2, 0, 5, -1])
ROWS = normal(5, 2)
PLACES = np.array([[0, 1], [2, 3], [0, 1]])


def _segments(x, count):
    return np.stack([x[count == i].sum(axis=0) for i in range(3)])


def _scattered(values):
    y = np.zeros((3, 4), np.float32)
    np.add.at(y, (PLACES[:, 0], PLACES[:, 1]), values)
    return y


def _updated(x, new):
    y = x.copy()
    y[[0, 2], [1, 3]] = new
    return y


def _boxed(x, new):
    y = x.copy()
    y[1:3, 2:4] = new
    return y


# Name -> (what is computed with a module of operations, what NumPy says, the differentiable inputs).
DIFFERENTIABLE = {
    "tan": (lambda o, x: o.tan(x), np.tan, INSIDE),
    "arcsin": (lambda o, x: o.arcsin(x), np.arcsin, INSIDE),
    "arccos": (lambda o, x: o.arccos(x), np.arccos, INSIDE),
    "arctan": (lambda o, x: o.arctan(x), np.arctan, A),
    "arctan2": (lambda o, x, y: o.arctan2(x, y), np.arctan2, A, ROW),
    "sinh": (lambda o, x: o.sinh(x), np.sinh, A),
    "cosh": (lambda o, x: o.cosh(x), np.cosh, A),
    "arcsinh": (lambda o, x: o.arcsinh(x), np.arcsinh, A),
    "arccosh": (lambda o, x: o.arccosh(x), np.arccosh, POSITIVE + 1),
    "arctanh": (lambda o, x: o.arctanh(x), np.arctanh, INSIDE),
    "log2": (lambda o, x: o.log2(x), np.log2, POSITIVE),
    "log10": (lambda o, x: o.log10(x), np.log10, POSITIVE),
    "exp2": (lambda o, x: o.exp2(x), np.exp2, A),
    "logaddexp": (lambda o, x, y: o.logaddexp(x, y), np.logaddexp, A, ROW),
    "logsumexp": (lambda o, x: o.logsumexp(x, axis=1), lambda x: np.log(np.exp(x).sum(1)), A),
    "logsumexp of all": (lambda o, x: o.logsumexp(x), lambda x: np.log(np.exp(x).sum()), A),
    "logsumexp of two": (
        lambda o, x: o.logsumexp(x, (0, -1), keepdims=True),
        lambda x: np.log(np.exp(x).sum((0, 2), keepdims=True)),
        C,
    ),
    "mod": (lambda o, x, y: o.mod(x, y), np.mod, A, POSITIVE[:1]),
    "mod of negatives": (lambda o, x, y: o.mod(x, y), np.mod, A, -POSITIVE[:1]),
    "cumsum": (lambda o, x: o.cumsum(x, axis=1), lambda x: np.cumsum(x, 1), C),
    "cumsum in a row": (lambda o, x: o.cumsum(x), np.cumsum, C),
    "cumprod": (lambda o, x: o.cumprod(x, axis=-1), lambda x: np.cumprod(x, -1), C),
    "cumprod with zeros": (lambda o, x: o.cumprod(x, axis=0), lambda x: np.cumprod(x, 0), A * (A > 0)),
    "dot of vectors": (lambda o, x, y: o.dot(x, y), np.dot, ROW, ROW + 1),
    "dot of matrices": (lambda o, x, y: o.dot(x, y), np.dot, A, MATRIX),
    "dot of many axes": (lambda o, x, y: o.dot(x, y), np.dot, C, normal(2, 4, 3)),
    "dot with a number": (lambda o, x, y: o.dot(x, y), np.dot, A, np.float32(3)),
    "tensordot": (lambda o, x, y: o.tensordot(x, y, 1), lambda x, y: np.tensordot(x, y, 1), C, MATRIX),
    "tensordot of pairs": (
        lambda o, x, y: o.tensordot(x, y, [[0, 2], [1, 0]]),
        lambda x, y: np.tensordot(x, y, [[0, 2], [1, 0]]),
        C,
        normal(4, 2, 5),
    ),
    "tensordot of none": (lambda o, x, y: o.tensordot(x, y, 0), lambda x, y: np.tensordot(x, y, 0), ROW, A),
    "outer": (lambda o, x, y: o.outer(x, y), np.outer, A, ROW),
    "norm": (lambda o, x: o.norm(x), np.linalg.norm, A),
    "norm of rows": (lambda o, x: o.norm(x, axis=1), lambda x: np.linalg.norm(x, axis=1), A),
    "norm 1": (lambda o, x: o.norm(x, 1, axis=-1), lambda x: np.linalg.norm(x, 1, axis=-1), C),
    "norm 3": (lambda o, x: o.norm(x, 3, axis=-1), lambda x: np.linalg.norm(x, 3, axis=-1), C),
    "norm inf": (lambda o, x: o.norm(x, np.inf, axis=1), lambda x: np.linalg.norm(x, np.inf, axis=1), C),
    "norm fro": (lambda o, x: o.norm(x, "fro", axis=(0, 2)), lambda x: np.linalg.norm(x, "fro", axis=(0, 2)), C),
    "matrix norm 1": (lambda o, x: o.norm(x, 1, axis=(1, 2)), lambda x: np.linalg.norm(x, 1, axis=(1, 2)), C),
    "matrix norm inf": (
        lambda o, x: o.norm(x, np.inf, axis=(1, 2), keepdims=True),
        lambda x: np.linalg.norm(x, np.inf, axis=(1, 2), keepdims=True),
        C,
    ),
    "normalize": (lambda o, x: o.normalize(x), lambda x: x / np.linalg.norm(x, axis=-1, keepdims=True), A),
    "normalize order 1": (
        lambda o, x: o.normalize(x, axis=0, order=1),
        lambda x: x / np.abs(x).sum(0, keepdims=True),
        A,
    ),
    "average": (lambda o, x: o.average(x, axis=1), lambda x: x.mean(1), A),
    "average of all": (lambda o, x, w: o.average(x, weights=w), lambda x, w: np.average(x, weights=w), A, POSITIVE),
    "average of rows": (
        lambda o, x, w: o.average(x, axis=1, weights=w),
        lambda x, w: np.average(x, axis=1, weights=w),
        A,
        WEIGHTS,
    ),
    "moments": (lambda o, x: o.moments(x, [0, 1])[1], lambda x: np.var(x, (0, 1)), C),
    "median": (lambda o, x: o.median(x, axis=1), lambda x: np.median(x, 1), A),
    "median of all": (lambda o, x: o.median(x), np.median, C),
    "median of two": (lambda o, x: o.median(x, (0, 2)), lambda x: np.median(x, (0, 2)), C),
    "quantile": (lambda o, x: o.quantile(x, 0.3, axis=0), lambda x: np.quantile(x, 0.3, 0), A),
    "quantiles": (
        lambda o, x: o.quantile(x, [0.0, 0.41, 1.0], axis=-1, keepdims=True),
        lambda x: np.quantile(x, [0.0, 0.41, 1.0], axis=-1, keepdims=True),
        C,
    ),
    "quantile nearest": (
        lambda o, x: o.quantile(x, 0.4, axis=1, method="nearest"),
        lambda x: np.quantile(x, 0.4, 1, method="nearest"),
        A,
    ),
    "quantile midpoint": (
        lambda o, x: o.quantile(x, 0.4, axis=1, method="midpoint"),
        lambda x: np.quantile(x, 0.4, 1, method="midpoint"),
        A,
    ),
    "sort": (lambda o, x: o.sort(x), np.sort, A),
    "sort axis": (lambda o, x: o.sort(x, axis=0), lambda x: np.sort(x, 0), A),
    "top_k": (lambda o, x: o.top_k(x, 2)[0], lambda x: -np.sort(-x)[..., :2], A),
    "tile": (lambda o, x: o.tile(x, (2, 1, 3)), lambda x: np.tile(x, (2, 1, 3)), A),
    "tile a few": (lambda o, x: o.tile(x, 2), lambda x: np.tile(x, 2), A),
    "repeat": (lambda o, x: o.repeat(x, 3, axis=1), lambda x: np.repeat(x, 3, 1), A),
    "repeat in a row": (lambda o, x: o.repeat(x, 2), lambda x: np.repeat(x, 2), A),
    "repeat each": (lambda o, x: o.repeat(x, np.array([2, 0, 1]), axis=0), lambda x: np.repeat(x, [2, 0, 1], 0), A),
    "roll": (lambda o, x: o.roll(x, 2), lambda x: np.roll(x, 2), A),
    "roll axes": (lambda o, x: o.roll(x, (1, -2), (0, 1)), lambda x: np.roll(x, (1, -2), (0, 1)), A),
    "rot90": (lambda o, x: o.rot90(x), np.rot90, A),
    "rot90 axes": (lambda o, x: o.rot90(x, 3, (2, 1)), lambda x: np.rot90(x, 3, (2, 1)), C),
    "tril": (lambda o, x: o.tril(x, 1), lambda x: np.tril(x, 1), C),
    "triu": (lambda o, x: o.triu(x, -1), lambda x: np.triu(x, -1), C),
    "diagonal": (lambda o, x: o.diagonal(x, 1, 0, 2), lambda x: np.diagonal(x, 1, 0, 2), C),
    "diagonal below": (lambda o, x: o.diagonal(x, -1), lambda x: np.diagonal(x, -1), A),
    "trace": (lambda o, x: o.trace(x, 1), lambda x: np.trace(x, 1), A),
    "unstack": (lambda o, x: o.unstack(x, axis=1)[2], lambda x: x[:, 2], A),
    "hstack": (lambda o, x, y: o.hstack([x, y]), lambda x, y: np.hstack([x, y]), A, B),
    "hstack rows": (lambda o, x, y: o.hstack([x, y]), lambda x, y: np.hstack([x, y]), ROW, ROW),
    "vstack": (lambda o, x, y: o.vstack([x, y]), lambda x, y: np.vstack([x, y]), A, B),
    "vstack rows": (lambda o, x, y: o.vstack([x, y]), lambda x, y: np.vstack([x, y]), ROW, ROW),
    "append": (lambda o, x, y: o.append(x, y), np.append, A, ROW),
    "append axis": (lambda o, x, y: o.append(x, y, axis=1), lambda x, y: np.append(x, y, 1), A, B),
    "nan_to_num": (lambda o, x: o.nan_to_num(x), np.nan_to_num, A),
    "absolute": (lambda o, x: o.absolute(x), np.abs, A),
    "amax": (lambda o, x: o.amax(x, axis=1), lambda x: x.max(1), A),
    "amin": (lambda o, x: o.amin(x, 0), lambda x: x.min(0), A),
    "cast": (lambda o, x: o.cast(x, "float32"), np.array, A),
    "take_along_axis": (
        lambda o, x: o.take_along_axis(x, np.array([[1, 1], [0, 3], [2, 0]]), axis=1),
        lambda x: np.take_along_axis(x, np.array([[1, 1], [0, 3], [2, 0]]), 1),
        A,
    ),
    "take_along_axis that broadcasts": (
        lambda o, x: o.take_along_axis(x, np.array([[[1], [0], [3]]]), axis=2),
        lambda x: np.take_along_axis(x, np.array([[[1], [0], [3]]]), 2),
        C,
    ),
    "segment_sum": (lambda o, x: o.segment_sum(x, IDS, num_segments=3), lambda x: _segments(x, IDS), ROWS),
    "scatter": (lambda o, x: o.scatter(PLACES, x, (3, 4)), _scattered, normal(3)),
    "scatter rows": (
        lambda o, x: o.scatter(np.array([[2], [0]]), x, (3, 4)),
        lambda x: np.stack([x[1], x[0] * 0, x[0]]),
        normal(2, 4),
    ),
    "scatter_update": (lambda o, x, y: o.scatter_update(x, PLACES[:2], y), _updated, A, normal(2)),
    "scatter_update add": (
        lambda o, x, y: o.scatter_update(x, PLACES, y, "add"),
        lambda x, y: x + _scattered(y),
        A,
        normal(3),
    ),
    "slice": (lambda o, x: o.slice(x, (1, 0, 1), (1, 3, 2)), lambda x: x[1:2, 0:3, 1:3], C),
    "slice_update": (lambda o, x, y: o.slice_update(x, (1, 2), y), _boxed, A, normal(2, 2)),
}  # fmt: skip


# Keras's function for PyTorch does not do what its documentation says: NumPy's does.
NOT_IN_KERAS = {"dot of many axes", "average of all"}


def _numbers(x):
    return (
        [_numbers(item) for item in x] if isinstance(x, (list, tuple)) else keras_peer.keras().ops.convert_to_numpy(x)
    )


@pytest.mark.parametrize("name", DIFFERENTIABLE)
def test_differentiable(name):
    function, reference, *inputs = DIFFERENTIABLE[name]
    expected = reference(*inputs)
    for found in (function(ops, *inputs), function(ops, *[Tensor(x) for x in inputs])):
        assert np.asarray(found).dtype == np.float32
        np.testing.assert_allclose(np.asarray(found), expected, rtol=2e-5, atol=1e-6)
        assert np.shape(found) == np.shape(expected)
    assert gradcheck(lambda *xs: function(ops, *xs), inputs, atol=1e-4)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", [name for name in DIFFERENTIABLE if name not in NOT_IN_KERAS])
def test_differentiable_as_keras(name):
    keras = keras_peer.keras()
    function, _, *inputs = DIFFERENTIABLE[name]
    expected = _numbers(function(keras.ops, *[keras.ops.convert_to_tensor(x) for x in inputs]))
    np.testing.assert_allclose(function(ops, *inputs), expected, rtol=2e-5, atol=1e-6)


EINSUMS = {
    "matrices": ("ij,jk->ik", (3, 4), (4, 5)),
    "implicit": ("ij,jk", (3, 4), (4, 5)),
    "implicit order": ("ba", (3, 4)),
    "channels": ("nhwc,cd->nhwd", (2, 3, 3, 4), (4, 5)),
    "batches": ("bij,bkj->bik", (2, 3, 4), (2, 5, 4)),
    "total": ("ij->", (3, 4)),
    "sum of an own axis": ("ij,k->k", (3, 4), (5,)),
    "trace": ("ii", (4, 4)),
    "diagonal": ("ii->i", (4, 4)),
    "diagonals of many": ("bii,bj->ij", (2, 4, 4), (2, 3)),
    "three": ("ij,jk,kl->il", (2, 3), (3, 4), (4, 2)),
    "ellipsis": ("...ij,jk->...ik", (2, 5, 3, 4), (4, 2)),
    "ellipses that broadcast": ("...i,...i->...", (2, 5, 4), (5, 4)),
    "ellipses with ones": ("...i,...i->...", (2, 1, 4), (5, 4)),
    "squares": ("ij,ij->i", (3, 4), (3, 4)),
    "outer": ("i,j->ji", (3,), (4,)),
}


@pytest.mark.parametrize("name", EINSUMS)
def test_einsum(name):
    subscripts, *shapes = EINSUMS[name]
    inputs = [normal(*shape) for shape in shapes]
    np.testing.assert_allclose(ops.einsum(subscripts, *inputs), np.einsum(subscripts, *inputs), rtol=1e-5, atol=1e-6)
    assert gradcheck(lambda *xs: ops.einsum(subscripts, *xs), inputs)


# Without a gradient: plain arrays of integers or booleans, or of steps.
PLAIN = {
    "argmax": lambda o: o.argmax(A, axis=1),
    "argmax of all": lambda o: o.argmax(C),
    "argmax kept": lambda o: o.argmax(C, axis=1, keepdims=True),
    "argmin": lambda o: o.argmin(A, axis=-1),
    "argsort": lambda o: o.argsort(A, axis=0),
    "argsort in a row": lambda o: o.argsort(A, axis=None),
    "top_k": lambda o: o.cast(o.top_k(A, 3)[1], "int32"),
    "in_top_k": lambda o: o.in_top_k(np.array([0, 3, 2]), A, 2),
    "any": lambda o: o.any(A > 1, axis=1),
    "all": lambda o: o.all(A, axis=(0, 1)),
    "all kept": lambda o: o.all(A > -1, axis=0, keepdims=True),
    "count_nonzero": lambda o: o.count_nonzero(A > 0, axis=1),
    "equal": lambda o: o.equal(A, B),
    "not_equal": lambda o: o.not_equal(SPECIAL, SPECIAL),
    "less": lambda o: o.less(A, 0.5),
    "less_equal": lambda o: o.less_equal(A, ROW),
    "greater": lambda o: o.greater(SPECIAL, 0.0),
    "greater_equal": lambda o: o.greater_equal(A, ROW),
    "logical_and": lambda o: o.logical_and(A > 0, B > 0),
    "logical_or": lambda o: o.logical_or(A > 0, B > 0),
    "logical_xor": lambda o: o.logical_xor(A > 0, B > 0),
    "logical_not": lambda o: o.logical_not(A > 0),
    "isfinite": lambda o: o.isfinite(SPECIAL),
    "isinf": lambda o: o.isinf(SPECIAL),
    "isnan": lambda o: o.isnan(SPECIAL),
    "isclose": lambda o: o.isclose(A, A * np.float32(1 + 1e-7)),
    "isclose nan": lambda o: o.isclose(SPECIAL, SPECIAL, equal_nan=True),
    "floor": lambda o: o.floor(A * 3),
    "ceil": lambda o: o.ceil(A * 3),
    "trunc": lambda o: o.trunc(A * 3),
    "round": lambda o: o.round(A * 3),
    "round to places": lambda o: o.round(A, 2),
    "floor_divide": lambda o: o.floor_divide(A, ROW),
    "zeros": lambda o: o.zeros((2, 3)),
    "zeros of integers": lambda o: o.zeros((2,), "int32"),
    "ones": lambda o: o.ones((2, 0)),
    "full": lambda o: o.full((2, 3), 4.5),
    "zeros_like": lambda o: o.zeros_like(A),
    "ones_like": lambda o: o.ones_like(IDS, dtype="float32"),
    "full_like": lambda o: o.full_like(A, 3),
    "eye": lambda o: o.eye(3, 4, 1),
    "identity": lambda o: o.identity(3, "int32"),
    "tri": lambda o: o.tri(3, 4, -1),
    "arange": lambda o: o.arange(5),
    "arange of floats": lambda o: o.arange(1.0, 2.0, 0.25),
    "arange down": lambda o: o.arange(5, -1, -2),
    "arange as": lambda o: o.arange(3, dtype="float32"),
    "linspace": lambda o: o.linspace(0.0, 1.0, 7),
    "linspace open": lambda o: o.linspace(-1, 1, 4, endpoint=False),
    "cast": lambda o: o.cast(A * 5, "int32"),
    "cast to booleans": lambda o: o.cast(np.array([0.0, 0.5], np.float32), "bool"),
    "multi_hot": lambda o: o.multi_hot(np.array([[0, 2], [1, 1]]), 4),
    "one_hot": lambda o: o.one_hot(np.array([[0, 2], [1, 1]]), 4, axis=1, dtype="int32"),
    "sort of integers": lambda o: o.sort(np.array([3, 1, 2], np.int32)),
    "tile of integers": lambda o: o.tile(np.array([3, 1, 2], np.int32), 2),
    "cumsum of integers": lambda o: o.cumsum(np.array([3, 1, 2], np.int32)),
    "nan_to_num": lambda o: o.nan_to_num(SPECIAL, nan=2.0, posinf=9.0),
    "logsumexp at infinity": lambda o: o.logsumexp(np.array([[-np.inf, -np.inf], [np.inf, 0]], np.float32), axis=1),
    "sort of NaN": lambda o: o.sort(SPECIAL),
    "median of NaN": lambda o: o.median(SPECIAL),
    "normalize of zeros": lambda o: o.normalize(np.zeros((2, 3), np.float32)),
    "meshgrid": lambda o: o.meshgrid(ROW, WEIGHTS[:2])[1],
    "meshgrid ij": lambda o: o.meshgrid(ROW, WEIGHTS[:2], indexing="ij")[0],
}  # fmt: skip


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", PLAIN)
def test_plain_as_keras(name):
    function = PLAIN[name]
    expected = _numbers(function(keras_peer.keras().ops))
    found = function(ops)
    assert type(found) is np.ndarray
    assert found.shape == expected.shape
    assert found.dtype == expected.dtype
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_plain_against_numpy():
    np.testing.assert_array_equal(ops.argsort(A, axis=0), np.argsort(A, axis=0))
    np.testing.assert_array_equal(ops.less(A, ROW), A < ROW)
    np.testing.assert_array_equal(ops.floor(A * 3), np.floor(A * 3))
    np.testing.assert_array_equal(ops.arange(2, 9, 3), [2, 5, 8])
    np.testing.assert_array_equal(ops.in_top_k([1, 0], [[1.0, 2.0, 2.0], [1.0, 2.0, 3.0]], 1), [True, False])
    assert ops.shape(C) == (2, 3, 4)
    assert (ops.ndim(C), ops.size(C)) == (3, 24)
    assert ops.argmax(np.zeros((2, 3, 4)), axis=(1)).dtype == np.int32


@pytest.mark.parametrize("name", ["floor", "ceil", "trunc", "round", "sign"])
def test_steps_have_the_gradient_zero(name):
    x = Tensor(A)
    with GradientTape() as tape:
        tape.watch(x)
        y = ops.sum(getattr(ops, name)(x) * 3)
    np.testing.assert_array_equal(tape.gradient(y, x), np.zeros_like(A))


def test_gradients_where_sums_and_lengths_are_zero_or_infinite():
    x = Tensor([-np.inf, 0.0, 0.0])
    zero = Tensor(np.zeros((2, 3), np.float32))
    with GradientTape() as tape:
        tape.watch([x, zero])
        y = [ops.logsumexp(x), ops.norm(zero, axis=1)]
    to_x, to_zero = tape.gradient(y, [x, zero])
    np.testing.assert_allclose(to_x, [0, 0.5, 0.5])
    np.testing.assert_array_equal(to_zero, np.zeros((2, 3)))


def test_of_equal_positions_the_last_update_counts():
    x, new = Tensor([1.0, 2.0]), Tensor([5.0, 6.0, 7.0])
    with GradientTape() as tape:
        tape.watch([x, new])
        y = ops.scatter_update(x, [[0], [0], [0]], new)
    np.testing.assert_array_equal(y, [7, 2])
    to_x, to_new = tape.gradient(y, [x, new])
    np.testing.assert_array_equal(to_x, [0, 1])
    np.testing.assert_array_equal(to_new, [0, 0, 1])


def test_empty_arrays():
    empty = np.zeros((0, 3), np.float32)
    for function in (ops.sort, ops.cumsum, ops.cumprod, ops.roll, ops.tril, ops.floor, ops.tan):
        y = function(empty, 1) if function is ops.roll else function(empty)
        assert np.size(y) == 0
    assert ops.tile(empty, (2, 2)).shape == (0, 6)
    assert ops.repeat(empty, 2, axis=1).shape == (0, 6)
    assert ops.logsumexp(empty, axis=0).tolist() == [-np.inf] * 3
    assert ops.segment_sum(empty, np.zeros(0, int), 2).tolist() == [[0, 0, 0]] * 2
    assert ops.einsum("ij,jk->ik", empty, np.zeros((3, 2))).shape == (0, 2)


def test_operators_of_symbolic_tensors():
    x = layers.Input((4,))
    outputs = {
        "lt": x < 0.5,
        "le": x <= 0.5,
        "gt": x > 0.5,
        "ge": x >= 0.5,
        "ne": x != 0.5,
        "and": (x > 0) & (x < 1),
        "or": (x > 1) | (x < 0),
        "xor": (x > 0) ^ (x < 1),
        "not": ~(x > 0),
        "mod": x % 0.3,
        "floordiv": x // 0.3,
        "argmax": ops.argmax(x, axis=-1),
        "one_hot": ops.one_hot(ops.argmax(x, axis=-1), 4),
        "where": ops.where(x > 0, x, -2.0 * x),
        "top": ops.top_k(x, 2)[0],
        "einsum": ops.einsum("ij,ij->i", x, x),
    }
    found = Model(x, outputs)(A)
    expected = {
        "lt": A < 0.5,
        "le": A <= 0.5,
        "gt": A > 0.5,
        "ge": A >= 0.5,
        "ne": A != 0.5,
        "and": (A > 0) & (A < 1),
        "or": (A > 1) | (A < 0),
        "xor": (A > 0) ^ (A < 1),
        "not": A <= 0,
        "mod": np.mod(A, 0.3),
        "floordiv": np.floor_divide(A, 0.3),
        "argmax": A.argmax(-1),
        "one_hot": np.eye(4)[A.argmax(-1)],
        "where": np.where(A > 0, A, -2 * A),
        "top": -np.sort(-A)[:, :2],
        "einsum": (A * A).sum(1),
    }
    for name, value in expected.items():
        np.testing.assert_allclose(np.asarray(found[name], np.float32), value, rtol=1e-5, atol=1e-6, err_msg=name)


def test_remainders_of_tensors():
    x = Tensor(A)
    np.testing.assert_allclose(x % 0.3, np.mod(A, np.float32(0.3)), atol=1e-6)
    np.testing.assert_array_equal(2.0 // x, np.floor_divide(np.float32(2), A))
    assert ops.mod(np.array([7, -7]), 3).tolist() == [1, 2]


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: ops.zeros(3, "float64"), ValueError, "zeros: dtype='float64' cannot be honoured"),
        (lambda: ops.cast(A, "string"), TypeError, "cast: dtype expects"),
        (lambda: ops.equal(A, normal(3)), ValueError, r"equal: shapes \(3, 4\) and \(3,\) do not broadcast"),
        (lambda: ops.argmax(np.zeros((2, 0)), axis=1), ValueError, "argmax: no elements"),
        (lambda: ops.sort(A, axis=2), ValueError, "sort: axis 2 is out of range"),
        (lambda: ops.top_k(A, 5), ValueError, "top_k: k expects"),
        (lambda: ops.quantile(A, 1.5), ValueError, "quantile: q expects numbers from 0 to 1"),
        (lambda: ops.dot(A, A), ValueError, "dot: x1 has 4 elements on its last axis, x2 3"),
        (lambda: ops.tensordot(A, A, 3), ValueError, "tensordot: axes expects a number up to 2"),
        (lambda: ops.einsum("ij,jk->ik", A), ValueError, "describes 2 operands, got 1"),
        (lambda: ops.einsum("ijk->i", A), ValueError, "does not fit operand 0"),
        (lambda: ops.einsum("ij->ii", A), ValueError, "each once"),
        (lambda: ops.einsum("ij,jk->ik", A, A), ValueError, "does not fit shapes"),
        (lambda: ops.norm(C, 2), ValueError, "norm: axis expects one axis or two"),
        (lambda: ops.normalize(A, order=0), ValueError, "normalize: order expects"),
        (lambda: ops.repeat(A, [1, 2], axis=0), ValueError, "repeat: repeats expects"),
        (lambda: ops.roll(A, (1, 2)), ValueError, "roll: shift expects one number"),
        (lambda: ops.tril(ROW), ValueError, "tril: x expects at least two axes"),
        (lambda: ops.unstack(A, num=4), ValueError, "unstack: num expects"),
        (lambda: ops.segment_sum(A, [0, 1]), ValueError, "segment_sum: segment_ids expects one per row"),
        (lambda: ops.scatter([[0, 1, 2]], [1.0], (3, 4)), ValueError, "scatter: indices expects rows of up to 2"),
        (lambda: ops.slice(A, (0, 2), (1, 3)), ValueError, "slice: the box"),
        (lambda: ops.take_along_axis(A, np.zeros((2, 2), int), 1), ValueError, "take_along_axis: indices of shape"),
        (lambda: ops.multi_hot([0]), ValueError, "multi_hot: num_classes"),
        (lambda: ops.arange(0, 5, 0), ValueError, "arange: step"),
        (lambda: ops.moments(A, 0, synchronized=True), ValueError, "synchronized=True cannot be honoured"),
        (lambda: ops.average(A, 1, weights=normal(3)), ValueError, "average: weights expects"),
    ],
)  # fmt: skip
def test_errors_say_what_is_wrong(call, error, message):
    with pytest.raises(error, match=message):
        call()
