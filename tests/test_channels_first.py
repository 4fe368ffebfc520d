"""Tensors that lie in another order than in the network that they are taken from."""

import itertools

import numpy as np
import pytest

from cnnfast import Model, layers, ops
from cnnfast.interop.channels_first import (
    Arranged,
    aligned,
    channels_last_order,
    elementwise,
    from_channels_last,
    rows_as_they_lie,
    transposed,
)
from cnnfast.interop.reshapes import reshaped, with_shape


def entered(array, order, open_axes=(0,)):
    """An array as a symbolic tensor that lies in an order; returns it with a function that computes from it."""
    lying = array.transpose(order)
    shape = [None if axis in open_axes else array.shape[axis] for axis in order]
    x = layers.Input(batch_shape=shape)
    return Arranged(x, order), lambda result: np.asarray(Model(x, result.plain())(lying))


def arange(*shape):
    return np.arange(np.prod(shape), dtype=np.float32).reshape(shape)


def operations(result):
    """The names of what is computed for a result."""
    model_input = result.tensor
    found = []
    stack = [model_input]
    while stack:
        node = stack.pop().node
        if node is not None and not isinstance(node.layer, layers.InputLayer):
            found.append(getattr(node.layer, "function", type(node.layer).__name__))
            stack += node.inputs
    return found


@pytest.mark.parametrize("order", list(itertools.permutations(range(4))))
def test_transpositions_move_nothing(order):
    array = arange(2, 3, 4, 5)
    value, compute = entered(array, order)
    for axes in ((0, 2, 3, 1), (3, 2, 1, 0), (1, 0, 3, 2), (0, -1, 1, 2)):
        turned = transposed(value, axes)
        assert turned.tensor is value.tensor
        np.testing.assert_array_equal(compute(turned), array.transpose(axes))


def test_a_wrong_permutation_is_an_error():
    value, _ = entered(arange(2, 3, 4), (0, 1, 2))
    with pytest.raises(ValueError, match="permutation of 3 axes"):
        transposed(value, (0, 1, 1))


def test_a_tensor_is_moved_once_for_each_order():
    value, _ = entered(arange(2, 3, 4, 5), (0, 2, 3, 1))
    assert value.plain() is value.plain()
    assert value.channels_last() is value.tensor
    assert from_channels_last(value.tensor).order == channels_last_order(4)


@pytest.mark.parametrize("order", [(0, 1, 2, 3), (0, 2, 3, 1), (3, 0, 1, 2)])
@pytest.mark.parametrize("other", [(), (1,), (5,), (4, 1), (3, 1, 1), (1, 3, 1, 5), (2, 3, 4, 5)])
def test_constants_broadcast_as_in_the_original(order, other):
    array, constant = arange(2, 3, 4, 5), arange(*other) + 1
    value, compute = entered(array, order, (0,) if other[:-3] != (2,) else ())
    np.testing.assert_array_equal(compute(elementwise(ops.subtract, value, constant)), array - constant)
    np.testing.assert_array_equal(compute(elementwise(ops.subtract, constant, value)), constant - array)


@pytest.mark.parametrize("first", [(0, 1, 2, 3), (0, 2, 3, 1)])
@pytest.mark.parametrize(
    ("shape", "second"),
    [((2, 3, 4, 5), (0, 2, 3, 1)), ((2, 3, 1, 1), (0, 1, 2, 3)), ((4, 5), (1, 0)), ((3, 1, 5), (2, 0, 1))],
)
def test_tensors_in_different_orders_meet(first, shape, second):
    a, b = arange(2, 3, 4, 5), arange(*shape) * 10
    x, y = layers.Input(batch_shape=a.transpose(first).shape), layers.Input(batch_shape=b.transpose(second).shape)
    result = elementwise(ops.add, Arranged(x, first), Arranged(y, second))
    computed = Model([x, y], result.plain())([a.transpose(first), b.transpose(second)])
    np.testing.assert_array_equal(np.asarray(computed), a + b)


SHAPES = [
    ((2, 12, 4, 5), (2, 240)), ((2, 12, 4, 5), (-1, 240)), ((2, 12, 4, 5), (None, 3, 4, 4, 5)),
    ((2, 12, 4, 5), (None, 12, 20)), ((2, 12, 4, 5), (None, 12, -1)), ((2, 12, 4, 5), (None, 48, 5)),
    ((2, 12, 4, 5), (None, 2, 6, 2, 2, 5)), ((2, 12, 4, 5), (24, 4, 5)), ((2, 12, 1, 1), (2, 12)),
    ((2, 12, 1, 1), (None, -1)), ((2, 12), (None, 12, 1, 1)), ((2, 12), (None, 3, 2, 2)), ((2, 12, 4, 5), (480,)),
    ((2, 12, 4, 5), (-1,)), ((2, 12, 4, 5), (1, 2, 12, 20)), ((1, 1, 4, 1), (4,)), ((2, 1, 4, 5), (2, 20)),
    ((2, 12, 4), (None, -1)), ((2, 3, 4, 5, 6), (None, 3, -1)), ((2, 3, 4, 5, 6), (None, 360)),
]  # fmt: skip


@pytest.mark.parametrize(
    ("shape", "target", "open_batch"),
    [(*case, open_batch) for case in SHAPES for open_batch in (False, case[1][0] in (None, -1)) if case[1] != (-1,)]
    + [((2, 12, 4, 5), (-1,), True)],
)
def test_reshaping_follows_the_original(shape, target, open_batch):
    array = arange(*shape)
    expected = array.reshape([shape[place] if n is None else n for place, n in enumerate(target)])
    for order in itertools.permutations(range(len(shape))):
        value, compute = entered(array, order, (0,) if open_batch else ())
        result = reshaped(value, target)
        assert all(n in (None, m) for n, m in zip(result.shape, expected.shape, strict=True))
        np.testing.assert_array_equal(compute(result), expected)


def test_channels_are_divided_where_they_lie():
    value, compute = entered(arange(2, 12, 4, 5), (0, 2, 3, 1))
    parts = reshaped(value, (None, 3, 4, 4, 5))
    assert "transpose" not in operations(parts)
    shuffled = reshaped(transposed(parts, (0, 2, 1, 3, 4)), (None, 12, 4, 5))
    assert shuffled.shape == (None, 12, 4, 5)
    expected = arange(2, 12, 4, 5).reshape(2, 3, 4, 4, 5).transpose(0, 2, 1, 3, 4).reshape(2, 12, 4, 5)
    np.testing.assert_array_equal(compute(shuffled), expected)


def test_a_flattened_image_stays_as_it_lies():
    array, kernel = arange(2, 3, 4, 5), np.random.default_rng(0).normal(size=(60, 7)).astype("f4")
    value, compute = entered(array, (0, 2, 3, 1))
    row = reshaped(value, (None, 60))
    assert operations(row) == ["Flatten"]
    scaled = elementwise(ops.multiply, row, np.arange(60, dtype="f4"))
    assert "transpose" not in operations(scaled)
    flat = array.reshape(2, 60) * np.arange(60)
    np.testing.assert_array_equal(compute(scaled), flat)
    product = Arranged(ops.matmul(scaled.tensor, rows_as_they_lie(scaled, kernel)))
    np.testing.assert_allclose(compute(product), flat @ kernel, rtol=1e-4)
    np.testing.assert_array_equal(compute(reshaped(row, (None, 3, 4, 5))), array)
    np.testing.assert_array_equal(compute(elementwise(ops.add, row, row)), 2 * array.reshape(2, 60))
    np.testing.assert_array_equal(compute(elementwise(ops.add, row, row.apart())), 2 * array.reshape(2, 60))


def test_open_sizes_are_kept():
    value, compute = entered(arange(2, 3, 4, 5), (0, 2, 3, 1), (0, 2, 3))
    rows = reshaped(value, (None, 3, -1))
    assert rows.shape == (None, 3, None)
    np.testing.assert_array_equal(compute(rows), arange(2, 3, 20))
    x = layers.Input((None, None, 3))
    assert with_shape(x, (None, None, None, 1, 3)).shape == (None, None, None, 1, 3)
    with pytest.raises(ValueError, match="open in more than one place"):
        with_shape(x, (-1, None, None, 3, 1, 1, 2))


@pytest.mark.parametrize("target", [(7, -1), (None, 13), (-1, -1), (2, -3), (1, 2, 3, 4, None)])
def test_sizes_that_do_not_fit_are_errors(target):
    with pytest.raises(ValueError, match=r"shape|sizes"):
        reshaped(entered(arange(2, 12, 1, 1), (0, 2, 3, 1), ())[0], target)


def test_alignment_puts_axes_where_they_broadcast():
    assert aligned(np.float32(3), (0, 2, 1)).shape == ()
    assert aligned(np.ones((1, 3, 1)), (0, 2, 1)).shape == (3,)
    vector = Arranged(layers.Input(batch_shape=(5,)))
    assert aligned(vector, (0, 3, 1, 2)).shape == (1, 5, 1, 1)
