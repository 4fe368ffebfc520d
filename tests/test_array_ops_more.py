"""Blocks, copies and the rest of the array functions: against Keras, gradients by differences."""

import numpy as np
import pytest

import keras_peer
from cnnfast import GradientTape, Tensor, gradcheck, ops

RNG = np.random.default_rng(4)
A = RNG.standard_normal((3, 4)).astype(np.float32)
X = RNG.standard_normal((2, 3, 4, 8)).astype(np.float32)
Y = RNG.standard_normal((2, 4, 6, 3)).astype(np.float32)

CASES = {
    "depth_to_space": (lambda o, x: o.depth_to_space(x, 2), X),
    "space_to_depth": (lambda o, x: o.space_to_depth(x, 2), Y),
    "fliplr": (lambda o, x: o.fliplr(x), A),
    "flipud": (lambda o, x: o.flipud(x), A),
    "array": (lambda o, x: o.array(x), A),
    "copy": (lambda o, x: o.copy(x), A),
    "get_item": (lambda o, x: o.get_item(x, (slice(None), 1)), A),
}
PLAIN = {
    "nonzero": lambda o: o.nonzero(A * (A > 0)),
    "allclose": lambda o: o.allclose(A, A + 1e-9),
    "allclose not": lambda o: o.allclose(A, A + 1),
    "array of integers": lambda o: o.array(np.array([1, 2]), dtype="int32"),
}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", CASES)
def test_as_keras_with_gradients(name):
    function, x = CASES[name]
    assert gradcheck(lambda v: function(ops, v), [x])
    keras = keras_peer.keras()
    expected = keras.ops.convert_to_numpy(function(keras.ops, keras.ops.convert_to_tensor(x)))
    np.testing.assert_array_equal(function(ops, x), expected)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", PLAIN)
def test_plain_as_keras(name):
    keras = keras_peer.keras()
    expected = np.asarray(PLAIN[name](keras.ops))
    found = PLAIN[name](ops)
    assert type(found) is np.ndarray
    np.testing.assert_array_equal(found, expected)


def test_blocks_of_channels_first():
    first = np.moveaxis(X, -1, 1).copy()
    found = ops.depth_to_space(first, 2, "channels_first")
    np.testing.assert_array_equal(np.moveaxis(np.asarray(found), 1, -1), ops.depth_to_space(X, 2))
    np.testing.assert_array_equal(ops.space_to_depth(found, 2, "channels_first"), first)
    for call in (lambda: ops.depth_to_space(Y, 2), lambda: ops.space_to_depth(X, 2), lambda: ops.depth_to_space(A, 2)):
        with pytest.raises(ValueError, match="_to_"):
            call()


def test_copies_and_values():
    copied = ops.copy(A)
    assert not np.shares_memory(copied, A)
    values = ops.convert_to_numpy(Tensor(A))
    values[:] = 0  # its own memory
    assert type(values) is np.ndarray
    assert ops.is_tensor(Tensor(A))
    assert not ops.is_tensor("text")
    x = Tensor(A)
    with GradientTape() as tape:
        tape.watch(x)
        y = ops.sum(x * ops.stop_gradient(x))
    np.testing.assert_array_equal(tape.gradient(y, x), A)
