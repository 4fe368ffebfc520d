"""Softmax, log-softmax and the cross-entropy against float64, by numerical gradient, and at their extremes."""

import gc
import weakref

import numpy as np
import pytest

import reference
from cnnfast import ops
from cnnfast.autograd import GradientTape, Tensor, Variable, stop_gradient

SIZES = [1, 3, 7, 8, 9, 15, 16, 17, 31, 33, 64, 1000]
FUNCTIONS = {"softmax": ops.softmax, "log_softmax": ops.log_softmax}


def logits_like(rng, *shape):
    return rng.normal(0, 3, shape).astype(np.float32)


def distributions(rng, *shape):
    labels = rng.random(shape)
    return (labels / labels.sum(-1, keepdims=True)).astype(np.float32)


def gradient_of(function, x, dy):
    x = Tensor(x)
    with GradientTape() as tape:
        tape.watch(x)
        y = function(x)
    return y.numpy(), np.asarray(tape.gradient(y, x, dy))


def check_against_reference(name, x, axis, rng):
    dy = rng.normal(size=x.shape).astype(np.float32)
    y, dx = gradient_of(lambda v: FUNCTIONS[name](v, axis=axis), x, dy)
    definition = getattr(reference, name)
    expected = definition(x.astype(np.float64), axis)
    reference.assert_close(y, expected, terms=4)
    p = reference.softmax(x.astype(np.float64), axis)
    total = np.sum(dy * (p if name == "softmax" else 1.0), axis, keepdims=True)
    expected = p * (dy - total) if name == "softmax" else dy - p * total
    reference.assert_close(dx, expected, terms=x.shape[axis])


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("name", FUNCTIONS)
def test_matches_the_definition(name, size, isa, threads, rng):
    check_against_reference(name, logits_like(rng, 5, size), -1, rng)


@pytest.mark.parametrize("axis", [0, 1, 2, -1, -3])
@pytest.mark.parametrize("name", FUNCTIONS)
def test_works_along_any_axis(name, axis, rng):
    check_against_reference(name, logits_like(rng, 3, 9, 5), axis, rng)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_gradient_is_the_derivative(name, isa, rng):
    x, dy = logits_like(rng, 2, 7), rng.normal(size=(2, 7)).astype(np.float32)
    definition = getattr(reference, name)
    _, dx = gradient_of(FUNCTIONS[name], x, dy)
    numerical = reference.numerical_gradient_of_all(lambda v: definition(v, -1), x.astype(np.float64), dy)
    reference.assert_close(dx, numerical, terms=7)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_many_rows_have_the_same_bits_for_all_threads(name, isa, rng, same_bits_for_all_threads):
    x, dy = logits_like(rng, 9001, 10), rng.normal(size=(9001, 10)).astype(np.float32)
    y, _ = same_bits_for_all_threads(lambda: gradient_of(FUNCTIONS[name], x, dy))
    reference.assert_close(y, getattr(reference, name)(x.astype(np.float64), -1), terms=4)


def test_probabilities_add_up_to_one(isa, rng):
    for size in SIZES:
        total = np.sum(ops.softmax(logits_like(rng, 50, size)), axis=-1, dtype=np.float64)
        np.testing.assert_allclose(total, 1, rtol=0, atol=1e-6)


def test_small_probabilities_are_relatively_accurate(isa, rng):
    # The difference to the largest logit, up to 80, is rounded once.
    x = rng.uniform(-80, 0, (20, 33)).astype(np.float32)
    np.testing.assert_allclose(ops.softmax(x), reference.softmax(x.astype(np.float64), -1), rtol=6e-6)


@pytest.mark.parametrize("offset", [-1e30, -1e4, 1e4, 1e30])
def test_nothing_overflows(offset, isa):
    x = np.full((2, 17), offset, np.float32)
    np.testing.assert_allclose(ops.softmax(x), 1 / 17, rtol=1e-6)
    np.testing.assert_allclose(ops.log_softmax(x), -np.log(17), rtol=1e-6)
    x[:, 3] = 3e38
    np.testing.assert_array_equal(ops.softmax(x)[:, 3], 1)
    np.testing.assert_array_equal(ops.log_softmax(x)[:, 3], 0)


@pytest.mark.parametrize("size", [3, 8, 17, 40])
@pytest.mark.parametrize("name", FUNCTIONS)
def test_rows_without_a_softmax_are_nan_and_others_are_not(name, size, isa):
    x = np.zeros((5, size), np.float32)
    x[0, size // 2] = np.nan
    x[1, -1] = np.inf
    x[2] = -np.inf
    x[3, 0] = -np.inf
    y = FUNCTIONS[name](x)
    assert np.isnan(y[:3]).all() if name == "softmax" else np.isnan(y[:3]).any(axis=-1).all()
    assert y[3, 0] == (0 if name == "softmax" else -np.inf)
    np.testing.assert_allclose(y[3, 1:], 1 / (size - 1) if name == "softmax" else -np.log(size - 1), rtol=1e-6)
    np.testing.assert_allclose(y[4], 1 / size if name == "softmax" else -np.log(size), rtol=1e-6)


def test_empty_batches_work_and_empty_rows_are_refused():
    assert ops.softmax(np.zeros((0, 5))).shape == (0, 5)
    assert ops.log_softmax(np.zeros((0, 5))).shape == (0, 5)
    for function in FUNCTIONS.values():
        with pytest.raises(ValueError, match=r"at least one value along the axis, got an array of shape \(3, 0\)"):
            function(np.zeros((3, 0)))


@pytest.mark.parametrize("name", FUNCTIONS)
def test_refuses_axes_that_are_not_there(name):
    with pytest.raises(ValueError, match=rf"{name}: axis 2 is out of range for x of shape \(2, 3\)"):
        FUNCTIONS[name](np.zeros((2, 3)), axis=2)
    with pytest.raises(ValueError, match="axis -1 is out of range"):
        FUNCTIONS[name](np.float32(1))
    with pytest.raises(TypeError):
        FUNCTIONS[name](np.zeros((2, 3)), axis=1.0)


# ---- cross-entropy


@pytest.mark.parametrize("size", SIZES)
def test_cross_entropy_of_distributions(size, isa, threads, rng):
    logits, labels = logits_like(rng, 5, size), 2 * distributions(rng, 5, size)
    dy = rng.normal(size=5).astype(np.float32)
    losses, dlogits = gradient_of(lambda v: ops.softmax_cross_entropy(labels, v), logits, dy)
    expected = reference.cross_entropy(labels.astype(np.float64), logits.astype(np.float64))
    reference.assert_close(losses, expected, terms=size)
    p = reference.softmax(logits.astype(np.float64), -1)
    expected = (labels.sum(-1, keepdims=True, dtype=np.float64) * p - labels) * dy[:, None]
    reference.assert_close(dlogits, expected, terms=4)


@pytest.mark.parametrize("dtype", [np.uint8, np.int32, np.int64, np.uint64])
@pytest.mark.parametrize("size", [3, 10, 17, 1000])
def test_cross_entropy_of_classes(size, dtype, isa, rng):
    logits, classes = logits_like(rng, 4, 6, size), rng.integers(0, min(size, 256), (4, 6)).astype(dtype)
    dy = rng.normal(size=(4, 6)).astype(np.float32)
    losses, dlogits = gradient_of(lambda v: ops.softmax_cross_entropy(classes, v), logits, dy)
    one_hot = np.eye(size)[classes]
    reference.assert_close(losses, reference.cross_entropy(one_hot, logits.astype(np.float64)), terms=4)
    p = reference.softmax(logits.astype(np.float64), -1)
    reference.assert_close(dlogits, (p - one_hot) * dy[..., None], terms=4)


def test_cross_entropy_gradient_is_the_derivative(isa, rng):
    logits, labels, dy = logits_like(rng, 3, 5), distributions(rng, 3, 5), rng.normal(size=3).astype(np.float32)
    _, dlogits = gradient_of(lambda v: ops.softmax_cross_entropy(labels, v), logits, dy)
    definition = lambda v: reference.cross_entropy(labels.astype(np.float64), v)  # noqa: E731
    numerical = reference.numerical_gradient_of_all(definition, logits.astype(np.float64), dy)
    reference.assert_close(dlogits, numerical, terms=5)


@pytest.mark.parametrize("kind", ["dense", "integer"])
def test_cross_entropy_has_the_same_bits_for_all_threads(kind, isa, rng, same_bits_for_all_threads):
    logits, dy = logits_like(rng, 9001, 10), rng.normal(size=9001).astype(np.float32)
    classes = rng.integers(0, 10, 9001)
    labels = classes if kind == "integer" else np.eye(10, dtype=np.float32)[classes]
    losses, dlogits = same_bits_for_all_threads(
        lambda: gradient_of(lambda v: ops.softmax_cross_entropy(labels, v), logits, dy)
    )
    reference.assert_close(losses, reference.cross_entropy(np.eye(10)[classes], logits.astype(np.float64)), terms=4)
    p = reference.softmax(logits.astype(np.float64), -1)
    reference.assert_close(dlogits, (p - np.eye(10)[classes]) * dy[:, None], terms=4)


def test_cross_entropy_stays_finite_where_the_softmax_does_not_reach(isa):
    logits = np.float32([[0, 1000, -1000]])
    for labels in ([0], [[1.0, 0.0, 0.0]]):
        losses, dlogits = gradient_of(lambda v, labels=labels: ops.softmax_cross_entropy(labels, v), logits, np.ones(1))
        np.testing.assert_array_equal(losses, [1000])
        np.testing.assert_array_equal(dlogits, [[-1, 1, 0]])


def test_masked_logits_without_a_label_do_no_harm(isa):
    logits = np.float32([[0, -np.inf, 0]])
    for labels in ([2], [[0.0, 0.0, 1.0]]):
        losses, dlogits = gradient_of(lambda v, labels=labels: ops.softmax_cross_entropy(labels, v), logits, np.ones(1))
        np.testing.assert_allclose(losses, [np.log(2)], rtol=1e-6)
        np.testing.assert_allclose(dlogits, [[0.5, 0, -0.5]], rtol=1e-6)
    assert ops.softmax_cross_entropy([1], logits)[0] == np.inf


def test_cross_entropy_passes_nan_on_whatever_the_labels(isa):
    logits = np.float32([[0, np.nan, 0]] * 3)
    assert np.isnan(ops.softmax_cross_entropy([0, 1, 2], logits)).all()
    assert np.isnan(ops.softmax_cross_entropy(np.float32([[0, 0, 0], [1, 0, 0], [0, 1, 0]]), logits)).all()


@pytest.mark.parametrize("bad", [-1, 10, 2**40, -(2**63)])
def test_integer_labels_outside_the_classes_are_named(bad):
    with pytest.raises(ValueError, match=rf"expect values from 0 to 9 .*, got {bad} \(row 2\)"):
        ops.softmax_cross_entropy([0, 9, bad], np.zeros((3, 10)))


def test_cross_entropy_refuses_what_does_not_fit():
    logits = np.zeros((4, 3))
    with pytest.raises(ValueError, match=r"labels expect shape \(4, 3\) .* or \(4,\) .*, got \(3, 4\)"):
        ops.softmax_cross_entropy(np.zeros((3, 4)), logits)
    with pytest.raises(TypeError, match=r"labels of shape \(4,\) must be integers, got dtype float64"):
        ops.softmax_cross_entropy(np.zeros(4), logits)
    with pytest.raises(ValueError, match="at least one value along the axis"):
        ops.softmax_cross_entropy(np.zeros((4, 0)), np.zeros((4, 0)))
    assert ops.softmax_cross_entropy(np.zeros((0, 3)), np.zeros((0, 3))).shape == (0,)
    assert ops.softmax_cross_entropy(np.zeros(0, int), np.zeros((0, 3))).shape == (0,)


def test_labels_that_want_a_gradient_are_refused():
    labels = Tensor([[0.0, 1.0]])
    with GradientTape() as tape:
        tape.watch(labels)
        with pytest.raises(ValueError, match="labels are followed by a GradientTape"):
            ops.softmax_cross_entropy(labels, [[1.0, 2.0]])
        with pytest.raises(ValueError, match="labels are followed by a GradientTape"):
            ops.softmax_cross_entropy(Variable([[0.0, 1.0]]), [[1.0, 2.0]])
        losses = ops.softmax_cross_entropy(stop_gradient(labels), [[1.0, 2.0]])
    np.testing.assert_allclose(losses, [np.log1p(np.exp(-1))], rtol=1e-6)


# ---- the way back from probabilities to logits


def test_logits_are_found_again():
    logits = Tensor([[1.0, 2.0], [3.0, 4.0]])
    assert ops.logits_of(ops.softmax(logits)) is logits
    assert ops.logits_of(ops.softmax(logits, axis=1)) is logits
    assert ops.logits_of(ops.softmax(logits, axis=0)) is None
    assert ops.logits_of(ops.log_softmax(logits)) is None
    assert ops.logits_of(ops.softmax(logits.numpy())) is None
    assert ops.logits_of(logits) is None


def test_logits_are_kept_no_longer_than_the_probabilities():
    logits = Tensor([1.0, 2.0])
    y = ops.softmax(logits)
    alive = weakref.ref(logits)
    del logits
    gc.collect()
    assert alive() is ops.logits_of(y) is not None
    del y
    gc.collect()
    assert alive() is None


def test_a_loss_through_the_logits_has_the_gradient_of_the_one_through_the_probabilities(rng):
    x = Tensor(logits_like(rng, 4, 5))
    with GradientTape(persistent=True) as tape:
        tape.watch(x)
        p = ops.softmax(x)
        fused = ops.softmax_cross_entropy([0, 1, 2, 3], ops.logits_of(p))
    dp = np.zeros((4, 5), np.float32)
    dp[range(4), range(4)] = -1 / p.numpy()[range(4), range(4)]
    np.testing.assert_allclose(tape.gradient(fused, x), tape.gradient(p, x, dp), rtol=1e-4, atol=1e-6)
