"""Convolution, pooling, losses and activations by the names of keras.ops: against Keras, gradients by differences."""

import numpy as np
import pytest

import cnnfast
import keras_peer
from cnnfast import Tensor, gradcheck, ops

RNG = np.random.default_rng(3)


def normal(*shape):
    return RNG.standard_normal(shape).astype(np.float32)


X1, X2, X3 = normal(2, 9, 4), normal(2, 7, 6, 4), normal(1, 5, 6, 4, 2)
FIRST = np.moveaxis(X2, -1, 1).copy()
PARTS = np.abs(normal(3, 5)) + 0.1
PROBABILITIES = PARTS / PARTS.sum(-1, keepdims=True)
LABELS = np.eye(5, dtype=np.float32)[[0, 3, 2]]
A = normal(3, 8) * 3

# Name -> (what is computed with a module of operations, the differentiable inputs).
CASES = {
    "conv of sequences": (lambda o, x, k: o.conv(x, k, 2, "same"), X1, normal(3, 4, 5)),
    "conv of images": (lambda o, x, k: o.conv(x, k, (2, 1), "valid"), X2, normal(3, 2, 4, 5)),
    "conv with dilation": (lambda o, x, k: o.conv(x, k, 1, "same", dilation_rate=2), X2, normal(3, 3, 4, 3)),
    "conv in groups": (lambda o, x, k: o.conv(x, k), X2, normal(3, 3, 2, 6)),
    "conv of volumes": (lambda o, x, k: o.conv(x, k, padding="same"), X3, normal(3, 3, 2, 2, 3)),
    "conv channels first": (
        lambda o, x, k: o.conv(x, k, data_format="channels_first"), FIRST, normal(3, 3, 4, 5),
    ),
    "depthwise": (lambda o, x, k: o.depthwise_conv(x, k, 2, "same"), X2, normal(3, 3, 4, 2)),
    "depthwise of sequences": (lambda o, x, k: o.depthwise_conv(x, k), X1, normal(3, 4, 1)),
    "separable": (
        lambda o, x, k, p: o.separable_conv(x, k, p, padding="same"), X2, normal(3, 3, 4, 2), normal(1, 1, 8, 3),
    ),
    "separable first": (
        lambda o, x, k, p: o.separable_conv(x, k, p, data_format="channels_first"),
        FIRST, normal(3, 3, 4, 2), normal(1, 1, 8, 3),
    ),
    "transposed": (lambda o, x, k: o.conv_transpose(x, k, 2, "same"), X2, normal(3, 3, 5, 4)),
    "transposed of sequences": (lambda o, x, k: o.conv_transpose(x, k, 2), X1, normal(3, 5, 4)),
    "transposed first": (
        lambda o, x, k: o.conv_transpose(x, k, 2, data_format="channels_first"), FIRST, normal(2, 2, 5, 4),
    ),
    "max_pool": (lambda o, x: o.max_pool(x, 2), X2),
    "max_pool same": (lambda o, x: o.max_pool(x, 3, 2, "same"), X1),
    "max_pool first": (lambda o, x: o.max_pool(x, (2, 3), data_format="channels_first"), FIRST),
    "average_pool": (lambda o, x: o.average_pool(x, 2, 1, "same"), X2),
    "average_pool of volumes": (lambda o, x: o.average_pool(x, 2), X3),
    "batch_normalization": (
        lambda o, x, m, v, b, g: o.batch_normalization(x, m, v, -1, b, g, 0.01),
        X2, normal(4), np.abs(normal(4)) + 0.5, normal(4), normal(4),
    ),
    "batch_normalization of an axis": (
        lambda o, x, m, v: o.batch_normalization(x, m, v, axis=1), FIRST, normal(4), np.abs(normal(4)) + 0.5,
    ),
    "binary_crossentropy": (lambda o, p: o.binary_crossentropy(LABELS, p), PROBABILITIES),
    "binary_crossentropy of logits": (lambda o, x: o.binary_crossentropy(LABELS, x, True), normal(3, 5)),
    "categorical_crossentropy": (lambda o, p: o.categorical_crossentropy(LABELS, p), PROBABILITIES),
    "categorical_crossentropy of logits": (
        lambda o, x: o.categorical_crossentropy(LABELS, x, from_logits=True), normal(3, 5),
    ),
    "categorical_crossentropy of an axis": (
        lambda o, x: o.categorical_crossentropy(LABELS.T.copy(), x, from_logits=True, axis=0), normal(5, 3),
    ),
    "sparse_categorical_crossentropy": (
        lambda o, p: o.sparse_categorical_crossentropy(np.array([0, 3, 2]), p), PROBABILITIES,
    ),
    "sparse_categorical_crossentropy of logits": (
        lambda o, x: o.sparse_categorical_crossentropy(np.array([[0], [3], [2]]), x, True), normal(3, 5),
    ),
    "sparse_categorical_crossentropy of an axis": (
        lambda o, x: o.sparse_categorical_crossentropy(np.array([[0, 3], [2, 1]]), x, True, axis=1), normal(2, 5, 2),
    ),
    **{
        name: (lambda o, x, name=name: getattr(o, name)(x), A)
        for name in ("hard_sigmoid", "hard_silu", "hard_swish", "hard_tanh", "celu", "glu", "log_sigmoid", "softsign",
                     "tanh_shrink", "soft_shrink", "hard_shrink", "squareplus", "gelu", "swish")
    },
    "celu alpha": (lambda o, x: o.celu(x, 0.5), A),
    "glu axis": (lambda o, x: o.glu(x, axis=0), normal(4, 3)),
    "soft_shrink wide": (lambda o, x: o.soft_shrink(x, 1.5), A),
    "threshold": (lambda o, x: o.threshold(x, 0.5, 7.0), A),
    "squareplus b": (lambda o, x: o.squareplus(x, 0.5), A),
    "gelu exact": (lambda o, x: o.gelu(x, approximate=False), A),
}  # fmt: skip


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", CASES)
def test_as_keras(name):
    keras = keras_peer.keras()
    function, *inputs = CASES[name]
    expected = keras.ops.convert_to_numpy(function(keras.ops, *[keras.ops.convert_to_tensor(x) for x in inputs]))
    for found in (function(ops, *inputs), function(ops, *[Tensor(x) for x in inputs])):
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=2e-5)


@pytest.mark.parametrize("name", CASES)
def test_gradients(name):
    function, *inputs = CASES[name]
    assert gradcheck(lambda *xs: function(ops, *xs), inputs, atol=2e-4)


def test_values_by_hand():
    """Against NumPy: what the functions of the table are made of."""
    np.testing.assert_allclose(ops.hard_sigmoid(A), np.clip(A / 6 + 0.5, 0, 1), atol=1e-6)
    np.testing.assert_allclose(ops.celu(A, 2.0), np.where(A > 0, A, 2 * np.expm1(A / 2)), atol=1e-6)
    np.testing.assert_allclose(ops.glu(A), A[:, :4] / (1 + np.exp(-A[:, 4:])), atol=1e-5)
    np.testing.assert_allclose(ops.log_sigmoid([-1000.0, 1000.0]), [-1000, 0])
    np.testing.assert_allclose(
        ops.binary_crossentropy([[1.0, 0.0]], [[-100.0, 30.0]], from_logits=True), [[100, 30]], rtol=1e-6
    )
    x = X2[:, :6, :6]
    windows = x.reshape(2, 3, 2, 3, 2, 4)
    np.testing.assert_array_equal(ops.max_pool(x, 2), windows.max((2, 4)))
    np.testing.assert_allclose(ops.average_pool(x, 2), windows.mean((2, 4)), atol=1e-6)
    kernel = normal(1, 1, 4, 3)
    np.testing.assert_allclose(ops.conv(X2, kernel), X2 @ kernel[0, 0], rtol=1e-4, atol=1e-5)


def test_crossentropy_of_a_softmax_knows_the_logits():
    """A probability that has underflowed still gives its logarithm, as in the losses."""
    logits = Tensor([[0.0, 200.0]])
    with cnnfast.GradientTape() as tape:
        tape.watch(logits)
        loss = ops.sparse_categorical_crossentropy([0], ops.softmax(logits))
    np.testing.assert_allclose(loss, [200.0])
    np.testing.assert_allclose(tape.gradient(loss, logits), [[-1, 1]], atol=1e-6)


def test_symbolic():
    x = cnnfast.layers.Input((7, 6, 4))
    kernel = normal(3, 3, 4, 5)
    model = cnnfast.Model(x, ops.max_pool(ops.hard_silu(ops.conv(x, kernel, padding="same")), 2))
    assert model.output_shape == (None, 3, 3, 5)
    np.testing.assert_allclose(model(X2), ops.max_pool(ops.hard_silu(ops.conv(X2, kernel, padding="same")), 2))


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: ops.conv(normal(3, 4), normal(3, 4, 5)), ValueError, "conv: inputs expects 3 or 4 or 5 axes"),
        (lambda: ops.conv(X2, normal(3, 3, 3, 5)), ValueError, "conv2d: kernel expects"),
        (lambda: ops.max_pool(X2, 2, data_format="NHWC"), ValueError, "max_pool: data_format expects"),
        (lambda: ops.batch_normalization(X2, normal(4), normal(4), 7), ValueError, "axis 7 is out of range"),
        (lambda: ops.batch_normalization(X2, None, None, normal(4)), TypeError, "axis must be an integer"),
        (lambda: ops.binary_crossentropy(LABELS, A), ValueError, "target expects the shape of output"),
        (lambda: ops.sparse_categorical_crossentropy([0], PROBABILITIES), ValueError, "target expects the shape of"),
        (lambda: ops.glu(normal(3, 3)), ValueError, "glu: x expects an even length"),
        (lambda: ops.celu(A, 0), ValueError, "celu: alpha"),
        (lambda: ops.soft_shrink(A, -1), ValueError, "soft_shrink: threshold"),
    ],
)  # fmt: skip
def test_errors_say_what_is_wrong(call, error, message):
    with pytest.raises(error, match=message):
        call()
