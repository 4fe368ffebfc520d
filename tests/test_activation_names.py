"""Every activation that Keras has a name for, beside Keras's own; and those that are particular."""

import numpy as np
import pytest

import keras_peer
from cnnfast import activations, gradcheck, ops
from cnnfast.autograd import GradientTape, Tensor

NAMES = [
    "celu", "elu", "exponential", "gelu", "glu", "hard_shrink", "hard_sigmoid", "hard_silu", "hard_swish", "hard_tanh",
    "leaky_relu", "linear", "log_sigmoid", "log_softmax", "mish", "relu", "relu6", "selu", "sigmoid", "silu",
    "soft_shrink", "softmax", "softplus", "softsign", "sparse_plus", "sparse_sigmoid", "squareplus", "swish", "tanh",
    "tanh_shrink",
]  # fmt: skip
# Between the points where gradients jump, of which each library picks one side.
X = np.linspace(-7.03, 7.01, 200, dtype=np.float32).reshape(10, 20)


@pytest.mark.parametrize("name", NAMES)
def test_activation_is_that_of_keras(name):
    keras = keras_peer.keras()
    import torch

    x = Tensor(X)
    with GradientTape() as tape:
        tape.watch(x)
        y = activations.get(name)(x)
    dy = np.cos(np.arange(np.size(y), dtype=np.float32)).reshape(np.shape(y))
    given = torch.tensor(X, requires_grad=True)
    expected = keras.activations.get(name)(given)
    (expected * torch.tensor(dy)).sum().backward()
    np.testing.assert_allclose(y, expected.detach().numpy(), rtol=2e-5, atol=2e-6)
    np.testing.assert_allclose(tape.gradient(y, x, output_gradients=dy), given.grad.numpy(), rtol=2e-5, atol=2e-5)


def test_all_names_of_keras_are_known():
    keras = keras_peer.keras()
    theirs = {name for name in dir(keras.activations) if not name.startswith("_")}
    assert theirs <= set(activations.__all__)
    assert set(NAMES) | {"sparsemax", "threshold"} == set(activations.__all__) - {"get", "serialize", "deserialize"}


@pytest.mark.parametrize("axis", [0, 1, -1])
def test_sparsemax_is_the_nearest_of_all_probabilities(axis, rng):
    x = rng.standard_normal((4, 5, 6)).astype(np.float32)
    y = np.asarray(ops.sparsemax(x, axis=axis))
    np.testing.assert_allclose(y.sum(axis), 1, rtol=1e-6)
    assert (y >= 0).all()
    assert (y == 0).any()
    # A projection: the rest makes no acute angle with the way to any corner of the simplex.
    rest = np.moveaxis(x - y, axis, -1)
    inner = (rest * np.moveaxis(y, axis, -1)).sum(-1, keepdims=True)
    assert (rest - inner <= 1e-5).all()
    assert gradcheck(lambda x: ops.sparsemax(x, axis=axis), [Tensor(x)])


def test_sparsemax_at_the_ends():
    np.testing.assert_array_equal(ops.sparsemax([[3.0], [-np.inf]], axis=0).ravel(), [1, 0])
    np.testing.assert_array_equal(ops.sparsemax([9.0, 1.0, -2.0]), [1, 0, 0])
    assert np.isnan(ops.sparsemax([np.nan, 1.0])).all()
    assert ops.sparsemax(np.zeros((2, 0))).shape == (2, 0)
    assert ops.sparsemax(np.zeros((0, 3))).shape == (0, 3)


def test_limits():
    x = np.array([-np.inf, -(2.0**100), 2.0**100, np.inf, np.nan], np.float32)
    np.testing.assert_allclose(ops.mish(x)[:2], 0, atol=1e-30)
    np.testing.assert_array_equal(ops.mish(x)[2:], x[2:])
    np.testing.assert_array_equal(ops.sparse_plus(x), [0, 0, 2.0**100, np.inf, np.nan])
    np.testing.assert_array_equal(ops.sparse_sigmoid(x), [0, 0, 1, 1, np.nan])


def test_names_and_functions():
    assert activations.deserialize(activations.serialize(activations.mish)) is activations.mish
    assert activations.deserialize("mine", {"mine": np.tanh}) is np.tanh
    with pytest.raises(TypeError, match="is not known by a name"):
        activations.serialize(lambda x: x)
