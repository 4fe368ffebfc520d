"""Rearranging and choosing elements: values against NumPy, gradients by differences."""

import numpy as np
import pytest

from cnnfast import GradientTape, Tensor, gradcheck, ops


def check(function, reference, *shapes):
    """The value against NumPy's, and every gradient."""
    arrays = [np.random.default_rng(len(s)).standard_normal(s).astype(np.float32) for s in shapes]
    expected = reference(*arrays)
    for found in (function(*arrays), function(*[Tensor(x) for x in arrays])):
        np.testing.assert_array_equal(np.asarray(found), expected)
        assert np.asarray(found).flags.c_contiguous
    assert gradcheck(function, arrays)


REARRANGEMENTS = {
    "reshape": (lambda x: ops.reshape(x, (4, -1)), lambda x: x.reshape(4, -1)),
    "reshape to a number": (lambda x: ops.reshape(x, 24), lambda x: x.reshape(24)),
    "ravel": (ops.ravel, np.ravel),
    "transpose": (ops.transpose, np.transpose),
    "transpose axes": (lambda x: ops.transpose(x, (1, -1, 0)), lambda x: x.transpose(1, 2, 0)),
    "moveaxis": (lambda x: ops.moveaxis(x, 0, -1), lambda x: np.moveaxis(x, 0, -1)),
    "moveaxis of two": (lambda x: ops.moveaxis(x, (0, 2), (1, 0)), lambda x: np.moveaxis(x, (0, 2), (1, 0))),
    "swapaxes": (lambda x: ops.swapaxes(x, 0, -1), lambda x: x.swapaxes(0, -1)),
    "expand_dims": (lambda x: ops.expand_dims(x, -1), lambda x: np.expand_dims(x, -1)),
    "expand_dims of two": (lambda x: ops.expand_dims(x, (0, 2)), lambda x: np.expand_dims(x, (0, 2))),
    "broadcast_to": (lambda x: ops.broadcast_to(x, (5, 2, 3, 4)), lambda x: np.broadcast_to(x, (5, 2, 3, 4))),
    "flip": (ops.flip, np.flip),
    "flip axis": (lambda x: ops.flip(x, (0, -1)), lambda x: np.flip(x, (0, -1))),
    "pad": (lambda x: ops.pad(x, 2), lambda x: np.pad(x, 2)),
    "pad pair": (lambda x: ops.pad(x, (1, 2), constant_values=7), lambda x: np.pad(x, (1, 2), constant_values=7)),
    "pad axes": (lambda x: ops.pad(x, [(0, 1), (2, 0), (0, 0)]), lambda x: np.pad(x, [(0, 1), (2, 0), (0, 0)])),
    "pad edge": (lambda x: ops.pad(x, 3, mode="edge"), lambda x: np.pad(x, 3, mode="edge")),
    "pad reflect": (lambda x: ops.pad(x, (5, 1), mode="reflect"), lambda x: np.pad(x, (5, 1), mode="reflect")),
    "pad symmetric": (lambda x: ops.pad(x, 4, mode="symmetric"), lambda x: np.pad(x, 4, mode="symmetric")),
    "squeeze none": (ops.squeeze, np.squeeze),
    "take": (lambda x: ops.take(x, [[1, 0], [-1, 1]], axis=1), lambda x: np.take(x, [[1, 0], [-1, 1]], axis=1)),
    "take flat": (lambda x: ops.take(x, [5, 5, 0]), lambda x: np.take(x, [5, 5, 0])),
    "split sections": (lambda x: ops.split(x, 2, axis=-1)[1], lambda x: np.split(x, 2, axis=-1)[1]),
    "split cuts": (lambda x: ops.split(x, [1, 3], axis=2)[1], lambda x: np.split(x, [1, 3], axis=2)[1]),
}


@pytest.mark.parametrize("name", REARRANGEMENTS)
def test_rearrangements(name):
    function, reference = REARRANGEMENTS[name]
    check(function, reference, (2, 3, 4))


KEYS = {
    "integer": 1,
    "negative integer": (slice(None), -1),
    "numpy integer": np.int64(1),
    "slice": slice(1, None),
    "steps": (slice(None, None, -1), slice(None, None, 2)),
    "ellipsis": (..., 0),
    "new axis": (None, 1, None),
    "empty": slice(0, 0),
    "mask": np.arange(24).reshape(2, 3, 4) % 5 == 0,
    "mask of one axis": (slice(None), np.array([True, False, True])),
    "list": [1, 0, 1],
    "array twice": (np.array([[0, 1], [1, 1]]), slice(None), 2),
    "pairs": ([0, 1, 0], [2, 1, 2]),
    "array and slice": (0, slice(1, 3), [3, 3, 0]),
    "True": True,
}


@pytest.mark.parametrize("name", KEYS)
def test_indexing_follows_numpy(name):
    key = KEYS[name]
    check(
        lambda x: Tensor.__getitem__(x, key) if isinstance(x, Tensor) else ops.index(x, key),
        lambda x: x[key],
        (2, 3, 4),
    )


def test_elements_chosen_twice_get_both_gradients():
    x = Tensor([1.0, 2.0, 3.0])
    with GradientTape() as tape:
        tape.watch(x)
        y = x[[0, 0, 2]] * np.array([1, 10, 100])
    np.testing.assert_array_equal(tape.gradient(y, x), [11, 0, 100])


def test_an_index_that_changes_later_does_not_change_the_gradient():
    x, positions, mask = Tensor([1.0, 2.0, 3.0]), np.array([0, 1]), np.array([True, False, True])
    with GradientTape() as tape:
        tape.watch(x)
        y = ops.sum(x[positions]) + ops.sum(x[mask]) + ops.sum(ops.where(mask, x, 0))
    positions[:] = 2
    mask[:] = False
    np.testing.assert_array_equal(tape.gradient(y, x), [3, 1, 2])


def test_joining():
    check(
        lambda *xs: ops.concatenate(xs, axis=1), lambda *xs: np.concatenate(xs, axis=1), (2, 1, 3), (2, 4, 3), (2, 2, 3)
    )
    check(lambda *xs: ops.concatenate(xs, axis=-1), lambda *xs: np.concatenate(xs, axis=-1), (2, 0), (2, 4))
    check(lambda *xs: ops.stack(xs), lambda *xs: np.stack(xs), (2, 3), (2, 3), (2, 3))
    check(lambda *xs: ops.stack(xs, axis=-1), lambda *xs: np.stack(xs, axis=-1), (2, 3), (2, 3))
    check(lambda *xs: ops.stack(xs), lambda *xs: np.stack(xs), (), ())
    check(lambda x: ops.concatenate([x, x]), lambda x: np.concatenate([x, x]), (2, 3))


def test_squeeze():
    check(ops.squeeze, np.squeeze, (1, 3, 1, 2))
    check(lambda x: ops.squeeze(x, (0, -2)), lambda x: np.squeeze(x, (0, -2)), (1, 3, 1, 2))


def test_where_broadcasts():
    condition = np.array([[True], [False]])
    check(lambda x, y: ops.where(condition, x, y), lambda x, y: np.where(condition, x, y), (3,), (4, 1, 1))
    check(lambda x: ops.where(condition, x, 2), lambda x: np.where(condition, x, 2), ())
    rows, columns = ops.where(Tensor([[0.0, 2.0], [0.0, 0.0]]))
    assert (rows.tolist(), columns.tolist()) == ([0], [1])


def test_padding_a_number_and_an_empty_array():
    assert float(ops.pad(5.0, 3, mode="edge")) == 5
    assert ops.pad(np.ones((0, 2)), ((1, 1), (0, 0))).tolist() == [[0, 0], [0, 0]]


def test_one_hot():
    np.testing.assert_array_equal(ops.one_hot([2, 0], 3), [[0, 0, 1], [1, 0, 0]])
    labels = np.array([[0, 1, 2], [2, 2, 0]], np.uint8)
    for axis in (-1, 0, 1):
        found = ops.one_hot(labels, 4, axis=axis)
        assert found.dtype == np.float32
        assert found.flags.c_contiguous
        np.testing.assert_array_equal(found, np.moveaxis(np.eye(4)[labels], -1, axis))
    assert ops.one_hot(np.zeros(0, int), 3).shape == (0, 3)
    assert ops.one_hot(1, 3).tolist() == [0, 1, 0]


def test_a_reshaped_plain_array_may_share_memory_as_in_numpy():
    x = np.zeros((2, 3), np.float32)
    assert np.shares_memory(ops.reshape(x, -1), x)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (
            lambda x: ops.reshape(x, (5, -1)),
            ValueError,
            r"reshape: x of shape \(2, 3, 4\) \(24 elements\) does not fill",
        ),
        (lambda x: ops.reshape(x, (2.0, 12)), TypeError, "reshape: newshape must be an integer or a tuple"),
        (lambda x: ops.transpose(x, (0, 1)), ValueError, "transpose: axes .* must name each of the 3 axes"),
        (lambda x: ops.transpose(x, (0, 1, 1)), ValueError, "transpose: axis .* names an axis twice"),
        (lambda x: ops.moveaxis(x, (0, 1), 0), ValueError, "must name as many axes"),
        (lambda x: ops.squeeze(x, 1), ValueError, r"squeeze: axis 1 of shape \(2, 3, 4\) has length 3, expected 1"),
        (lambda x: ops.expand_dims(x, 5), ValueError, "expand_dims: axis 5 is out of range"),
        (lambda x: ops.broadcast_to(x, (2, 3)), ValueError, r"broadcast_to: shape \(2, 3, 4\) does not broadcast"),
        (lambda x: ops.concatenate([]), ValueError, "concatenate: expects at least one array"),
        (
            lambda x: ops.concatenate([x, x[0]]),
            ValueError,
            r"concatenate: xs\[1\] of shape \(3, 4\) does not fit xs\[0\]",
        ),
        (lambda x: ops.concatenate([x, x[:, :1]]), ValueError, r"xs\[1\] of shape \(2, 1, 4\) does not fit"),
        (lambda x: ops.concatenate([x, "a"]), TypeError, r"concatenate: xs\[1\] must be an array of real numbers"),
        (lambda x: ops.stack([x, x[0]]), ValueError, r"stack: x\[1\] has shape \(3, 4\), x\[0\] has \(2, 3, 4\)"),
        (lambda x: ops.split(x, 3), ValueError, "does not divide into 3 pieces"),
        (lambda x: ops.split(x, 0), ValueError, "does not divide into 0 pieces"),
        (lambda x: ops.pad(x, -1), ValueError, "pad: pad_width must not be negative"),
        (lambda x: ops.pad(x, [(1, 1)] * 2), ValueError, "one .before, after. pair per axis"),
        (lambda x: ops.pad(x, 0.5), TypeError, "pad: pad_width must be made of integers"),
        (lambda x: ops.pad(x, 1 << 40), ValueError, "larger than this machine can address"),
        (lambda x: ops.pad(x, 1, mode="wrap"), ValueError, "mode must be 'constant', 'edge', 'reflect' or 'symmetric'"),
        (lambda x: ops.pad(x, 1, mode="edge", constant_values=1), ValueError, "belongs to mode 'constant'"),
        (lambda x: ops.pad(x[:0], 1, mode="edge"), ValueError, "nothing to repeat along an empty axis"),
        (lambda x: ops.index(x, 7), IndexError, "out of bounds"),
        (lambda x: Tensor(x)[Tensor(1.0)], TypeError, "positions must be integers"),
        (lambda x: ops.take(x, [0.5]), TypeError, "take: indices must be integers, got dtype float64"),
        (lambda x: ops.take(x, [9], axis=0), IndexError, "out of bounds"),
        (lambda x: ops.where(x > 0, x), ValueError, "where: expects both x1 and x2, or neither"),
        (lambda x: ops.where(np.ones(5, bool), x, 0), ValueError, "condition's shape .5,. does not broadcast"),
        (lambda x: ops.one_hot([3], 3), ValueError, r"one_hot: x must lie in \[0, 3\), got 3"),
        (lambda x: ops.one_hot([-1], 3), ValueError, r"one_hot: x must lie in \[0, 3\), got -1"),
        (lambda x: ops.one_hot([1.5], 3), TypeError, "one_hot: x must be integers"),
        (lambda x: ops.one_hot([1], 0), ValueError, "num_classes must be at least 1"),
    ],
)
def test_bad_inputs_get_clear_errors(call, error, message):
    with pytest.raises(error, match=message):
        call(np.ones((2, 3, 4), np.float32))
