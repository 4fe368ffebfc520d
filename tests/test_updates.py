"""Optimiser steps against float64 formulas, over many parameters at once, and what they refuse to overwrite."""

import math

import numpy as np
import pytest

import reference
from cnnfast import ops
from cnnfast.autograd import GradientTape, Variable

SHAPES = [(1,), (3,), (3, 3, 1, 7), (17,), (5, 33), (64,), (0, 4), (), (130, 100), (20011,)]


def make_variables(rng):
    return [Variable(rng.normal(size=shape), name=f"w{i}") for i, shape in enumerate(SHAPES)]


def zeros():
    return [np.zeros(shape, np.float32) for shape in SHAPES]


def run_sgd(rng, steps=4, **settings):
    """The weights and velocities after some steps, beside those of the reference."""
    variables, velocities = make_variables(rng), zeros()
    w, velocity = [v.numpy().astype(np.float64) for v in variables], [np.zeros(shape) for shape in SHAPES]
    for _ in range(steps):
        gradients = [rng.normal(size=shape).astype(np.float32) for shape in SHAPES]
        ops.sgd_update(variables, gradients, velocities, **settings)
        for i, g in enumerate(gradients):
            arguments = {"momentum": 0.0, "nesterov": False, **settings}
            w[i], velocity[i] = reference.sgd_step(w[i], g.astype(np.float64), velocity[i], **arguments)
    return [v.numpy() for v in variables], velocities, w, velocity


def run_adam(rng, steps=5, learning_rate=0.01, beta_1=0.9, beta_2=0.999, epsilon=1e-7, scale=1.0):
    variables, m, v = make_variables(rng), zeros(), zeros()
    expected = [[x.numpy().astype(np.float64), np.zeros(x.shape), np.zeros(x.shape)] for x in variables]
    for step in range(1, steps + 1):
        gradients = [scale * rng.normal(size=shape).astype(np.float32) for shape in SHAPES]
        ops.adam_update(variables, gradients, m, v, step, learning_rate, beta_1, beta_2, epsilon)
        for i, g in enumerate(gradients):
            settings = (step, learning_rate, beta_1, beta_2, epsilon)
            expected[i] = reference.adam_step(expected[i][0], g.astype(np.float64), *expected[i][1:], *settings)
    return [x.numpy() for x in variables], m, v, expected


@pytest.mark.parametrize(
    "settings",
    [
        {"learning_rate": 0.1},
        {"learning_rate": 0.1, "momentum": 0.9},
        {"learning_rate": 0.1, "momentum": 0.9, "nesterov": True},
        {"learning_rate": 0.1, "nesterov": True},
    ],
)
def test_sgd(settings, isa, threads, rng):
    weights, velocities, w, velocity = run_sgd(rng, **settings)
    for i in range(len(SHAPES)):
        reference.assert_close(weights[i], w[i])
        reference.assert_close(velocities[i], velocity[i])


@pytest.mark.parametrize("settings", [{}, {"learning_rate": 0.5, "beta_1": 0.5, "beta_2": 0.9, "epsilon": 0.1}])
@pytest.mark.parametrize("scale", [1e-3, 1.0])
def test_adam(settings, scale, isa, threads, rng):
    weights, m, v, expected = run_adam(rng, scale=scale, **settings)
    for i in range(len(SHAPES)):
        reference.assert_close(weights[i], expected[i][0], terms=5)
        np.testing.assert_allclose(m[i], expected[i][1], rtol=1e-5, atol=1e-6 * scale)
        np.testing.assert_allclose(v[i], expected[i][2], rtol=1e-5)


def updated(m, v, g, epsilon, beta_1=0.9, beta_2=0.999):
    """By how much Adam changes weights that were zero, and by how much it ought to, from its own new m and v."""
    w = Variable(np.zeros(g.shape))
    ops.adam_update([w], [g], [m], [v], 3, 0.01, beta_1, beta_2, epsilon)
    alpha = np.float32(0.01 * math.sqrt(1 - beta_2**3) / (1 - beta_1**3))
    with np.errstate(all="ignore"):
        expected = -(m.astype(np.float64) * alpha) / (np.sqrt(v.astype(np.float64)) + np.float32(epsilon))
    return w.numpy(), expected


@pytest.mark.parametrize("epsilon", [0.0, 1e-12, 1e-7, 1.0])
def test_adam_divides_to_a_few_units_in_the_last_place(isa, rng, epsilon):
    g = (rng.choice([-1, 1], 5000) * 2.0 ** rng.uniform(-55, 55, 5000)).astype(np.float32)
    m, v = rng.normal(size=5000).astype(np.float32) * abs(g), g * g * rng.uniform(0.1, 2, 5000).astype(np.float32)
    got, expected = updated(m, v, g, epsilon)
    seen = abs(expected) > 2.0**-120
    assert seen.mean() > 0.5
    error = abs(got[seen] / expected[seen] - 1)
    assert error.max() < 4 * 2.0**-23
    assert error.mean() < 0.75 * 2.0**-23


def test_adam_with_numbers_that_are_none(isa):
    inf, nan, tiny = np.inf, np.nan, 1e-40
    m = np.array([1, -1, 0, 0, 1, 1, -1, 1, 1, 1, nan, 0], np.float32)
    v = np.array([0, 0, 0, 1, nan, -1, 1, tiny, inf, -inf, 1, 4], np.float32)
    g = np.array([0, 0, 0, 0, 0, 0, 1e30, 0, inf, 0, 1, nan], np.float32)
    for epsilon in (0.0, 1e-7):
        got, expected = updated(m.copy(), v.copy(), g, epsilon)
        expected[7] = got[7]  # of a subnormal number, which the engine takes for zero
        assert got[7] == -inf if epsilon == 0 else got[7] < -1e4
        np.testing.assert_allclose(got, expected, rtol=1e-6)
        assert list(np.isnan(got)) == [False, False, epsilon == 0, False, True, True] + [False] * 2 + [True] * 4
        assert got[6] == 0


def test_adam_gives_the_same_wherever_arrays_begin_and_end(isa, rng):
    arrays = [abs(rng.normal(size=100)).astype(np.float32) for _ in range(3)]
    whole, _ = updated(*(a.copy() for a in arrays), epsilon=1e-7)
    for begin, end in [(0, 1), (1, 18), (3, 64), (17, 100), (50, 99)]:
        part, _ = updated(*(a[begin:end].copy() for a in arrays), epsilon=1e-7)
        np.testing.assert_array_equal(part, whole[begin:end])


def test_same_bits_for_all_threads(isa, rng, same_bits_for_all_threads):
    seed = rng.integers(1 << 30)
    same_bits_for_all_threads(lambda: run_sgd(np.random.default_rng(seed), learning_rate=0.1, momentum=0.9)[0])
    weights = same_bits_for_all_threads(lambda: run_adam(np.random.default_rng(seed))[0])
    assert not np.array_equal(weights[-1], make_variables(np.random.default_rng(seed))[-1].numpy())


def test_first_adam_step_is_the_learning_rate_whatever_the_scale(isa):
    for scale in (1e-3, 1.0, 1e3):
        w = Variable([0.0, 0.0])
        ops.adam_update([w], [[scale, -scale]], zeros_like(w), zeros_like(w), 1, learning_rate=0.25)
        np.testing.assert_allclose(w.numpy(), [-0.25, 0.25], rtol=4e-3)


def zeros_like(variable):
    return [np.zeros(variable.shape, np.float32)]


def test_slots_may_be_variables():
    w, velocity = Variable([1.0]), Variable([0.0], trainable=False)
    ops.sgd_update([w], [[1.0]], [velocity], learning_rate=0.5, momentum=0.5)
    ops.sgd_update([w], [[1.0]], [velocity], learning_rate=0.5, momentum=0.5)
    np.testing.assert_array_equal(velocity.numpy(), [-0.75])
    np.testing.assert_array_equal(w.numpy(), [-0.25])


def test_gradients_of_any_layout(rng):
    w, g = Variable(np.zeros((3, 4))), rng.normal(size=(4, 3))
    ops.sgd_update([w], [g.T], [], learning_rate=1.0)
    np.testing.assert_array_equal(w.numpy(), -g.T.astype(np.float32))


def test_no_variables_is_no_work():
    ops.sgd_update([], [], [], learning_rate=0.1)
    ops.adam_update([], [], [], [], 1)


def test_nan_and_infinite_gradients_arrive(isa):
    w = Variable([1.0, 1.0, 1.0])
    ops.sgd_update([w], [[np.nan, np.inf, 0.0]], [], learning_rate=0.1)
    np.testing.assert_array_equal(w.numpy(), [np.nan, -np.inf, 1.0])
    w = Variable([1.0, 1.0, 1.0])
    ops.adam_update([w], [[np.nan, np.inf, 0.0]], zeros_like(w), zeros_like(w), 1)
    np.testing.assert_array_equal(w.numpy(), [np.nan, np.nan, 1.0])


def test_tapes_notice_that_a_variable_was_overwritten():
    w = Variable([2.0])
    with GradientTape() as tape:
        y = ops.relu(w)
    ops.sgd_update([w], [[1.0]], [], learning_rate=0.1)
    with pytest.raises(RuntimeError, match="overwritten"):
        tape.gradient(y, w)


def test_refuses_shapes_that_differ():
    w = Variable(np.ones((2, 3)), name="kernel")
    right, wrong = np.zeros((2, 3), np.float32), np.zeros((3, 2), np.float32)
    with pytest.raises(ValueError, match=r"sgd_update: gradients expects shape \(2, 3\) for kernel, got \(3, 2\)"):
        ops.sgd_update([w], [wrong], [], learning_rate=0.1)
    with pytest.raises(ValueError, match=r"sgd_update: velocities expects shape \(2, 3\)"):
        ops.sgd_update([w], [right], [wrong], learning_rate=0.1, momentum=0.9)
    with pytest.raises(ValueError, match=r"adam_update: v expects shape \(2, 3\)"):
        ops.adam_update([w], [right], [right], [wrong], 1)
    np.testing.assert_array_equal(w.numpy(), np.ones((2, 3)))


def test_refuses_lists_of_other_lengths():
    w, zero = Variable([1.0]), np.zeros(1, np.float32)
    with pytest.raises(ValueError, match="gradients expects one array for each of the 1 variables, got 2"):
        ops.sgd_update([w], [zero, zero], [], learning_rate=0.1)
    with pytest.raises(ValueError, match="velocities expects one array for each of the 1 variables, got 0"):
        ops.sgd_update([w], [zero], [], learning_rate=0.1, momentum=0.9)
    with pytest.raises(ValueError, match="m expects one array for each of the 1 variables, got 0"):
        ops.adam_update([w], [zero], [], [zero], 1)


def test_refuses_what_cannot_be_written_to():
    w, zero = Variable([1.0]), np.zeros(1, np.float32)
    frozen = np.zeros(1, np.float32)
    frozen.flags.writeable = False
    with pytest.raises(ValueError, match="velocity expects an array that can be written to"):
        ops.sgd_update([w], [zero], [frozen], learning_rate=0.1, momentum=0.9)
    with pytest.raises(TypeError, match="variables expects Variables, got ndarray"):
        ops.sgd_update([zero], [zero], [], learning_rate=0.1)
    for slot, kind in [(np.zeros(1), "float64 array"), ([0.0], "list")]:
        with pytest.raises(
            TypeError, match=f"expected a Variable or a contiguous float32 array to update, got a {kind}"
        ):
            ops.sgd_update([w], [zero], [slot], learning_rate=0.1, momentum=0.9)
    with pytest.raises(TypeError, match="contiguous float32 array"):
        ops.sgd_update([Variable([1.0, 2.0])], [[0, 0]], [np.zeros(4, np.float32)[::2]], learning_rate=1, momentum=0.9)


def test_refuses_to_write_the_same_memory_twice():
    w, zero, other = Variable([1.0]), np.zeros(1, np.float32), np.zeros(1, np.float32)
    with pytest.raises(ValueError, match="sgd_update: an array appears twice"):
        ops.sgd_update([w, w], [zero, zero], [], learning_rate=0.1)
    with pytest.raises(ValueError, match="adam_update: an array appears twice"):
        ops.adam_update([w], [zero], [other], [other], 1)


def test_adam_counts_steps_from_one():
    w, zero = Variable([1.0]), np.zeros(1, np.float32)
    with pytest.raises(ValueError, match="step counts from 1, got 0"):
        ops.adam_update([w], [zero], [zero.copy()], [zero.copy()], 0)
