"""Losses against float64 NumPy written from the definitions."""

import numpy as np
import pytest

from cnnfast import gradcheck, losses, ops
from cnnfast.autograd import GradientTape, Tensor

EPSILON = 1e-7


def softmax(z):
    e = np.exp(z - z.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def categorical(y, p):
    p = p / p.sum(axis=-1, keepdims=True)
    return -(y * np.log(np.clip(p, EPSILON, 1 - EPSILON))).sum(axis=-1)


def binary(y, p):
    p = np.clip(p, EPSILON, 1 - EPSILON)
    return -(y * np.log(p) + (1 - y) * np.log(1 - p)).mean(axis=-1)


@pytest.fixture
def scores(rng):
    return rng.standard_normal((12, 5))


@pytest.fixture
def one_hot(rng):
    return np.eye(5)[rng.integers(0, 5, 12)]


def check(loss, reference, y, p):
    """The loss and its gradient, per example and reduced."""
    y32, p32 = y.astype(np.float32) if y.dtype.kind == "f" else y, Tensor(p)
    np.testing.assert_allclose(loss.call(y32, p32), reference, rtol=2e-5, atol=2e-6)
    assert float(loss(y32, p32)) == pytest.approx(reference.mean(), rel=2e-5)
    assert gradcheck(lambda p: loss(y32, p), p32)


def test_mean_squared_error(scores, one_hot):
    check(losses.MeanSquaredError(), ((scores - one_hot) ** 2).mean(axis=-1), one_hot, scores)


def test_mean_absolute_error(scores, one_hot):
    check(losses.MeanAbsoluteError(), np.abs(scores - one_hot).mean(axis=-1), one_hot, scores)


def test_categorical_crossentropy_of_probabilities(scores, one_hot):
    p = softmax(scores) * 0.7  # not normalised: the loss normalises
    check(losses.CategoricalCrossentropy(), categorical(one_hot, p), one_hot, p)


def test_categorical_crossentropy_of_logits(scores, one_hot):
    loss = losses.CategoricalCrossentropy(from_logits=True)
    check(loss, categorical(one_hot, softmax(scores)), one_hot, scores)


def test_categorical_crossentropy_along_another_axis(scores, one_hot):
    expected = categorical(one_hot, softmax(scores))
    for from_logits, values in ((True, scores), (False, softmax(scores))):
        loss = losses.CategoricalCrossentropy(from_logits=from_logits, axis=0)
        np.testing.assert_allclose(loss.call(one_hot.T, values.T), expected, rtol=2e-5)


def test_label_smoothing(scores, one_hot):
    smooth = one_hot * 0.8 + 0.2 / 5
    loss = losses.CategoricalCrossentropy(from_logits=True, label_smoothing=0.2)
    check(loss, categorical(smooth, softmax(scores)), one_hot, scores)
    p = softmax(scores)
    check(losses.BinaryCrossentropy(label_smoothing=0.2), binary(one_hot * 0.8 + 0.1, p), one_hot, p)


@pytest.mark.parametrize("dtype", [np.int64, np.uint8, np.int32, np.float32])
@pytest.mark.parametrize("column", [False, True])
def test_sparse_categorical_crossentropy(scores, one_hot, dtype, column):
    labels = one_hot.argmax(axis=-1).astype(dtype)
    labels = labels[:, None] if column else labels
    p = softmax(scores)
    check(losses.SparseCategoricalCrossentropy(), categorical(one_hot, p), labels, p)
    check(losses.SparseCategoricalCrossentropy(from_logits=True), categorical(one_hot, p), labels, scores)


def test_sparse_categorical_crossentropy_of_maps(rng):
    scores = rng.standard_normal((2, 3, 4, 5))
    labels = rng.integers(0, 5, (2, 3, 4))
    check(
        losses.SparseCategoricalCrossentropy(), categorical(np.eye(5)[labels], softmax(scores)), labels, softmax(scores)
    )


def test_binary_crossentropy(scores, one_hot):
    p = 1 / (1 + np.exp(-scores))
    check(losses.BinaryCrossentropy(), binary(one_hot, p), one_hot, p)
    check(losses.BinaryCrossentropy(from_logits=True), binary(one_hot, p), one_hot, scores)


def test_probabilities_of_zero_and_one_stay_finite():
    y = np.array([[1.0, 0.0], [0.0, 1.0]])
    p = np.array([[0.0, 1.0], [0.0, 1.0]])
    wrong = -np.log(EPSILON)
    np.testing.assert_allclose(losses.categorical_crossentropy(y, p), [wrong, EPSILON], rtol=1e-4, atol=2e-7)
    np.testing.assert_allclose(losses.sparse_categorical_crossentropy([0, 1], p), [wrong, 0], rtol=1e-4, atol=3e-7)
    found = np.asarray(losses.binary_crossentropy(y, p))
    np.testing.assert_allclose(found[0], wrong, rtol=0.02)  # 1 - 1e-7 is coarse in float32
    assert found[1] < 1e-6


def test_softmax_outputs_are_computed_with_as_stably_as_logits():
    logits = Tensor([[0.0, 200.0], [200.0, 0.0]])  # the softmax is 0 and 1 in float32
    for loss, y in (
        (losses.CategoricalCrossentropy(), np.array([[1.0, 0.0], [1.0, 0.0]])),
        (losses.SparseCategoricalCrossentropy(), np.array([0, 0])),
    ):
        with GradientTape() as tape:
            tape.watch(logits)
            value = loss(y, ops.softmax(logits))
        assert float(value) == pytest.approx(100.0)
        np.testing.assert_allclose(tape.gradient(value, logits), [[-0.5, 0.5], [0, 0]], atol=1e-6)


def test_reductions_and_sample_weights(scores, one_hot):
    values = ((scores - one_hot) ** 2).mean(axis=-1)
    weights = np.arange(12.0)
    for reduction, expected, weighted in (
        ("sum_over_batch_size", values.mean(), (values * weights).mean()),
        ("mean", values.mean(), (values * weights).mean()),
        ("sum", values.sum(), (values * weights).sum()),
        ("none", values, values * weights),
        (None, values, values * weights),
    ):
        loss = losses.MeanSquaredError(reduction=reduction)
        np.testing.assert_allclose(loss(one_hot, scores), expected, rtol=1e-5)
        np.testing.assert_allclose(loss(one_hot, scores, weights), weighted, rtol=1e-5)
        np.testing.assert_allclose(loss(one_hot, scores, weights[:, None]), weighted, rtol=1e-5)
    with pytest.raises(ValueError, match=r"sample_weight expects shape \(12,\), got \(11,\)"):
        losses.MeanSquaredError()(one_hot, scores, weights[1:])


def test_an_axis_of_size_one_may_be_missing():
    y, p = np.array([1.0, 2.0]), np.array([[0.0], [0.0]])
    np.testing.assert_allclose(losses.mean_squared_error(y, p), [1.0, 4.0])
    np.testing.assert_allclose(losses.mean_squared_error(p, y), 2.5)


def test_an_empty_batch_has_no_loss():
    assert float(losses.MeanSquaredError()(np.zeros((0, 3)), np.zeros((0, 3)))) == 0.0


@pytest.mark.parametrize(
    ("compute", "message"),
    [
        (lambda: losses.mean_squared_error(np.zeros(8), np.zeros((8, 10))), r"shape of y_pred, \(8, 10\), got \(8,\)"),
        (
            lambda: losses.categorical_crossentropy(np.zeros(8, int), np.zeros((8, 10))),
            "for integer labels use sparse_categorical_crossentropy",
        ),
        (
            lambda: losses.sparse_categorical_crossentropy(np.zeros((8, 10)), np.ones((8, 10))),
            r"class numbers of shape \(8,\), got shape \(8, 10\); for one-hot rows use categorical_crossentropy",
        ),
        (
            lambda: losses.sparse_categorical_crossentropy([0, 10], np.ones((2, 10))),
            "class numbers from 0 to 9, got values from 0 to 10",
        ),
        (lambda: losses.sparse_categorical_crossentropy([-1, 0], np.ones((2, 10))), "from -1 to 0"),
        (lambda: losses.sparse_categorical_crossentropy([0.5, 0], np.ones((2, 10))), "not whole"),
        (lambda: losses.sparse_categorical_crossentropy([np.nan, 0], np.ones((2, 10))), "not whole"),
        (lambda: losses.sparse_categorical_crossentropy(["a", "b"], np.ones((2, 10))), "got dtype <U1"),
        (lambda: losses.MeanSquaredError(reduction="median"), "reduction expects"),
        (lambda: losses.CategoricalCrossentropy(label_smoothing=2), "label_smoothing expects a number from 0.0 to 1.0"),
        (lambda: losses.SparseCategoricalCrossentropy(ignore_class=3), "ignore_class=3 cannot be honoured"),
        (lambda: losses.get("crossentropy"), "loss 'crossentropy' is not known; there are"),
        (lambda: losses.get(3), "loss expects a name"),
    ],
)
def test_wrong_arguments_raise(compute, message):
    with pytest.raises((ValueError, TypeError), match=message):
        compute()


def test_names_functions_and_configurations():
    for name, cls in losses._BY_NAME.items():
        assert type(losses.get(name)) is cls
        loss = cls()
        again = losses.get({"class_name": cls.__name__, "config": loss.get_config()})
        assert again.get_config() == loss.get_config()
    assert isinstance(losses.get(losses.mean_squared_error), losses.MeanSquaredError)
    own = losses.get(lambda y, p: ops.sum(ops.abs(p - y), axis=-1))
    assert float(own(np.zeros((2, 3)), np.ones((2, 3)))) == 3.0
