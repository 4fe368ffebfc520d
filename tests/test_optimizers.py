"""Optimizers against float64 NumPy written from the formulas."""

import numpy as np
import pytest

from cnnfast import optimizers
from cnnfast.autograd import Variable

SHAPES = [(3, 3, 2, 5), (17,), (), (33, 7)]


def sgd(w, gradients, rate, momentum, nesterov):
    velocity = np.zeros_like(w)
    for g in gradients:
        velocity = momentum * velocity - rate * g
        w = w + (momentum * velocity - rate * g if nesterov else velocity)
    return w


def adam(w, gradients, rate, beta_1, beta_2, epsilon):
    m, v = np.zeros_like(w), np.zeros_like(w)
    for step, g in enumerate(gradients, 1):
        m = beta_1 * m + (1 - beta_1) * g
        v = beta_2 * v + (1 - beta_2) * g**2
        alpha = rate * np.sqrt(1 - beta_2**step) / (1 - beta_1**step)
        w = w - alpha * m / (np.sqrt(v) + epsilon)
    return w


@pytest.mark.parametrize(
    ("optimizer", "reference"),
    [
        (lambda: optimizers.SGD(), lambda w, g: sgd(w, g, 0.01, 0.0, False)),
        (lambda: optimizers.SGD(0.1, momentum=0.9), lambda w, g: sgd(w, g, 0.1, 0.9, False)),
        (lambda: optimizers.SGD(0.1, 0.8, nesterov=True), lambda w, g: sgd(w, g, 0.1, 0.8, True)),
        (lambda: optimizers.Adam(), lambda w, g: adam(w, g, 0.001, 0.9, 0.999, 1e-7)),
        (lambda: optimizers.Adam(0.05, 0.5, 0.8, 1e-3), lambda w, g: adam(w, g, 0.05, 0.5, 0.8, 1e-3)),
    ],
    ids=["sgd", "momentum", "nesterov", "adam", "adam-other"],
)
def test_steps(rng, optimizer, reference):
    optimizer = optimizer()
    start = [rng.standard_normal(shape) for shape in SHAPES]
    gradients = [[rng.standard_normal(shape) for shape in SHAPES] for _ in range(6)]
    variables = [Variable(w) for w in start]
    for step in gradients:
        optimizer.apply_gradients(zip(step, variables, strict=True))
    assert optimizer.iterations == 6
    for i, variable in enumerate(variables):
        expected = reference(start[i], [step[i] for step in gradients])
        np.testing.assert_allclose(variable.numpy(), expected, rtol=2e-5, atol=2e-6)


def test_the_learning_rate_may_be_assigned():
    w, optimizer = Variable([1.0]), optimizers.SGD(0.5)
    optimizer.apply_gradients([(np.ones(1), w)])
    optimizer.learning_rate = 0.25
    optimizer.apply_gradients([(np.ones(1), w)])
    np.testing.assert_allclose(w, [0.25])
    assert optimizer.get_config()["learning_rate"] == 0.25
    with pytest.raises(ValueError, match=r"SGD: learning_rate expects a number from 0\.0"):
        optimizer.learning_rate = -1
    with pytest.raises(TypeError, match="SGD: learning_rate expects a number"):
        optimizer.learning_rate = "fast"


def test_a_variable_without_gradient_stays_and_new_ones_may_come():
    a, b = Variable([1.0]), Variable([1.0])
    optimizer = optimizers.Adam(0.1)
    optimizer.apply_gradients([(np.ones(1), a), (None, b)])
    np.testing.assert_array_equal(b, [1.0])
    optimizer.apply_gradients([(np.ones(1), a), (np.ones(1), b)])
    assert float(b) < 1.0
    with pytest.raises(ValueError, match="no variable has a gradient"):
        optimizer.apply_gradients([(None, a)])


def test_slots_continue_a_training(rng):
    gradients = [rng.standard_normal(5) for _ in range(4)]
    w = Variable(np.zeros(5))
    optimizer = optimizers.Adam()
    for g in gradients[:2]:
        optimizer.apply_gradients([(g, w)])
    copy = Variable(w.numpy())
    other = optimizers.Adam.from_config(optimizer.get_config())
    other.iterations = optimizer.iterations
    other.set_slots(copy, [s[0] for s in optimizer.slots([w])])
    for g in gradients[2:]:
        optimizer.apply_gradients([(g, w)])
        other.apply_gradients([(g, copy)])
    np.testing.assert_array_equal(copy, w)
    with pytest.raises(ValueError, match=r"expects 2 arrays of shape \(5,\), got shapes \[\(4,\), \(5,\)\]"):
        other.set_slots(copy, [np.zeros(4), np.zeros(5)])


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: optimizers.get("adamax"), "optimizer 'adamax' is not known; there are"),
        (lambda: optimizers.get(1), "optimizer expects a name"),
        (lambda: optimizers.SGD(momentum=1.5), "SGD: momentum expects a number from 0.0 to 1.0, got 1.5"),
        (lambda: optimizers.Adam(beta_1=1.0), "Adam: beta_1 expects a number below 1"),
        (lambda: optimizers.Adam(clipnorm=1.0), "Adam: clipnorm=1.0 cannot be honoured"),
        (lambda: optimizers.SGD(lr=0.1), "SGD: unexpected keyword argument 'lr'"),
        (
            lambda: optimizers.SGD().apply_gradients([(np.ones(3), Variable(np.ones(2), name="kernel"))]),
            r"gradients expects shape \(2,\) for kernel, got \(3,\)",
        ),
    ],
)
def test_wrong_arguments_raise(make, message):
    with pytest.raises((ValueError, TypeError), match=message):
        make()


@pytest.mark.parametrize("name", ["sgd", "SGD", "adam", "Adam"])
def test_names_and_configurations(name):
    optimizer = optimizers.get(name)
    config = {"class_name": type(optimizer).__name__, "config": optimizer.get_config()}
    assert optimizers.get(config).get_config() == optimizer.get_config()
